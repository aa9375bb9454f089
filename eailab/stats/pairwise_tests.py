"""Compare two trained networks (McNemar), and adjust p-values for several tests (Holm)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


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
