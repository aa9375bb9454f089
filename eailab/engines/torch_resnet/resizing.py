"""Resize images bilinearly by two small matrix products, with a crop of its own for each image.

Shapes: `B` images, `C` channels, `H` rows, `W` columns, `S` samples along a side of the result.
Resizing is linear and acts on rows and columns apart, so that a chain of resizings and crops is one matrix for the rows
and one for the columns: `result = rows @ image @ columns.T`. Nothing is rounded between the links of the chain, where
torchvision rounds to whole pixel values.
"""

import torch
from torch import Tensor


def resizing(samples: int, start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return the weights that resize a part of a line of pixels to `samples`, bilinear with antialiasing.

    The convention is that of PIL and of torchvision (`antialias=True`): pixel centres at halves, and a triangle that
    widens with the scale where the result is smaller; weights at the part's ends are normalised, not extended.

    Args:
        samples: Pixels `S` of the result.
        start: `[B]`, first pixel of each part.
        length: `[B]`, pixels of each part.
        size: Pixels `n` of the line.

    Returns:
        `[B, S, n]`, float32, each row of sum 1.
    """
    start, length = start.float()[:, None, None], length.float()[:, None, None]
    scale = length / samples
    sample = torch.arange(samples, device=start.device, dtype=torch.float32)[:, None]
    pixel = torch.arange(size, device=start.device, dtype=torch.float32) - start
    distance = (pixel + 0.5 - (sample + 0.5) * scale).abs() / scale.clamp(min=1.0)
    weights = (1.0 - distance).clamp(min=0.0) * ((pixel >= 0.0) & (pixel < length))
    return weights / weights.sum(-1, keepdim=True)


def resize(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return `rows @ image @ columns.T` for each channel of each image.

    Args:
        images: `[B, C, H, W]`, float32.
        rows: `[B or 1, S, H]`.
        columns: `[B or 1, S, W]`.

    Returns:
        `[B, C, S, S]`.
    """
    return rows[:, None] @ (images @ columns[:, None].mT)


def scaled_size(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Return height and width after the shorter side is resized to `shorter`, rounded down as in torchvision."""
    if height <= width:
        return shorter, int(shorter * width / height)
    return int(shorter * height / width), shorter
