"""Multiply matrices in fixed arrays: the calls are planned once and then made without arguments.

OpenBLAS copies the parts of a matrix into the order that its kernels like, which pays for large products only. For
CPUs with AVX-512 it also has kernels that read the matrices where they lie, and takes them up to a million
multiplications. A product of a batch lies above that, so it is made there of parts below it: measured on one core
(Xeon, OpenBLAS 0.3.31), 32 rows times 784 x 128 take 32 µs in place of 49, and 64 rows 65 in place of 81.

Shapes: `M` rows and `N` columns of a product, `K` terms of each sum.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from threadpoolctl import threadpool_info

from eailab.engines.numpy_mlp.flat_params import Floats, buffer

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
    """Return how products are planned on this machine, for so many BLAS threads (small parts never use a second)."""
    small = any(
        library["internal_api"] == "openblas" and library.get("architecture") in SMALL_KERNELS
        for library in threadpool_info()
    )
    return in_parts if threads == 1 and small else whole
