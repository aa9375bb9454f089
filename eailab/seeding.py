"""Named streams of random numbers: nothing in eailab draws from a global generator."""

from typing import Literal
from zlib import crc32

import numpy as np

Purpose = Literal["split", "init", "order", "augment", "dropout", "mixup"]


def stream(block: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """Return the generator for one use of chance in one block.

    The numbers depend on the block, the purpose's name and the index alone, so that a new use of chance shifts no
    other, all arms of a block share their draws, and a trial resumed at epoch `e` needs no generator's state: it asks
    for ``stream(block, "order", e)``.

    Args:
        block: The block's number, 0 or more.
        purpose: What the numbers are for.
        index: Further coordinates, such as the epoch's number.

    Returns:
        A fresh PCG64 generator, seeded through ``numpy.random.SeedSequence`` (its ``spawn_key`` holds the coordinates).
    """
    key = (crc32(purpose.encode()), *index)
    return np.random.default_rng(np.random.SeedSequence(block, spawn_key=key))
