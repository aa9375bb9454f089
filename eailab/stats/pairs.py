"""Tests of one pair, and the correction for several: Welch, paired t, equivalence, McNemar, Fisher, Holm."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from eailab.stats.verdict import Interval


@dataclass(frozen=True)
class Difference:
    """A mean difference, first minus second, with Student's t."""

    estimate: float
    standard_error: float
    df: float
    t: float
    p: float
    """Two-sided."""

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return the two-sided interval of this confidence."""
        half = float(special.stdtrit(self.df, 0.5 + confidence / 2.0)) * self.standard_error
        return self.estimate - half, self.estimate + half


def _difference(estimate: float, standard_error: float, df: float) -> Difference:
    """Fill in the statistic; without any spread it is 0 for no difference and infinite for any other."""
    spreadless = math.copysign(math.inf, estimate) if estimate else 0.0
    t = estimate / standard_error if standard_error > 0.0 else spreadless
    return Difference(estimate, standard_error, df, t, 2.0 * float(special.stdtr(df, -abs(t))))


def paired_t(first: ArrayLike, second: ArrayLike) -> Difference:
    """Compare two arms over the blocks they share: the mean of the differences, `n - 1` degrees of freedom.

    Args:
        first: `[n]` values, two or more.
        second: `[n]` values of the same blocks in the same order.
    """
    paired = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    n = len(paired)
    return _difference(float(paired.mean()), float(paired.std(ddof=1)) / math.sqrt(n), n - 1)


def welch_t(first: ArrayLike, second: ArrayLike) -> Difference:
    """Compare two arms that share no blocks and perhaps no spread (Welch, 1947), with Satterthwaite's df.

    Args:
        first: `[n]` values, two or more.
        second: `[m]` values, two or more.
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    a, b = float(one.var(ddof=1)) / len(one), float(two.var(ddof=1)) / len(two)
    df = (a + b) ** 2 / (a**2 / (len(one) - 1) + b**2 / (len(two) - 1)) if a + b > 0.0 else len(one) + len(two) - 2
    return _difference(float(one.mean() - two.mean()), math.sqrt(a + b), df)


def tost_paired(first: ArrayLike, second: ArrayLike, margin: float) -> float:
    """Return the p-value of equivalence: two one-sided paired t-tests against `±margin` (Schuirmann, 1987).

    It is at most 0.05 exactly when the 90% interval of the paired difference lies within the margin.
    """
    pair = paired_t(first, second)
    low = _difference(pair.estimate + margin, pair.standard_error, pair.df)
    high = _difference(pair.estimate - margin, pair.standard_error, pair.df)
    return float(max(special.stdtr(pair.df, -low.t), special.stdtr(pair.df, high.t)))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values adjusted so that all tests together err at the stated level (Holm, 1979).

    The `i`-th smallest of `m` (from 0) is multiplied by `m - i`; none falls below a smaller one's, or rises above 1.
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


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


def fisher_exact(diverged: int, trials: int, other_diverged: int, other_trials: int) -> float:
    """Return the two-sided p-value that two arms diverge equally often (Fisher, 1935).

    The sum of the hypergeometric probabilities that are at most that of the observed table.

    Args:
        diverged: Of the first arm.
        trials: Of the first arm, diverged or not.
        other_diverged: Of the second arm.
        other_trials: Of the second arm.
    """
    total = diverged + other_diverged
    possible = range(max(0, total - other_trials), min(total, trials) + 1)
    ways = [math.comb(trials, x) * math.comb(other_trials, total - x) for x in possible]
    observed = math.comb(trials, diverged) * math.comb(other_trials, other_diverged)
    return sum(way for way in ways if way <= observed) / sum(ways)
