"""Hold a wrong gradient, with what a formula that explains it may use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.gradcheck.subject import Array

AGREES = 1e-4
"""Relative to the largest entry: how near a formula must come."""


@dataclass(frozen=True)
class Case:
    """A gradient that is wrong, and what formulas may use."""

    name: str
    """What it is the gradient of."""
    found: NDArray[np.float64]
    """What the backward pass gave, in whatever shape."""
    numeric: Array
    """Central differences, in the shape of the value; NaN where none was taken."""
    value: Array
    x: Array
    """First input."""
    y: Array
    dy: Array
    is_input: bool
    labels: NDArray[Any] | None
    values: dict[str, Array] = field(default_factory=dict)
    """All that is differentiated by."""
    differences: dict[str, Array] = field(default_factory=dict)
    """Of those with a gradient."""
    changed: Callable[[str, Callable[[Array], Array]], Array] | None = None
    """Returns the differences of `name` for another value that is changed by a function of the same shape."""
    others: tuple[str, ...] = ()
    """Names of the other values."""
    cached: dict[str, Array] = field(default_factory=dict)
    """What the forward pass left in attributes or returned besides its output."""
    contributions: Callable[[int], Array] | None = None
    """Returns what each number of the output adds to the gradient at one place (a flat index), by differences."""

    @property
    def first(self) -> str:
        """Return the name of the first input."""
        return next(iter(self.values), "x")

    def agrees(self, candidate: Array, wanted: Array | None = None) -> bool:
        """Return whether an array equals the differences, where these were taken; `wanted` stands in for them."""
        numeric = self.numeric if wanted is None else wanted
        if candidate.shape != numeric.shape:
            return False
        there = np.isfinite(numeric)
        if not there.any() or not np.isfinite(candidate[there]).all():
            return False
        size = float(np.max(np.abs(numeric[there])))
        return size > 0 and float(np.max(np.abs(candidate[there] - numeric[there]))) <= AGREES * size

    def is_found(self, candidate: Array) -> bool:
        """Return whether an array equals what the backward pass gave, everywhere."""
        if candidate.shape != self.found.shape:
            return False
        size = float(np.max(np.abs(self.found), initial=0.0))
        return size > 0 and float(np.max(np.abs(candidate - self.found))) <= AGREES * size
