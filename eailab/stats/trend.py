"""Estimate the trend over an ordered factor: one slope per doubling instead of many differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from eailab.errors import StudyError
from eailab.stats.blocked_model import Values, fit_additive, spread_of
from eailab.stats.variance_check import unequal_spread
from eailab.stats.verdict import Interval


@dataclass(frozen=True)
class Trend:
    """How the metric moves when the level doubles, within blocks."""

    slope: float
    """Change per doubling of the level, in the metric's unit."""
    interval95: Interval
    p: float
    """Two-sided, of no slope; one comparison, so not adjusted."""
    df: int
    blocks: int
    """Complete blocks, which alone are used."""
    pooled: bool
    """Whether the error is the blocked model's; else the slopes of the blocks are taken as a sample."""
    lack_of_fit_f: float | None
    """What the arms' means leave beside the line, over the model's error variance; None where that is not pooled."""
    lack_of_fit_p: float | None
    """Small: the line does not hold, so read the arms one by one."""


def trend(values: Values, levels: Sequence[float], baseline: int) -> Trend | None:
    """Fit a line in `log2(level)` within blocks, and test what it leaves.

    With `x` the centred `log2(level)`, the slope of the arms' means `m` is `sum(x m) / sum(x^2)`, with variance
    `MSE / (B sum(x^2))` and the degrees of freedom of the blocked model; lack of fit is the F ratio of the remaining
    `k - 1` degrees of freedom between arms to the model's error (Cochran & Cox, 1957, sections 3.42 and 4.2). Where the
    variance guard forbids pooling, the slope of each block is one value of a sample with `B - 1` degrees of freedom.

    Args:
        values: `[B, A]`, one column a level, NaN where there is no value.
        levels: `[A]`, three or more distinct positive numbers.
        baseline: Column of the study's baseline: the guard looks at the differences from it, as it does in `compare`.

    Returns:
        The trend, or None when fewer than two blocks are complete or nothing varies within them.

    Raises:
        StudyError: Levels that are not distinct and positive, fewer than three, or not one a column.
    """
    if len(levels) != values.shape[1]:
        raise StudyError(f"{len(levels)} levels for {values.shape[1]} arms: give one level an arm.")
    if len(set(levels)) != len(levels) or len(levels) < 3 or not all(0.0 < level < math.inf for level in levels):
        raise StudyError(
            f"levels {list(levels)} have no slope per doubling: give three or more different numbers above 0."
        )
    complete = values[np.isfinite(values).all(axis=1)]
    blocks, arms = complete.shape
    if blocks < 2:
        return None
    doublings = np.log2(np.asarray(levels, dtype=np.float64))
    doublings -= doublings.mean()
    length = float(doublings @ doublings)
    slopes = complete @ doublings / length
    slope = float(slopes.mean())
    fit = fit_additive(complete, baseline)
    differences = np.delete(complete, baseline, axis=1) - complete[:, [baseline]]
    pooled = unequal_spread(fit, list(differences.T)) is None
    spread = math.sqrt(fit.variance / length) if pooled else spread_of(slopes, float(np.abs(complete).max()))
    if spread == 0.0:
        return None
    standard_error, df = spread / math.sqrt(blocks), fit.df if pooled else blocks - 1
    half = float(special.stdtrit(df, 0.975)) * standard_error
    lack_f, lack_p = None, None
    if pooled:
        means = complete.mean(axis=0)
        left = means - means.mean() - slope * doublings
        lack_f = blocks * float(left @ left) / (arms - 2) / fit.variance
        lack_p = float(special.fdtrc(arms - 2, fit.df, lack_f))
    return Trend(
        slope=slope,
        interval95=(slope - half, slope + half),
        p=2.0 * float(special.stdtr(df, -abs(slope) / standard_error)),
        df=df,
        blocks=blocks,
        pooled=pooled,
        lack_of_fit_f=lack_f,
        lack_of_fit_p=lack_p,
    )
