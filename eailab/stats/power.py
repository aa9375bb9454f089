"""Compute power: the detectable difference for a number of blocks, and the blocks for a difference.

One arm truly differs by `d`; it is detected when its simultaneous 95% interval excludes zero on the right side. Its
statistic is noncentral t with the degrees of freedom of the moderated error (`variance.moderated_df`) and noncentrality
`d / SE`, `SE = sd sqrt(2/n)`, and the critical value is Dunnett's. With few blocks and three or more arms
`unequal_spread` often keeps errors apart that could have been shared, which costs power that this formula leaves out;
there the answer comes from simulated studies, which `judge` compares many at once, as `model.compare` does one. The
simulation's seed is fixed.

Shapes: `R` studies, `B` blocks, `A` arms, the baseline first; `k = A - 1`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eailab.errors import StudyError
from eailab.stats import p_values, special, variance
from eailab.stats.blocked_model import Mask, Values
from eailab.stats.verdict import MOST_BLOCKS, fewest

POWER = 0.80
"""Share of studies in which a difference of the detectable size is to be seen."""

_MOST_SIMULATED = 12
"""Blocks; beyond, errors are kept apart so seldom that the formula holds to one percent."""
_SIMULATED_VALUES = 400_000


def noncentrality(critical_value: float, df: float, power: float = POWER) -> float:
    """Return the difference, in standard errors, that exceeds the critical value with this power."""
    return float(special.nctdtrinc(df, 1.0 - power, critical_value))


def detectable_difference(blocks: int, arms: int, sd: float, power: float = POWER) -> float:
    """Return the smallest true difference from the baseline that a plan detects with this power.

    Args:
        blocks: Blocks of the plan, 2 or more.
        arms: Arms of the plan, the baseline counted, 2 or more.
        sd: Of a trial within its block (`Comparison.pooled_sd`), assumed equal in all arms.
        power: Such as 0.8.

    Returns:
        A difference in the unit of `sd`: exact for two arms and for two blocks, within about 2% where simulated.

    Raises:
        StudyError: Fewer than two blocks or arms.
    """
    if blocks < 2 or arms < 2:
        raise StudyError(f"{arms} arms in {blocks} blocks detect no difference: give two or more of each.")
    return sd * _detectable_in_sd(blocks, arms, power)


@lru_cache(maxsize=1024)
def _detectable_in_sd(blocks: int, arms: int, power: float) -> float:
    contrasts = arms - 1
    if 2 < blocks <= _MOST_SIMULATED and contrasts > 1:
        return _simulated(blocks, arms, power)
    if blocks == 2:  # never pooled: see `variance.unequal_spread`
        df, critical_value = 1.0, p_values.bonferroni_critical_value(0.95, contrasts, 1)
    else:
        df = variance.moderated_df(blocks, contrasts, contrasts * (blocks - 1))
        critical_value = p_values.critical_value(0.95, contrasts, df)
    return noncentrality(critical_value, df, power) * math.sqrt(2.0 / blocks)


def _simulated(blocks: int, arms: int, power: float) -> float:
    """Return the detectable difference, in SDs, from simulated studies without a difference.

    A true difference moves an arm's interval and changes nothing else, so that it is detected exactly where it exceeds
    half-width minus estimate: the wanted power is a quantile of that. All arms but the baseline are alike and count.
    """
    chance = np.random.default_rng(np.random.SeedSequence((blocks, arms)))
    found = judge(chance.standard_normal((_SIMULATED_VALUES // (blocks * arms), blocks, arms)))
    return float(np.quantile(found.half(0.95) - found.difference, power))


def blocks_to_detect(difference: float, sd: float, arms: int, power: float = POWER) -> int | None:
    """Return the fewest blocks that detect a true difference with this power, or None beyond 1000.

    Args:
        difference: To detect, more than 0, in the metric's unit.
        sd: Of a trial within its block.
        arms: Arms of the plan, the baseline counted.
        power: Such as 0.8.

    Raises:
        StudyError: A difference of 0 or less.
    """
    if not difference > 0.0:
        raise StudyError(f"no number of blocks detects a difference of {difference}: give one above 0.")
    return fewest(lambda blocks: detectable_difference(blocks, arms, sd, power) <= difference, 2, MOST_BLOCKS)


# --- many studies at once ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JudgedStudies:
    """The differences and standard errors of many complete studies."""

    difference: Values
    """`[R, k]`, arm minus baseline."""
    error: Values
    """`[R, k]`, its standard error; infinite where nothing varies, since there is nothing to judge by."""
    guarded: Mask
    """`[R]`, whether the arms' errors were kept apart."""
    blocks: int

    def half(self, confidence: float) -> Values:
        """Return half-widths `[R, k]` of the simultaneous intervals of some confidence, such as 0.95."""
        contrasts = self.difference.shape[1]
        df = variance.moderated_df(self.blocks, contrasts, contrasts * (self.blocks - 1))
        shared = p_values.critical_value(confidence, contrasts, df)
        apart = p_values.bonferroni_critical_value(confidence, contrasts, self.blocks - 1)
        return np.where(self.guarded[:, None], apart, shared) * self.error

    def alarm(self, level: float = 0.05) -> Mask:
        """Return `[R, k]`, whether the interval of confidence `1 - level` excludes zero."""
        excluded: Mask = np.abs(self.difference) > self.half(1.0 - level)
        return excluded


def judge(y: Values) -> JudgedStudies:
    """Compare the arms with the first one in every study.

    Args:
        y: `[R, B, A]`, no value missing, two blocks or more.
    """
    _, blocks, arms = y.shape
    residuals = y - y.mean(axis=1, keepdims=True) - y.mean(axis=2, keepdims=True) + y.mean(axis=(1, 2), keepdims=True)
    squares = (residuals**2).sum(axis=(1, 2))
    paired = y[:, :, 1:] - y[:, :, :1]
    difference = paired.mean(axis=1)
    own = ((paired - difference[:, None]) ** 2).sum(axis=1)
    guarded = _guarded(residuals, squares, own)
    weight, own_variance = float(variance.prior_weight(blocks)), own / (blocks - 1)
    common = 2.0 * (squares / ((arms - 1) * (blocks - 1)))[:, None]
    moderated = weight * common + (1.0 - weight) * own_variance
    error = np.sqrt(np.where(guarded[:, None], own_variance, moderated) / blocks)
    return JudgedStudies(difference, np.where(own > 0.0, error, np.inf), guarded, blocks)


def _guarded(residuals: Values, squares: Values, own: Values) -> Mask:
    """Apply `variance.unequal_spread` to many studies."""
    studies, blocks, arms = residuals.shape
    if arms == 2 or blocks == 2:
        return np.full(studies, arms > 2)
    above = 1.0 + variance.TOLERANCE
    squares_of_arm = (residuals**2).sum(axis=1)
    most = variance.LARGEST_RATIO**2 * above**2
    ratio: Mask = squares_of_arm.max(axis=1) > most * squares_of_arm.min(axis=1)
    distance = np.abs(residuals - np.median(residuals, axis=1, keepdims=True))
    mean = distance.mean(axis=1)
    between = blocks * ((mean - mean.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / (arms - 1)
    inside = ((distance - mean[:, None]) ** 2).sum(axis=(1, 2)) / (arms * (blocks - 1))
    unequal: Mask = (
        special.fdtrc(arms - 1, arms * (blocks - 1), between / np.maximum(inside, np.finfo(np.float64).tiny))
        < variance.LEAST_P
    )
    share: Mask = own.max(axis=1) > variance.LARGEST_SHARE * above * 2.0 * squares
    most_f = variance.largest_f(arms - 1, blocks - 1, blocks - 1)
    pairs: Mask = own.max(axis=1) > most_f * own.min(axis=1) * above
    return ratio | unequal | share | pairs
