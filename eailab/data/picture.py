"""One image file, opened without trusting it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from eailab import files
from eailab.data.dataset import Pixels
from eailab.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")
"""What Pillow may take a file for, whatever its name says."""
GREY_MODES = ("1", "L")
COLOUR_MODES = ("RGB", "P")
MOST_PIXELS = 4096 * 4096
"""Of one image; a small file that says more is taken for a decompression bomb."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image, whose pixels are not decoded before its size and kind are known to be harmless.

    Raises:
        DataError: It is no image that is read here, or says that it is huge.
    """
    try:
        with files.opened(path, files.IMAGE) as file:
            yield _checked(file, path)
    except FileNotFoundError as error:
        raise DataError(f"there is no image {path}.") from error


def _checked(file: BinaryIO, path: Path) -> Image.Image:
    """Read an image's header, and refuse what would not be harmless or exact to decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is narrower
            image = Image.open(file, formats=FORMATS)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        reason = f"it is none of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path} cannot be read as an image: {reason}. Replace it, or move it away.") from error
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"{path} says that it is {image.width}x{image.height} pixels: at most {MOST_PIXELS} are read.")
    if image.mode not in GREY_MODES + COLOUR_MODES:
        raise DataError(f"{path} is of Pillow's mode {image.mode}: save it as 8-bit grey or RGB.")
    return image


def decode(path: Path, channels: int) -> Pixels:
    """Return the pixels of an image as `[H, W, C]`, with 1 (grey) or 3 (RGB) channels.

    Raises:
        DataError: The file is missing, damaged, or no image that is read here.
    """
    with opened(path) as image:
        return decoded(path, image, channels)


def decoded(path: Path, image: Image.Image, channels: int) -> Pixels:
    """Return the pixels of an image that is open, as `decode` does.

    Raises:
        DataError: It is damaged.
    """
    try:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all three for damaged files
        raise DataError(f"{path} is damaged: {error}. Replace it, or move it away.") from error
    return pixels.reshape(*pixels.shape[:2], channels)
