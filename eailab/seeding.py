"""Make named streams of random numbers: nothing in eailab draws from a global generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

LARGEST_BLOCK = 2**31 - 1
"""Of a block's number, which is also the largest seed that other programs' generators take."""

TUNING_BLOCKS = 1_000_000
"""The first block that settings are tuned on; no study is judged on one of the thousand from here on."""
LARGEST_NUMBER_OF_TUNING_BLOCKS = 1000

Purpose = Literal["split", "init", "order", "augment", "dropout", "mixup", "forward"]


def stream(block: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """Return the generator for one use of chance in one block.

    The numbers depend on the block, the purpose's name and the index alone, so that a new use of chance shifts no
    other, all arms of a block share their draws, and a trial resumed at epoch `e` needs no generator's state: it asks
    for ``stream(block, "order", e)``.

    Args:
        block: The block's number, 0 to `LARGEST_BLOCK`.
        purpose: What the numbers are for.
        index: Further coordinates, such as the epoch's number.

    Returns:
        A fresh PCG64 generator, seeded through ``numpy.random.SeedSequence`` (its ``spawn_key`` holds the coordinates).
    """
    import numpy as np  # here, since a list of trials asks for blocks' numbers only

    key = (crc32(purpose.encode()), *index)
    return np.random.default_rng(np.random.SeedSequence(block, spawn_key=key))


def is_for_tuning(block: int) -> bool:
    """Return whether settings are tuned on a block, so that no study is judged on it."""
    return TUNING_BLOCKS <= block < TUNING_BLOCKS + LARGEST_NUMBER_OF_TUNING_BLOCKS


def skip(generator: np.random.Generator, count: int, dtype: DTypeLike) -> None:
    """Move a fresh generator past `count` numbers of `Generator.random(dtype=…)`, without drawing them.

    >>> import numpy as np
    >>> drawn, skipped = stream(0, "dropout"), stream(0, "dropout")
    >>> _ = drawn.random(7, np.float32)
    >>> skip(skipped, 7, np.float32)
    >>> bool(drawn.random(dtype=np.float32) == skipped.random(dtype=np.float32))
    True
    """
    import numpy as np

    bits = generator.bit_generator
    assert isinstance(bits, np.random.PCG64)  # noqa: S101 - `stream` returns no other
    numbers_a_draw = 8 // np.dtype(dtype).itemsize  # a draw has 64 bits: two numbers of 32
    bits.advance(count // numbers_a_draw)
    for _ in range(count % numbers_a_draw):
        generator.random(dtype=np.float32)
