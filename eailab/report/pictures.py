"""Write small images as addresses, so that a page holds them itself."""

import base64
import io

import numpy as np
from PIL import Image

from eailab.data.dataset import Dataset, Pixels

LARGEST_SIDE = 48
"""Pixels; larger images are scaled down."""

FEW_SHADES = 16
"""The largest pixel value of data sets with few shades, such as the digits, whose white it is."""


def brightest(dataset: Dataset) -> int:
    """Return the pixel value of a data set that is shown as white."""
    largest = int(dataset.train.pixels.max())
    return largest if largest <= FEW_SHADES else 255


def data_address(pixels: Pixels, brightest: int = 255) -> str:
    """Return an image as an address that holds all of it.

    Args:
        pixels: `[H, W, C]`, of one channel or three.
        brightest: The value that is shown as white; 16 in the digits.
    """
    if brightest < 255:
        pixels = (pixels.astype(np.uint16) * 255 // max(brightest, 1)).astype(np.uint8)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if max(image.size) > LARGEST_SIDE:
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
