"""Find trials that have collapsed: trained to their end with finite numbers, and no better than chance.

Shapes: `B` blocks, `A` arms.
"""

from dataclasses import dataclass

import numpy as np

from eailab.stats.blocked_model import Mask, Values
from eailab.stats.variance import sampling_error

SAMPLING_ERRORS = 3.0
"""A value that is better than chance by no more than this many standard errors is at chance."""
SHARE_OF_GAIN = 0.1
"""A value that is better than chance by no more than this share of the best arm's gain is at chance."""


@dataclass(frozen=True)
class Chance:
    """The value of a metric for a model that has learnt nothing."""

    level: float
    error: float
    """Standard error of a value at that level, by the choice of examples; 0 for a level that is exact."""

    @classmethod
    def of_share(cls, level: float, examples: int) -> "Chance":
        """Return the chance level of a share of right answers among this many examples."""
        return cls(level, sampling_error(level, examples))


def collapsed(values: Values, chance: Chance, higher_is_better: bool = True) -> Mask:
    """Return which trials have collapsed.

    A trial has collapsed when it is at chance: within sampling error of it, or within a tenth of what the best arm's
    median has gained. So an arm that merely learns less than others has not collapsed, and one of which most trials
    fail has. Where even the best arm's median lies hardly above chance, nothing has been learnt that a trial could have
    missed, and none has collapsed.

    Args:
        values: `[B, A]`, NaN where there is none.
        chance: In the unit of `values`.
        higher_is_better: False for a loss.
    """
    sign = 1.0 if higher_is_better else -1.0
    gain = np.where(np.isfinite(values), sign * (values - chance.level), np.nan)
    arms = [column[np.isfinite(column)] for column in gain.T]
    gained = max((float(np.median(own)) for own in arms if len(own)), default=0.0)
    at_chance = SAMPLING_ERRORS * chance.error
    if gained <= 2.0 * at_chance:
        return np.zeros(values.shape, dtype=np.bool_)
    found: Mask = gain <= max(at_chance, SHARE_OF_GAIN * gained)
    return found
