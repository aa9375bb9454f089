"""Compile Python loops by numba.

numba compiles each at its first call (0.1 to 0.8 s) and keeps the machine code beside its module, or in the user's
cache folder where that is not writable (`NUMBA_CACHE_DIR` names another). Where neither is, each process
compiles again.

The flags allow a product and a sum to be contracted, sums to be taken in another order, and a division to be made by
an approximate reciprocal with a Newton step (about 1 unit in the last place): on one machine the bits are always the
same, between machines they may differ, as with BLAS. Infinities and NaNs keep their meaning.
"""

from typing import Any

from numba import njit

FLAGS = {"contract", "reassoc", "arcp", "afn", "nsz"}


def compiled(function: Any) -> Any:
    """Return a loop that is compiled at its first call."""
    try:
        return njit(cache=True, fastmath=FLAGS, error_model="numpy")(function)
    except RuntimeError:  # there is no folder to keep the machine code in
        return njit(fastmath=FLAGS, error_model="numpy")(function)
