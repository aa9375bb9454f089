"""Estimate seed-to-seed variance: an SD's interval, the noise floor, and the test of equal spread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eailab.stats.verdict import Interval


@dataclass(frozen=True)
class SpreadTest:
    """A test of equal spread."""

    statistic: float
    p: float


def brown_forsythe(groups: list[NDArray[np.float64]]) -> SpreadTest:
    """Test whether groups have equal spread: analysis of variance of the distances from each group's median.

    Brown & Forsythe (1974), "Robust tests for the equality of variances", J. Am. Stat. Assoc. 69.

    Args:
        groups: Two or more arrays of one dimension, together with more values than groups.

    Returns:
        The F statistic and its p-value. Where no distance differs from its group's mean, F is 0 or infinite.
    """
    distances = [np.abs(group - np.median(group)) for group in groups]
    sizes = np.array([len(distance) for distance in distances])
    means = np.array([distance.mean() for distance in distances])
    total, between_df = int(sizes.sum()), len(groups) - 1
    within_df = total - len(groups)
    overall = float(sizes @ means) / total
    between = float(sizes @ (means - overall) ** 2) / between_df
    inside = sum(float(((d - m) ** 2).sum()) for d, m in zip(distances, means, strict=True)) / within_df
    if inside == 0.0:
        return SpreadTest(0.0, 1.0) if between == 0.0 else SpreadTest(np.inf, 0.0)
    statistic = between / inside
    return SpreadTest(statistic, float(special.fdtrc(between_df, within_df, statistic)))


def sd_interval(sd: float, n: int, confidence: float = 0.95) -> Interval:
    """Return the interval of a normal population's SD: `s sqrt((n-1) / chi2 quantile)` at either tail.

    Args:
        sd: Standard deviation of the sample, with divisor `n - 1`.
        n: Values in the sample, 2 or more.
        confidence: Such as 0.95.
    """
    tail, df = (1.0 - confidence) / 2.0, n - 1
    upper, lower = special.chdtri(df, tail), special.chdtri(df, 1.0 - tail)
    return sd * float(np.sqrt(df / upper)), sd * float(np.sqrt(df / lower))


def sampling_error(share: float, examples: int) -> float:
    """Return the standard error of a share of right answers by the choice of examples: `sqrt(a(1-a)/n)`.

    It is shared by all arms scored on the same examples and largely cancels in their differences.

    Args:
        share: From 0 to 1; the result is on the same scale.
        examples: Number of examples scored.
    """
    return float(np.sqrt(share * (1.0 - share) / examples))


def noise_floor(sd: float, n: int, confidence: float = 0.95) -> float:
    """Return the difference of two single trials that chance alone stays below with this confidence.

    `t s sqrt(2)`, with Student's t at `n - 1` degrees of freedom, as the SD is itself estimated from `n` trials.
    """
    return float(special.stdtrit(n - 1, 0.5 + confidence / 2.0)) * sd * float(np.sqrt(2.0))
