"""Turn intervals into verdicts."""

import math
from collections.abc import Callable
from enum import StrEnum

Interval = tuple[float, float]
"""Low and high end, in the metric's unit."""

MOST_BLOCKS = 1000
"""Beyond this many blocks a difference is called out of reach rather than given a number."""


SINGLE_LOOK = 0.05
"""The level of a study that is judged once."""
BETTER_OF_TWO = 0.04
"""The same where each arm is the better of two values, which a tuning has left of many and the judged blocks choose
from: at 5% the intervals of the truly best values hold in 94.2, 93.9, 92.7 and 90.9% of simulated studies of 3, 5, 10
and 20 blocks, at 4% in 94.7, 94.8, 94.0 and 92.1% (`benchmarks/tuning.py`)."""


def next_level(level: float) -> float:
    """Return the level of a study's judgement after one at a level: the later ones share a fifth of the first's.

    They share it in halves, so that all after one at 5% are wrong in at most 1% of studies.

    >>> next_level(0.05), next_level(0.005), next_level(BETTER_OF_TWO)
    (0.005, 0.0025, 0.004)
    """
    return level / 10.0 if level >= BETTER_OF_TWO else 0.5 * level


class Verdict(StrEnum):
    """Name what is said of an arm against the baseline."""

    BETTER = "BETTER"
    """The simultaneous 95% interval lies wholly on the better side of zero."""
    WORSE = "WORSE"
    """The simultaneous 95% interval lies wholly on the worse side of zero."""
    SAME = "SAME"
    """The simultaneous 90% interval lies within the margin: shown to be equivalent, not just not shown to differ."""
    UNDECIDED = "UNDECIDED"
    """Neither: not enough blocks to tell. It does not mean that there is no difference."""
    SCREEN = "SCREEN"
    """Fewer than two blocks shared with the baseline: a first look, from which nothing can be concluded."""


def decide(apart: Interval, alike: Interval, margin: float, *, higher_is_better: bool = True) -> Verdict:
    """Return the verdict on one difference from the baseline.

    The 90% interval within `±margin` is two one-sided tests at 5% (Schuirmann, 1987), here simultaneous over the arms.

    Args:
        apart: Simultaneous interval of arm minus baseline, of confidence `1 - level`: 95% for a single look.
        alike: Simultaneous interval of the same, of confidence `1 - 2 level`: 90% for a single look.
        margin: Largest difference that counts as none, 0 or more, in the metric's unit.
        higher_is_better: False for a loss.

    Returns:
        BETTER, WORSE, SAME or UNDECIDED. A difference that is shown comes first: an interval that excludes zero yet
        lies within the margin is BETTER or WORSE.
    """
    low, high = apart
    if low > 0.0:
        return Verdict.BETTER if higher_is_better else Verdict.WORSE
    if high < 0.0:
        return Verdict.WORSE if higher_is_better else Verdict.BETTER
    return Verdict.SAME if within(alike, margin) else Verdict.UNDECIDED


def within(interval: Interval, margin: float) -> bool:
    """Return whether an interval lies wholly within `±margin`."""
    return -margin <= interval[0] and interval[1] <= margin


def fewest(enough: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the smallest number from `low` to `high` that is enough, by bisection; None when `high` is not."""
    if low > high or not enough(high):
        return None
    while low < high:
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high
