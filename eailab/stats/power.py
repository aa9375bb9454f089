"""Compute power: the detectable difference for a number of blocks, and the blocks for a difference.

One arm truly differs by `d`; it is detected when its simultaneous 95% interval excludes zero on the right side. In the
blocked model its statistic is noncentral t with the model's degrees of freedom and noncentrality `d / SE`,
`SE = sd sqrt(2/n)`, and the critical value is Dunnett's. With few blocks and three or more arms the variance guard
often keeps errors apart that could have been pooled, which costs power that this formula does not know of (at 3 blocks
and 4 arms 52% are left of its 80%); there the answer comes from simulated studies, always the same ones.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from eailab.errors import StudyError
from eailab.stats import dunnett
from eailab.stats.simulation import judge
from eailab.stats.verdict import MOST_BLOCKS, fewest

POWER = 0.80
"""Share of studies in which a difference of the detectable size is to be seen."""

_MOST_SIMULATED = 12
"""Blocks; from here on the guard steps in so seldom that the formula holds to one percent."""
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
    if blocks == 2:  # never pooled: see `variance_check.unequal_spread`
        df, critical_value = 1, dunnett.bonferroni_critical_value(0.95, contrasts, 1)
    else:
        df = contrasts * (blocks - 1)
        critical_value = dunnett.critical_value(0.95, contrasts, df)
    return noncentrality(critical_value, df, power) * math.sqrt(2.0 / blocks)


def _simulated(blocks: int, arms: int, power: float) -> float:
    """Return the detectable difference from studies without any.

    A true difference moves an arm's interval and changes nothing else, so that it is detected exactly where it exceeds
    half-width minus estimate: the wanted power is a quantile of that. All arms but the baseline are alike and count.
    """
    chance = np.random.default_rng(np.random.SeedSequence((blocks, arms)))
    found = judge(chance.standard_normal((_SIMULATED_VALUES // (blocks * arms), blocks, arms)))
    return float(np.quantile(found.half95 - found.difference, power))


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
