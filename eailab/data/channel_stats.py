"""The scale of images: mean and standard deviation of each channel, by exact sums."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Pixels

SMALLEST_STD = 1e-6
"""A channel that has one value everywhere is divided by this, and so becomes zero."""
AT_ONCE = 1 << 18
"""Values that are held as floating-point numbers at a time; bounds the memory, never changes the result."""


def channel_stats(pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and population standard deviation of each channel, `[C]` each, of images `[N, H, W, C]`.

    The sums of values and of squares over the images, one for each place in an image, are whole numbers below 2^53:
    exact in any order. They are joined as whole numbers, so that only the division, the root and float32 round.
    """
    flat = pixels.reshape(len(pixels), -1)
    sums = np.zeros(flat.shape[1])
    squares = np.zeros(flat.shape[1])
    images = max(1, AT_ONCE // flat.shape[1])
    for start in range(0, len(flat), images):
        part = flat[start : start + images].astype(np.float64)
        sums += part.sum(axis=0)
        squares += np.einsum("np,np->p", part, part)
    channels = pixels.shape[-1]
    count = pixels.size // channels
    totals = [int(total) for total in sums.astype(np.int64).reshape(-1, channels).sum(axis=0)]
    powers = [int(total) for total in squares.astype(np.int64).reshape(-1, channels).sum(axis=0)]
    means = [total / count for total in totals]
    variances = [(power * count - total**2) / count**2 for total, power in zip(totals, powers, strict=True)]
    stds = [max(sqrt(variance), SMALLEST_STD) for variance in variances]
    return np.array(means, np.float32), np.array(stds, np.float32)
