"""The scale of images: mean and standard deviation of each channel, by exact sums."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Pixels

SMALLEST_STD = 1e-6
"""A channel of one value is divided by this, and so becomes all zeros."""
AT_ONCE = 1 << 20
"""Pixels that are taken as floating-point numbers at a time; bounds the memory, never the result."""


def channel_scale(pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and population standard deviation of each channel, `[C]` each, of images `[N, H, W, C]`.

    The sums of the values and of their squares are whole numbers below 2^53 in each part, so they are exact in any
    order, and are added up as Python integers; each result is rounded where it is divided, rooted and stored.
    """
    flat = pixels.reshape(-1, pixels.shape[-1])
    count = len(flat)
    sums = [0] * flat.shape[1]
    squares = [0] * flat.shape[1]
    for start in range(0, count, AT_ONCE):
        part = flat[start : start + AT_ONCE].astype(np.float64)
        for channel, (total, square) in enumerate(
            zip(part.sum(axis=0), np.einsum("nc,nc->c", part, part), strict=True)
        ):
            sums[channel] += int(total)
            squares[channel] += int(square)
    means = [total / count for total in sums]
    variances = [
        (square * count - total * total) / (count * count) for total, square in zip(sums, squares, strict=True)
    ]
    stds = [max(sqrt(variance), SMALLEST_STD) for variance in variances]
    return np.array(means, np.float32), np.array(stds, np.float32)
