"""What a plan can show: the smallest detectable difference for a number of blocks, and the blocks for a difference.

One arm truly differs by `d`; it is detected when its simultaneous 95% interval excludes zero. Its statistic is
noncentral t with the model's degrees of freedom and noncentrality `d / SE`, `SE = sd sqrt(2/n)`, and the critical value
is Dunnett's. Detecting the difference with the wrong sign is left out, which at a power of 80% is below 1e-4. The
variance guard is left out too: where it steps in, the power is less.
"""

import math

from scipy import special

from eailab.errors import StudyError
from eailab.stats import dunnett
from eailab.stats.verdict import MOST_BLOCKS, fewest

POWER = 0.80
"""Share of studies in which a difference of the detectable size is to be seen."""


def noncentrality(critical_value: float, df: float, power: float = POWER) -> float:
    """Return the difference, in standard errors, that exceeds the critical value with this power."""
    return float(special.nctdtrinc(df, 1.0 - power, critical_value))


def detectable_difference(blocks: int, arms: int, sd: float, power: float = POWER) -> float:
    """Return the smallest true difference from the baseline that a plan detects with this power.

    Args:
        blocks: Blocks of the plan, 2 or more.
        arms: Arms of the plan, the baseline counted, 2 or more.
        sd: Of a trial within its block (`Comparison.pooled_sd`); for a plan without blocking, of a trial.
        power: Such as 0.8.

    Raises:
        StudyError: Fewer than two blocks or arms.
    """
    if blocks < 2 or arms < 2:
        raise StudyError(f"{arms} arms in {blocks} blocks detect no difference: give two or more of each.")
    contrasts = arms - 1
    if blocks == 2:  # never pooled: see `guard.unequal_spread`
        df, critical_value = 1, dunnett.bonferroni_critical_value(0.95, contrasts, 1)
    else:
        df = contrasts * (blocks - 1)
        critical_value = dunnett.critical_value(0.95, contrasts, df)
    return noncentrality(critical_value, df, power) * sd * math.sqrt(2.0 / blocks)


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
