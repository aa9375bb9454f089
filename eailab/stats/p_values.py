"""Compute p-values and critical values for several arms against one baseline (Dunnett), and McNemar's.

With `k` differences from one baseline, each estimated with the same standard error `S sqrt(2/n)`, the t-statistics are
multivariate t with correlation 1/2 (Dunnett, 1955, "A multiple comparison procedure for comparing several treatments
with a control", J. Am. Stat. Assoc. 50). Writing statistic `i` as `(sqrt(1-r) Z_i - sqrt(r) Z_0) / S` with independent
normal `Z` and `S^2 ~ chi2(df)/df`, the two-sided tail area of the largest is a double integral of smooth functions::

    p(t) = E_S E_z { 1 - [1 - q(z, S)]^k },   q = Phi((sqrt(r) z - t S)/sqrt(1-r)) + Phi((-sqrt(r) z - t S)/sqrt(1-r))

The trapezoidal rule in `z` and in `log S` converges exponentially here (both integrands are analytic and die off at
both ends), so that a fixed grid is exact to about 1e-10 and gives the same bits every time, which the randomised
integration of `scipy.stats.multivariate_t` does not. Correlation 0 gives the studentised maximum modulus, whose
intervals hold at any correlations (Sidak, 1967).
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eailab.stats import special

CORRELATION = 0.5
"""Between the t-statistics of two arms against one baseline, when all arms are seen in the same blocks."""

_NORMAL_STEP, _NORMAL_END = 0.2, 12.0
_SCALE_NODES = 193
_TAIL = 1e-15


@lru_cache(maxsize=256)
def _scale_nodes(df: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights for the expectation over `S = sqrt(chi2(df)/df)`."""
    if math.isinf(df):
        return np.ones(1), np.ones(1)
    half = df / 2.0
    low, high = special.gammaincinv(half, _TAIL) / half, special.gammainccinv(half, _TAIL) / half
    log_scale = np.linspace(0.5 * np.log(low), 0.5 * np.log(high), _SCALE_NODES)
    scale = np.exp(log_scale)
    log_density = df * (log_scale - 0.5 * (scale**2 - 1.0))  # of log S, up to a constant
    weights = np.exp(log_density - log_density.max())
    return scale, weights / weights.sum()


@lru_cache(maxsize=1)
def _normal_nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights for the expectation of an even function of a standard normal."""
    nodes = np.arange(0.0, _NORMAL_END + _NORMAL_STEP / 2.0, _NORMAL_STEP)
    weights = np.exp(-0.5 * nodes**2)
    weights[0] /= 2.0
    return nodes, weights / weights.sum()


def adjusted_p(
    t: ArrayLike, contrasts: int, df: float, correlation: float | tuple[float, ...] = CORRELATION
) -> NDArray[np.float64]:
    """Return the chance that the largest of `contrasts` null statistics exceeds each `t` in absolute value.

    Args:
        t: Statistics of any shape; the sign is ignored, infinities give 0.
        contrasts: Number of arms compared with the baseline, `k`, 1 or more.
        df: Degrees of freedom of the error, more than 0; infinity means a known variance.
        correlation: Between any two statistics, at least 0 and less than 1; where they differ, a factor for each
            statistic, whose products are the correlations, as arms with unequal numbers of trials have them.

    Returns:
        Two-sided p-values adjusted for all `contrasts`, of `t`'s shape. One contrast gives Student's t exactly.
    """
    size = np.abs(np.asarray(t, dtype=np.float64))
    if contrasts == 1:
        return np.asarray(2.0 * (special.ndtr(-size) if math.isinf(df) else special.stdtr(df, -size)))
    scale, scale_weights = _scale_nodes(df)
    factors = (
        Counter(correlation) if isinstance(correlation, tuple) else {math.sqrt(correlation): contrasts}
    )  # with how many statistics have each
    normal, normal_weights = _normal_nodes() if any(factors) else (np.zeros(1), np.ones(1))
    limit = (size[..., None] * scale)[..., None]
    log_inside: NDArray[np.float64] = np.zeros(1)
    with np.errstate(divide="ignore"):  # outside is 1 where t is 0: log1p(-1), and expm1(-inf) is -1 as it should be
        for factor, count in factors.items():
            shift, spread = factor * normal, math.sqrt(1.0 - factor**2)
            outside = special.ndtr((shift - limit) / spread) + special.ndtr((-shift - limit) / spread)
            log_inside = log_inside + count * np.log1p(-np.minimum(outside, 1.0))
        any_outside = -np.expm1(log_inside)
    area: NDArray[np.float64] = np.minimum((any_outside @ normal_weights) @ scale_weights, 1.0)
    return area


@lru_cache(maxsize=4096)
def critical_value(
    confidence: float, contrasts: int, df: float, correlation: float | tuple[float, ...] = CORRELATION
) -> float:
    """Return `c` such that all `contrasts` intervals `difference ± c SE` hold together with this confidence.

    Args:
        confidence: Simultaneous two-sided confidence, such as 0.95.
        contrasts: Number of arms compared with the baseline, 1 or more.
        df: Degrees of freedom of the error, more than 0; infinity means a known variance.
        correlation: As `adjusted_p` takes it.

    Returns:
        The solution of ``adjusted_p(c) = 1 - confidence``, by false position on the logarithms (Illinois rule) between
        the value for one contrast and Bonferroni's, which enclose it.
    """
    alpha = 1.0 - confidence
    low, high = bonferroni_critical_value(confidence, 1, df), bonferroni_critical_value(confidence, contrasts, df)
    if contrasts == 1:
        return low

    def excess(log_t: float) -> float:
        return math.log(adjusted_p(math.exp(log_t), contrasts, df, correlation).item() / alpha)

    a, b = math.log(low), math.log(high)
    above, below = excess(a), excess(b)
    while b - a > 1e-12 and above > 0.0 > below:
        middle = (a * below - b * above) / (below - above)
        value = excess(middle)
        if abs(value) < 1e-12:
            return math.exp(middle)
        if value > 0.0:
            a, above, below = middle, value, below / 2.0
        else:
            b, below, above = middle, value, above / 2.0
    return math.exp(a if abs(above) < abs(below) else b)


def bonferroni_critical_value(confidence: float, contrasts: int, df: float) -> float:
    """Return Student's t at the two-sided level `(1 - confidence) / contrasts`: wide enough at any correlations."""
    tail = (1.0 - confidence) / (2.0 * contrasts)
    return float(-special.ndtri(tail)) if math.isinf(df) else float(-special.stdtrit(df, tail))


# --- McNemar ----------------------------------------------------------------------------------------------------------


def failure_bound(failed: int, trials: int) -> float:
    """Return the largest share of failures that so few of `trials` still allow, at 95% confidence.

    It is the upper bound of Clopper and Pearson (1934), one-sided: `1 - 0.05^(1/trials)` where none failed.

    >>> [round(failure_bound(failed, 5), 2) for failed in (0, 1, 5)]
    [0.45, 0.66, 1.0]
    """
    return 1.0 if failed == trials else float(special.betaincinv(failed + 1, trials - failed, 0.95))


@dataclass(frozen=True)
class McNemar:
    """Two sets of predictions on the same examples."""

    only_first: int
    """Examples that only the first has right."""
    only_second: int
    """Examples that only the second has right."""
    p: float
    """Exact, two-sided. About these two sets of weights, not about the recipes behind them."""


def mcnemar(first_correct: ArrayLike, second_correct: ArrayLike) -> McNemar:
    """Compare two trained models on the examples that exactly one of them has right (McNemar, 1947; exact binomial).

    Args:
        first_correct: `[n]` booleans, one an example.
        second_correct: `[n]` booleans of the same examples.
    """
    first, second = np.asarray(first_correct, dtype=np.bool_), np.asarray(second_correct, dtype=np.bool_)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    fewer, discordant = min(only_first, only_second), only_first + only_second
    p = 2.0 * float(special.bdtr(fewer, discordant, 0.5)) if discordant else 1.0
    return McNemar(only_first, only_second, min(p, 1.0))
