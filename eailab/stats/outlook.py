"""Compute how likely more blocks are to decide an undecided arm: the predictive chance of a verdict.

The true difference and spread are not known but for what the blocks so far say of them. With a flat prior for the
difference and the logarithm of the spread, given estimate `d` with standard error `SE` and `df` degrees of freedom:

- the error variance is `SE^2` times `df / chi2(df)` of what it seems to be;
- the estimate after more blocks is normal about `d`, with the variance `SE^2 - SE_later^2` at the true spread;
- its own error pools what is known with what is to come, `chi2(df_later - df)`; one of these degrees of freedom is the
  shift of the estimate itself, as the new blocks then lie apart from the old.

An arm is decided where the interval around that estimate excludes zero, or that of sameness lies within the margin. The
chance of it is a mean over fixed points of low discrepancy, so that it is the same everywhere. Predictive chances of
this kind hold on average over truths (Spiegelhalter & Freedman, 1986, "A predictive approach to selecting the size of a
clinical trial", Stat. Med. 5), where a number of blocks at which the present estimate would just be decided, if it
stayed, leaves an even chance at best.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from eailab.stats import p_values, special
from eailab.stats.blocked_model import Values
from eailab.stats.verdict import MOST_BLOCKS, fewest

EVEN = 0.5
LIKELY = 0.8
"""Four in five."""
_POINTS = 256
_PLASTIC = 1.2207440846057596
"""Root of `x^4 = x + 1`; its inverse powers make the points of lowest known discrepancy in three dimensions."""


@dataclass(frozen=True)
class Later:
    """Describe how a difference will be judged after more blocks, if the spread stays."""

    standard_error: float
    df: float
    critical: Callable[[float], float]
    """Half-width in standard errors of the simultaneous intervals of some confidence, such as 0.95."""


class JudgedDifference(Protocol):
    """Describe how a difference is judged now."""

    @property
    def difference(self) -> float:
        """Return the arm minus baseline."""

    @property
    def standard_error(self) -> float:
        """Return the standard error of the difference, above 0."""

    @property
    def df(self) -> float:
        """Return the degrees of freedom of the standard error."""

    @property
    def later(self) -> Callable[[int], Later]:
        """Return how it will be judged after a number of blocks, if the spread stays."""


@dataclass(frozen=True)
class Outlook:
    """Describe how many blocks would decide an arm."""

    even: int | None
    """Blocks in all with an even chance of a verdict; None for more than `MOST_BLOCKS`."""
    likely: int | None
    """Blocks in all with a chance of four in five; None as above."""


def outlook(now: JudgedDifference, margin: float, blocks: int, level: float) -> Outlook:
    """Return how many blocks in all would decide a difference.

    Args:
        now: What the blocks so far say.
        margin: Largest difference that counts as none.
        blocks: Blocks seen so far; the answer is more.
        level: At which the difference is judged then.
    """

    def needed(chance: float, least: int) -> int | None:
        def enough(number: int) -> bool:
            return chance_of_verdict(now, now.later(number), margin, level) >= chance

        return fewest(enough, least, MOST_BLOCKS)

    even = needed(EVEN, blocks + 1)
    return Outlook(even, None if even is None else needed(LIKELY, even))


def chance_of_verdict(now: JudgedDifference, later: Later, margin: float, level: float) -> float:
    """Return the predictive chance that a difference is decided later; arguments as of `outlook`."""
    shift, _, coming = _points()
    scale = _scales(now.df)
    more = later.df - now.df
    new = shift**2 + (special.chdtri(more - 1.0, coming) if more > 1.0 else 0.0)
    error = later.standard_error * np.sqrt((now.df + scale * new) / max(later.df, now.df + 1.0))
    gained = max(now.standard_error**2 - later.standard_error**2, 0.0)
    estimate = np.abs(now.difference + np.sqrt(gained * scale) * shift)
    apart, alike = later.critical(1.0 - level) * error, later.critical(1.0 - 2.0 * level) * error
    return float(((estimate > apart) | (estimate + alike <= margin)).mean())


@lru_cache(maxsize=1)
def _points() -> tuple[Values, Values, Values]:
    """Return normal deviates, and two columns of tail areas, of low discrepancy together."""
    number = np.arange(1, _POINTS + 1)
    first, second, third = ((0.5 + number * _PLASTIC**-power) % 1.0 for power in (1, 2, 3))
    shift: Values = special.ndtri(first)
    return shift, np.asarray(second, dtype=np.float64), np.asarray(third, dtype=np.float64)


@lru_cache(maxsize=64)
def _scales(df: float) -> Values:
    """Return of what size the error variance may be, as multiples of what it seems to be."""
    return np.asarray(df / special.chdtri(df, _points()[1]), dtype=np.float64)


def planned_critical_value(confidence: float, contrasts: int, df: float, now: float, later_df: float) -> float:
    """Return Dunnett's critical value at a later number of degrees of freedom, without integrating.

    Its ratio to Bonferroni's is nearly linear in `1/df`, so that its values now and at infinity give the others, within
    1.2% from 3 degrees of freedom on.

    Args:
        confidence: Such as 0.95.
        contrasts: Arms compared with the baseline.
        df: Degrees of freedom now.
        now: The critical value at these.
        later_df: Degrees of freedom then; with fewer than now, the value is that of now.
    """
    known = p_values.critical_value(confidence, contrasts, np.inf)
    end = known / p_values.bonferroni_critical_value(confidence, contrasts, np.inf)
    ratio = now / p_values.bonferroni_critical_value(confidence, contrasts, df)
    ratio = end + (ratio - end) * min(df / later_df, 1.0)
    return ratio * p_values.bonferroni_critical_value(confidence, contrasts, max(later_df, df))
