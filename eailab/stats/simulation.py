"""Judge many simulated studies at once, as `model.compare` judges one, to measure its error rates.

Shapes: `R` studies, `B` blocks, `A` arms, the baseline first; `k = A - 1`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eailab.stats import dunnett, variance_check
from eailab.stats.blocked_model import Values

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """The intervals of many complete studies."""

    difference: Values
    """`[R, k]`, arm minus baseline."""
    half95: Values
    """`[R, k]`, half-widths of the simultaneous 95% intervals."""
    half90: Values
    """`[R, k]`, of the simultaneous 90% intervals."""
    guarded: Mask
    """`[R]`, whether the errors were not pooled."""

    @property
    def alarm(self) -> Mask:
        """`[R, k]`, whether the 95% interval excludes zero."""
        excluded: Mask = np.abs(self.difference) > self.half95
        return excluded


def judge(y: Values) -> Judged:
    """Compare the arms with the first one in every study.

    Args:
        y: `[R, B, A]`, no value missing, two blocks or more.
    """
    _, blocks, arms = y.shape
    contrasts, df = arms - 1, (arms - 1) * (blocks - 1)
    residuals = y - y.mean(axis=1, keepdims=True) - y.mean(axis=2, keepdims=True) + y.mean(axis=(1, 2), keepdims=True)
    squares = (residuals**2).sum(axis=(1, 2))
    paired = y[:, :, 1:] - y[:, :, :1]
    difference = paired.mean(axis=1)
    own = ((paired - difference[:, None]) ** 2).sum(axis=1)
    pooled_error = np.sqrt(squares / df * 2.0 / blocks)[:, None]
    own_error = np.sqrt(own / (blocks - 1) / blocks)
    guarded = _guarded(residuals, squares, own)

    def half(confidence: float) -> Values:
        pooled = dunnett.critical_value(confidence, contrasts, df) * pooled_error
        separate = dunnett.bonferroni_critical_value(confidence, contrasts, blocks - 1) * own_error
        width: Values = np.where(guarded[:, None], separate, pooled)
        return width

    return Judged(difference, half(0.95), half(0.90), guarded)


def _guarded(residuals: Values, squares: Values, own: Values) -> Mask:
    """`variance_check.unequal_spread` for many studies."""
    studies, blocks, arms = residuals.shape
    if arms == 2 or blocks == 2:
        return np.full(studies, arms > 2)
    variance = (residuals**2).sum(axis=1)
    ratio: Mask = variance.max(axis=1) > variance_check.LARGEST_RATIO**2 * variance.min(axis=1)
    distance = np.abs(residuals - np.median(residuals, axis=1, keepdims=True))
    mean = distance.mean(axis=1)
    between = blocks * ((mean - mean.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / (arms - 1)
    inside = ((distance - mean[:, None]) ** 2).sum(axis=(1, 2)) / (arms * (blocks - 1))
    unequal: Mask = special.fdtrc(arms - 1, arms * (blocks - 1), between / inside) < variance_check.LEAST_P
    share: Mask = own.max(axis=1) / (2.0 * squares) > variance_check.LARGEST_SHARE
    return ratio | unequal | share
