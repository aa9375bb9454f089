"""Keep all numbers of a kind in one contiguous array, with a named view for each part.

An optimizer then moves all parameters in one pass, a state is one array, and nothing is copied between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]

LINE = 64
"""Bytes of a cache line; each part starts on one, so that no vector straddles two."""


def aligned(size: int, dtype: DTypeLike) -> Floats:
    """Return `[size]` zeros that start on a cache line."""
    kind = np.dtype(dtype)
    room = np.zeros(size * kind.itemsize + LINE, dtype=np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size * kind.itemsize].view(kind)


def buffer(shape: tuple[int, ...], dtype: DTypeLike) -> Floats:
    """Return zeros of a shape that start on a cache line."""
    return aligned(prod(shape), dtype).reshape(shape)


def _whole_lines(size: int) -> int:
    """Return the size in numbers, rounded up to whole cache lines of 32-bit ones."""
    return -(-size // 16) * 16


@dataclass(frozen=True)
class Layout:
    """Where each named part lies within one flat array."""

    parts: Mapping[str, tuple[int, tuple[int, ...]]]
    """Start and shape of each part."""
    size: int
    """Length of the flat array; the few numbers between the parts are 0 and stay 0."""

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """Lay parts out one after another, each from the start of a cache line (of float32)."""
        parts, end = {}, 0
        for name, shape in shapes.items():
            parts[name] = (end, shape)
            end += _whole_lines(prod(shape))
        return cls(parts, end)

    @property
    def count(self) -> int:
        """How many numbers the parts have."""
        return sum(prod(shape) for _, shape in self.parts.values())

    def end(self, name: str) -> int:
        """Return where the part after this one starts."""
        start, shape = self.parts[name]
        return start + _whole_lines(prod(shape))

    def zeros(self, dtype: DTypeLike) -> Floats:
        """Return a flat array for this layout."""
        return aligned(self.size, dtype)

    def view(self, flat: Floats, name: str) -> Floats:
        """Return one part of a flat array, in its shape, without a copy."""
        start, shape = self.parts[name]
        return flat[start : start + prod(shape)].reshape(shape)
