"""Read image files without trusting them, one or a folder of them by class.

A folder is a user's own data set: ``train/CLASS/*.png``, ``test/CLASS/*.png``. Classes and files are taken in the order
of their names. A folder with grey images only has one channel; one with any colour has three, and its grey images get
three equal ones. Images are taken as stored: rotations that EXIF data ask for are not applied, and a note says so.
Transparency, in whatever way a file has it, is refused. Names that begin with a dot are passed over; everything else
has to be an image.
"""

import logging
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from eailab import files
from eailab.data.dataset import Content, Images, Pixels
from eailab.errors import DataError
from eailab.plain import NOT_UTF8, alike

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
        DataError: It is not an image that is read here, or says that it is huge.
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
    """Check whether Pillow would read 16-bit colours as 8-bit ones, for which alone it has a mode."""
    tiles: list[Any] = getattr(image, "tile", [])
    arguments = [one for tile in tiles for one in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    largest = max((one for one in arguments if isinstance(one, int)), default=0) if image.format == "PPM" else 0
    return largest > 255 or any(";16" in str(one) for one in arguments)


def decoded(path: Path, image: Image.Image, channels: int) -> Pixels:
    """Return the pixels of an open image as `[H, W, C]`: grey or RGB, with transparency as a last channel of 2 or 4.

    They are taken as they are stored; see `is_turned`.

    Raises:
        DataError: It is damaged.
    """
    try:
        pixels = np.asarray(image.convert(MODES[channels]))
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all three for damaged files
        raise DataError(f"{path} is damaged: {error}. Replace it, or move it away.") from error
    return pixels.reshape(*pixels.shape[:2], channels)


def is_turned(image: Image.Image) -> bool:
    """Check whether an image's EXIF data ask for it to be turned or mirrored when it is shown."""
    if image.format == "PNG" and "exif" not in image.info:  # else Pillow decodes it whole to search its end
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged ones
            return int(image.getexif().get(ORIENTATION, 1)) > 1
    except (OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error):  # damaged, and of no matter here
        return False


# --- a folder of images by class -------------------------------------------------------------------------------------


SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_log = logging.getLogger(__name__)
LAYOUT = "train/CLASS/*.png and test/CLASS/*.png"


def image_files(root: Path) -> list[Path]:
    """Return every image of a folder, training images first, in the order in which they are numbered.

    Raises:
        DataError: The folder has not the layout, holds something that is not an image, or a link leads out of it.
    """
    return [
        file for part in ("train", "test") for folder in _class_folders(root, part) for file in _images_of(root, folder)
    ]


def read_folder(root: Path) -> Content:
    """Return the images of a folder.

    Raises:
        DataError: As `image_files`, or: an image cannot be read, has another size than the first one, or is neither
            8-bit grey nor RGB; a class has no training image, or is only among the test images.
    """
    classes = [folder.name for folder in _class_folders(root, "train")]
    if len(classes) < 2:
        raise DataError(f"{root / 'train'} has {len(classes)} class folders: make {LAYOUT}, with two classes or more.")
    train, test = (_labelled(root, part, classes) for part in ("train", "test"))
    pixels, turned = _decoded([path for path, _ in train + test])
    if turned:
        _log.info(
            "note: %s of the %s images in %s are turned by their EXIF data, which is not applied: they are taken as "
            "they are stored. Save them upright if that is not meant.",
            turned,
            len(pixels),
            root,
        )
    labels = np.array([label for _, label in train + test], np.int64)
    ends = len(train)
    return Content(Images(pixels[:ends], labels[:ends]), Images(pixels[ends:], labels[ends:]), tuple(classes))


def _visible(root: Path, folder: Path) -> list["os.DirEntry[str]"]:
    """List what lies in a folder, by name, and refuse a link that leads out of the data set."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
            for entry in found:
                if entry.is_symlink():
                    _inside(root, Path(entry.path))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}. The layout is {LAYOUT}.") from error
    return found


def _inside(root: Path, path: Path) -> None:
    """Refuse a path that leads out of the data set's folder."""
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # a link to itself
        raise DataError(f"{path} is a link that leads nowhere: {error}.") from error
    if not inside:
        raise DataError(f"{path} is a link that leads out of {root}: put the images themselves there.")


def _class_folders(root: Path, part: str) -> list[Path]:
    """Return the class folders of one part."""
    folder = root / part
    if not folder.is_dir():
        raise DataError(f"{root} has no folder {part}: the layout is {LAYOUT}.")
    _inside(root, folder)
    entries = _visible(root, folder)
    for entry in entries:
        if not entry.is_dir():
            raise DataError(f"{entry.path} is not a folder of a class: the layout is {LAYOUT}.")
        if NOT_UTF8.search(entry.name):
            raise DataError(f"{entry.path} is a class whose name is not UTF-8: rename the folder, such as to class-1.")
    if two := alike(entry.name for entry in entries):
        raise DataError(f"{folder} has two classes that look the same, {two[0]!a} and {two[1]!a}: rename one of them.")
    return [Path(entry.path) for entry in entries]


def _images_of(root: Path, folder: Path) -> list[Path]:
    """Return the images of one class."""
    entries = _visible(root, folder)
    for entry in entries:
        if not entry.is_file() or not entry.name.lower().endswith(SUFFIXES):
            raise DataError(f"{entry.path} is not an image: move it away, or save it as one of {', '.join(SUFFIXES)}.")
    if not entries:
        raise DataError(f"{folder} has no image: the layout is {LAYOUT}.")
    return [Path(entry.path) for entry in entries]


def _labelled(root: Path, part: str, classes: list[str]) -> list[tuple[Path, int]]:
    """Return the images of one part, each with the number of its class."""
    found = []
    for folder in _class_folders(root, part):
        if folder.name not in classes:
            raise DataError(
                f"{folder} is a class without training images: those of {root / 'train'} are {_listed(classes)}."
            )
        found += [(path, classes.index(folder.name)) for path in _images_of(root, folder)]
    if not found:
        raise DataError(f"{root / part} has no image: the layout is {LAYOUT}.")
    return found


def _decoded(paths: list[Path]) -> tuple[Pixels, int]:
    """Return the pixels of all images `[N, H, W, C]`, which have one channel until the first that has colour.

    The second number is how many are to be turned when they are shown, by their EXIF data.
    """
    pixels, turned = np.empty((0, 0, 0, 1), np.uint8), 0
    for number, path in enumerate(paths):
        with opened(path) as image:
            rows, columns = image.height, image.width
            if number == 0:
                pixels = np.empty((len(paths), rows, columns, 1), np.uint8)
            elif pixels.shape[1:3] != (rows, columns):
                raise DataError(
                    f"{path} is {columns}x{rows} pixels, but {paths[0]} is {pixels.shape[2]}x{pixels.shape[1]}: "
                    "make all images of one size."
                )
            if image.mode not in GREY_MODES and pixels.shape[3] == 1:
                pixels = np.repeat(pixels, 3, axis=3)
            turned += is_turned(image)
            pixels[number] = decoded(path, image, pixels.shape[3])
    return pixels, turned


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
