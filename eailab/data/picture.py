"""One image file, opened without trusting it."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from eailab import files
from eailab.data.dataset import Pixels
from eailab.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")
"""What Pillow may take a file for, whatever its name says."""
GREY_MODES = ("1", "L")
COLOUR_MODES = ("RGB", "P")
TRANSPARENT_MODES = ("LA", "PA", "RGBA")
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's, by the number of channels."""
ORIENTATION = 0x0112
"""EXIF's tag that says how a camera was held."""
MOST_PIXELS = 4096 * 4096
"""Of one image; a small file that says more is taken for a decompression bomb."""


@contextmanager
def opened(path: Path, channels: int = 3) -> Iterator[Image.Image]:
    """Open an image, whose pixels are not decoded before its size and kind are known to be harmless.

    Args:
        path: The image's file.
        channels: 1 or 3 for one without transparency, 2 or 4 for one with it, in any of the ways that files know.

    Raises:
        DataError: It is no image that is read here, or says that it is huge.
    """
    try:
        with files.opened(path, files.IMAGE) as file:
            yield _checked(file, path, transparent=channels in (2, 4))
    except FileNotFoundError as error:
        raise DataError(f"there is no image {path}.") from error


def _checked(file: BinaryIO, path: Path, *, transparent: bool) -> Image.Image:
    """Read an image's header, and refuse what would not be harmless or exact to decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data, and of large images: the limit below is narrower
            image = Image.open(file, formats=FORMATS)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        reason = f"it is none of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path} cannot be read as an image: {reason}. Replace it, or move it away.") from error
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"{path} says that it is {image.width}x{image.height} pixels: at most {MOST_PIXELS} are read.")
    if image.mode not in GREY_MODES + COLOUR_MODES + TRANSPARENT_MODES:
        raise DataError(f"{path} is of Pillow's mode {image.mode}: save it as 8-bit grey or RGB.")
    if _is_deep(image):
        raise DataError(f"{path} has 16 bits a channel, of which Pillow drops 8: save it as 8-bit grey or RGB.")
    if image.has_transparency_data and not transparent:
        raise DataError(f"{path} has transparency: lay it on a background, and save it as 8-bit grey or RGB.")
    if transparent and not image.has_transparency_data:
        raise DataError(f"{path} has no transparency, as the training images had: save it with an alpha channel.")
    return image


def _is_deep(image: Image.Image) -> bool:
    """Return whether Pillow would read 16-bit colours as 8-bit ones, for which alone it has a mode."""
    tiles: list[Any] = getattr(image, "tile", [])
    arguments = [one for tile in tiles for one in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    largest = max((one for one in arguments if isinstance(one, int)), default=0) if image.format == "PPM" else 0
    return largest > 255 or any(";16" in str(one) for one in arguments)


def decode(path: Path, channels: int) -> Pixels:
    """Return the pixels of an image as `[H, W, C]`: grey or RGB, with transparency as a last channel of 2 or 4.

    They are taken as they are stored; see `is_turned`.

    Raises:
        DataError: The file is missing, damaged, or no image that is read here.
    """
    with opened(path, channels) as image:
        return decoded(path, image, channels)


def decoded(path: Path, image: Image.Image, channels: int) -> Pixels:
    """Return the pixels of an image that is open, as `decode` does.

    Raises:
        DataError: It is damaged.
    """
    try:
        pixels = np.asarray(image.convert(MODES[channels]))
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all three for damaged files
        raise DataError(f"{path} is damaged: {error}. Replace it, or move it away.") from error
    return pixels.reshape(*pixels.shape[:2], channels)


def is_turned(image: Image.Image) -> bool:
    """Return whether an image's EXIF data ask for it to be turned or mirrored when it is shown."""
    if image.format == "PNG" and "exif" not in image.info:  # else Pillow decodes it whole to search its end
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged ones
            return int(image.getexif().get(ORIENTATION, 1)) > 1
    except (OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error):  # damaged, and of no matter here
        return False
