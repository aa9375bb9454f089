"""A user's own data set as a folder of images by class: ``train/CLASS/*.png``, ``test/CLASS/*.png``.

Classes and files are taken in the order of their names. A folder with grey images only has one channel; one with any
colour has three, and its grey images get three equal ones. Images are taken as stored: rotations that EXIF data ask for
are not applied, and that is said. Transparency, in whatever way a file has it, is refused. Names that begin with a dot
are passed over; everything else has to be an image.
"""

import logging
import os
from pathlib import Path

import numpy as np

from eailab.data.dataset import Content, Images, Pixels
from eailab.data.picture import GREY_MODES, decoded, is_turned, opened
from eailab.errors import DataError
from eailab.plain import NOT_UTF8, alike

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_log = logging.getLogger(__name__)
LAYOUT = "train/CLASS/*.png and test/CLASS/*.png"


def image_files(root: Path) -> list[Path]:
    """Return every image of a folder, training images first, in the order in which they are numbered.

    Raises:
        DataError: The folder has not the layout, holds something that is not an image, or a link leads out of it.
    """
    return [file for part in ("train", "test") for folder in _classes(root, part) for file in _files(root, folder)]


def read(root: Path) -> Content:
    """Return the images of a folder.

    Raises:
        DataError: As `image_files`, or: an image cannot be read, has another size than the first one, or is neither
            8-bit grey nor RGB; a class has no training image, or is only among the test images.
    """
    classes = [folder.name for folder in _classes(root, "train")]
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
    """Return what lies in a folder, by name; a link is looked at for where it leads."""
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
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # a link to itself
        raise DataError(f"{path} is a link that leads nowhere: {error}.") from error
    if not inside:
        raise DataError(f"{path} is a link that leads out of {root}: put the images themselves there.")


def _classes(root: Path, part: str) -> list[Path]:
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


def _files(root: Path, folder: Path) -> list[Path]:
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
    for folder in _classes(root, part):
        if folder.name not in classes:
            raise DataError(
                f"{folder} is a class without training images: those of {root / 'train'} are {_listed(classes)}."
            )
        found += [(path, classes.index(folder.name)) for path in _files(root, folder)]
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
