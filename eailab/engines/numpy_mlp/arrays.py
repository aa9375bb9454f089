"""Keep numbers in aligned arrays, with a named view for each part, and plan the products of matrices.

All numbers of a kind lie in one contiguous array: an optimizer moves all parameters in one pass, a state is one array,
and nothing is copied between them. Products of fixed arrays are planned once and then made without arguments.

OpenBLAS copies the parts of a matrix into the order that its kernels like, which pays for large products only. For
CPUs with AVX-512 it also has kernels that read the matrices where they lie, and takes them up to a million
multiplications. A product of a batch lies above that, so it is made there of parts below it: measured on one core
(Xeon, OpenBLAS 0.3.31), 32 rows times 784 x 128 take 32 µs in place of 49, and 64 rows 65 in place of 81.

Shapes: `M` rows and `N` columns of a product, `K` terms of each sum.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_info

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
    """Hold where each named part lies within one flat array."""

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
        """Count the numbers of all parts."""
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


# --- matrix products -------------------------------------------------------------------------------------------------


Call: TypeAlias = Callable[[], object]
Plan: TypeAlias = Callable[[Floats, Floats, Floats], Call]
"""Given `left` `[M, K]`, `right` `[K, N]` and `out` `[M, N]`, returns a call that writes the product."""

SMALL = 1_000_000
"""Multiplications up to which OpenBLAS's kernels for small products are used."""

COPIED = 4096
"""Numbers of a transposed right side up to which it is quicker to copy it first (1 µs) than to read it as it lies."""

SMALL_KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""OpenBLAS's names of the CPUs for which it has such kernels."""


def whole(left: Floats, right: Floats, out: Floats) -> Call:
    """Plan a product in one piece."""
    return partial(np.dot, left, right, out)


def in_parts(left: Floats, right: Floats, out: Floats) -> Call:
    """Plan a product in parts of some rows, or of all, that are small enough, if there is a number that is quicker."""
    terms, columns = right.shape
    most = SMALL // max(terms * columns, 1)
    if not right.flags.c_contiguous and right.size <= COPIED:
        return _copied(left, right, out)
    if not right.flags.c_contiguous:
        most = min(most, 8)  # beyond, the kernel for a transposed right side is slower than the copies
    if not left.flags.c_contiguous and terms > 128:
        most = 0  # likewise for a transposed left side
    rows = next((part for part in range(min(most, len(left)), 3, -1) if len(left) % part == 0), 0)
    if not rows:
        return whole(left, right, out)
    parts = len(left) // rows
    return partial(np.matmul, left.reshape(parts, rows, terms), right, out.reshape(parts, rows, columns))


def _copied(left: Floats, right: Floats, out: Floats) -> Call:
    """Plan a product whose right side is first copied into the order of its rows."""
    copy = buffer(right.shape, right.dtype)
    product = in_parts(left, copy, out)

    def call() -> None:
        np.copyto(copy, right)
        product()

    return call


def plan_for(threads: int) -> Plan:
    """Return how products are planned on this machine, for this many BLAS threads (small parts never use a second)."""
    return in_parts if threads == 1 and _has_small_kernels() else whole


@cache
def _has_small_kernels() -> bool:
    """Ask numpy's BLAS once, since each question reads through all libraries of the process (3 ms next to torch)."""
    return any(
        library["internal_api"] == "openblas" and library.get("architecture") in SMALL_KERNELS
        for library in threadpool_info()
    )
