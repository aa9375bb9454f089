"""Fit the blocked model `y = arm + block + error` by least squares, with or without missing trials.

Shapes: `B` blocks, `A` arms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDING = 1e-12
"""A residual spread below this share of the largest value is rounding, and counts as none."""


@dataclass(frozen=True)
class Fit:
    """The fitted additive model."""

    difference: Values
    """`[A]`, arm minus baseline; 0 for the baseline."""
    covariance: Values
    """`[A, A]`, of the differences, for an error variance of 1; zeros for the baseline."""
    residuals: Values
    """`[B, A]`, what arm and block leave, 0 for rounding; NaN where there is no trial, or no other in its block."""
    variance: float
    """Of the error, unbiased; exactly 0 when all that is left is rounding."""
    df: int
    """Degrees of freedom of the error: `(A-1)(B-1)` when complete."""
    complete: bool
    """Whether every block with two trials or more has one of every arm."""


def fit_additive(values: Values, baseline: int) -> Fit:
    """Fit the additive model by solving the intra-block equations (Cochran & Cox, 1957, section 9.4).

    Args:
        values: `[B, A]`, NaN where there is no trial. Every arm must share two or more blocks with the baseline.
        baseline: The column to take differences from.

    Returns:
        Best linear unbiased differences. When complete they are differences of means, with variance `2/B` each and
        correlation 1/2.
    """
    arms = values.shape[1]
    seen = np.isfinite(values)
    telling = seen.sum(axis=1) >= 2
    present = seen[telling].astype(np.float64)
    y = np.where(seen, values, 0.0)[telling]
    count = present.sum(axis=1, keepdims=True)
    centred = present * (y - y.sum(axis=1, keepdims=True) / count)
    information = np.diag(present.sum(axis=0)) - present.T @ (present / count)
    others = np.delete(np.arange(arms), baseline)
    inverse = np.linalg.inv(information[np.ix_(others, others)])
    covariance = np.zeros((arms, arms))
    covariance[np.ix_(others, others)] = inverse
    difference = covariance @ centred.sum(axis=0)

    largest = float(np.abs(y).max())
    left = present * (y - difference)
    left -= present * (left.sum(axis=1, keepdims=True) / count)
    left[np.abs(left) <= ROUNDING * largest] = 0.0
    residuals = np.full(values.shape, np.nan)
    residuals[telling] = np.where(seen[telling], left, np.nan)
    cells, blocks = int(present.sum()), len(present)
    df = cells - blocks - (arms - 1)
    variance = _without_rounding(float((left**2).sum()) / df, largest)
    return Fit(difference, covariance, residuals, variance, df, bool(present.all()))


def spread_of(values: Values, largest: float) -> float:
    """Return the SD of two values or more, divisor `n - 1`; exactly 0 when it is rounding.

    Args:
        values: Of one dimension.
        largest: Magnitude of the numbers that `values` were computed from.
    """
    return float(np.sqrt(_without_rounding(float(values.var(ddof=1)), largest)))


def _without_rounding(variance: float, largest: float) -> float:
    """Return a variance, or 0 when the spread is rounding."""
    return variance if variance > (ROUNDING * largest) ** 2 else 0.0
