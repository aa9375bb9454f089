"""A user's own data set as a folder of images by class: ``train/CLASS/*.png``, ``test/CLASS/*.png``.

Classes and files are taken in the order of their names. A folder with grey images only has one channel; one with any
colour has three, and its grey images get three equal ones. Images are taken as stored: EXIF rotations are not applied.
Names that begin with a dot are passed over; everything else has to be an image.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eailab.data.dataset import Content, Images
from eailab.data.picture import GREY_MODES, decode, opened
from eailab.errors import DataError
from eailab.plain import NOT_UTF8, alike

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
LAYOUT = "train/CLASS/*.png and test/CLASS/*.png"


@dataclass(frozen=True)
class _Header:
    path: Path
    label: int
    size: tuple[int, int]
    """Columns and rows, as Pillow has them."""
    mode: str


def image_files(root: Path) -> list[Path]:
    """Return every image of a folder, training images first, in the order in which they are numbered.

    Raises:
        DataError: The folder has not the layout, holds something that is no image, or a link leads out of it.
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
    headers = {part: _headers(root, part, classes) for part in ("train", "test")}
    everything = [*headers["train"], *headers["test"]]
    first = everything[0]
    odd = next((header for header in everything if header.size != first.size), None)
    if odd is not None:
        raise DataError(
            f"{odd.path} is {odd.size[0]}x{odd.size[1]} pixels, but {first.path} is {first.size[0]}x{first.size[1]}: "
            "make all images of one size."
        )
    mode = "L" if all(header.mode in GREY_MODES for header in everything) else "RGB"
    return Content(_decoded(headers["train"], mode), _decoded(headers["test"], mode), tuple(classes))


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted((entry for entry in folder.iterdir() if entry.name[0] != "."), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}. The layout is {LAYOUT}.") from error


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
    entries = _visible(folder)
    for entry in entries:
        _inside(root, entry)
        if not entry.is_dir():
            raise DataError(f"{entry} is no folder of a class: the layout is {LAYOUT}.")
        if NOT_UTF8.search(entry.name):
            raise DataError(f"{entry} is a class whose name is not UTF-8: rename the folder, such as to class-1.")
    if two := alike(entry.name for entry in entries):
        raise DataError(f"{folder} has two classes that look the same, {two[0]!a} and {two[1]!a}: rename one of them.")
    return entries


def _files(root: Path, folder: Path) -> list[Path]:
    """Return the images of one class."""
    entries = _visible(folder)
    for entry in entries:
        _inside(root, entry)
        if not entry.is_file() or entry.suffix.lower() not in SUFFIXES:
            raise DataError(f"{entry} is no image: move it away, or save it as one of {', '.join(SUFFIXES)}.")
    if not entries:
        raise DataError(f"{folder} has no image: the layout is {LAYOUT}.")
    return entries


def _headers(root: Path, part: str, classes: list[str]) -> list[_Header]:
    headers = []
    for folder in _classes(root, part):
        if folder.name not in classes:
            raise DataError(
                f"{folder} is a class without training images: those of {root / 'train'} are {_listed(classes)}."
            )
        label = classes.index(folder.name)
        for path in _files(root, folder):
            with opened(path) as image:
                headers.append(_Header(path, label, image.size, image.mode))
    if not headers:
        raise DataError(f"{root / part} has no image: the layout is {LAYOUT}.")
    return headers


def _decoded(headers: list[_Header], mode: str) -> Images:
    columns, rows = headers[0].size
    pixels = np.empty((len(headers), rows, columns, 1 if mode == "L" else 3), np.uint8)
    for number, header in enumerate(headers):
        pixels[number] = decode(header.path, pixels.shape[3])
    return Images(pixels, np.array([header.label for header in headers], np.int64))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
