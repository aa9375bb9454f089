"""A user's own data set in one `.npz` file: arrays `x_train`, `y_train`, `x_test`, `y_test`, and perhaps `classes`.

Images are `[N, H, W]` (one channel) or `[N, H, W, C]` with 1 to 4 channels, the channels last. Rows of features,
`[N, D]`, become images of `D` rows, one column and one channel, which an MLP sees as they were. Pixels and features
are whole numbers from 0 to 255, labels whole numbers from 0 without gaps; `classes` names them. Nothing is unpickled.
"""

import zipfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eailab.data.dataset import Content, Images, Labels
from eailab.data.packed_arrays import READING, members, read_array
from eailab.errors import DataError
from eailab.files import ARRAYS, opened
from eailab.plain import NOT_UTF8, alike

Array: TypeAlias = NDArray[Any]
"""Of whatever the user saved, before it is checked."""

KEYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CHANNELS = 4
MOST_CLASSES = 65536
"""Predictions are stored as 16-bit integers."""

LARGE_BYTES = 2**30
MOST_EXPANSION = 100
"""An array beyond so many bytes that is so many times its size in the file is taken for a decompression bomb."""


def read(path: Path) -> Content:
    """Return the content of an `.npz` file.

    Raises:
        DataError: The file cannot be read, lacks an array, or one has an impossible type, shape or value, which is
            named by its index.
    """
    arrays = _arrays(path)
    train = _images(arrays, "train", path)
    test = _images(arrays, "test", path)
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise DataError(
            f"{path}: an image of x_train has the shape {arrays['x_train'].shape[1:]}, one of x_test "
            f"{arrays['x_test'].shape[1:]}: make them equal."
        )
    return Content(train, test, _classes(arrays, train.labels, test.labels, path))


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with opened(path, ARRAYS) as stream:
            if stream.peek(len(npy.MAGIC_PREFIX)).startswith(npy.MAGIC_PREFIX):
                raise DataError(f"{path} holds one array, not several: write it with numpy.savez, {_listed(KEYS)}.")
            with zipfile.ZipFile(stream) as archive:
                found = members(archive)
                if absent := [key for key in KEYS if key not in found]:
                    raise DataError(
                        f"{path} has no {_listed(absent)}; it holds {_listed(found) or 'nothing'}. "
                        f"Write it with numpy.savez, {_listed(KEYS)}."
                    )
                return {key: _array(archive, key, path) for key in (*KEYS, *({"classes"} & set(found)))}
    except (ValueError, *READING) as error:
        raise DataError(f"{path} cannot be read as an .npz file: {error}") from error


def _array(archive: zipfile.ZipFile, key: str, path: Path) -> Array:
    member = archive.getinfo(f"{key}.npy")
    if member.file_size > max(LARGE_BYTES, MOST_EXPANSION * member.compress_size):
        raise DataError(
            f"{path}: {key} says that it is {member.file_size:,} bytes, packed into {member.compress_size:,}: too much "
            "to be believed. Where it is true, write the file with numpy.savez, which does not compress."
        )
    try:
        return read_array(archive, key)
    except ValueError as error:
        raise DataError(f"{path}: {error}: save it as an array of numbers, all rows of one length.") from error
    except (MemoryError, *READING) as error:
        raise DataError(f"{path}: {key} is damaged: {error}.") from error


def _images(arrays: dict[str, Array], part: str, path: Path) -> Images:
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if len(x.shape) == 0 or len(x) == 0:
        raise DataError(f"{path}: x_{part} is empty.")
    if y.shape != (len(x),):
        raise DataError(
            f"{path}: y_{part} has the shape {y.shape}, but x_{part} has {len(x)} images: "
            f"give one whole number for each, the shape ({len(x)},)."
        )
    pixels = _whole_numbers(_as_images(x, f"{path}: x_{part}"), f"{path}: x_{part}", 255)
    labels = _whole_numbers(y, f"{path}: y_{part}", MOST_CLASSES - 1)
    return Images(pixels.astype(np.uint8, copy=False), labels.astype(np.int64))


def _as_images(x: Array, what: str) -> Array:
    """Return `[N, D]`, `[N, H, W]` or `[N, H, W, C]` as `[N, H, W, C]`."""
    if x.ndim == 2:
        shaped = x[:, :, np.newaxis, np.newaxis]
    elif x.ndim == 3:
        shaped = x[..., np.newaxis]
    elif x.ndim == 4 and 1 <= x.shape[3] <= MOST_CHANNELS:
        shaped = x
    elif x.ndim == 4 and x.shape[1] <= MOST_CHANNELS:
        raise DataError(f"{what} has the shape {x.shape}: put the channels last, with x.transpose(0, 2, 3, 1).")
    else:
        raise DataError(
            f"{what} has the shape {x.shape}: make it [N, D], [N, H, W] or [N, H, W, C], "
            f"with 1 to {MOST_CHANNELS} channels."
        )
    if 0 in shaped.shape:
        raise DataError(f"{what} has the shape {x.shape}, which holds no pixel.")
    return shaped


def _whole_numbers(array: Array, what: str, largest: int) -> Array:
    """Return the array unchanged if every value is a whole number from 0 to `largest`, whatever its type."""
    if array.dtype.kind not in "iuf":
        raise DataError(f"{what} holds {array.dtype}: make it whole numbers from 0 to {largest}.")
    if array.dtype == np.uint8 and largest >= 255:
        return array
    wrong = ~((array >= 0) & (array <= largest))  # NaN is neither
    if array.dtype.kind == "f":
        wrong |= array != np.floor(array)
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), array.shape))
        scaled = largest == 255 and array.dtype.kind == "f" and bool(((array >= 0) & (array <= 1)).all())
        raise DataError(
            f"{what} is {array[index]} at index {list(index)} (and {int(wrong.sum()) - 1} more are no such number): "
            f"make all whole numbers from 0 to {largest}"
            + (", with (255 * x).round(); eailab scales them itself." if scaled else ".")
        )
    return array


def _classes(arrays: dict[str, Array], train_labels: Labels, test_labels: Labels, path: Path) -> tuple[str, ...]:
    count = int(train_labels.max()) + 1
    images = np.bincount(train_labels, minlength=count)
    if not images.all():
        raise DataError(
            f"{path}: class {int(images.argmin())} has no image in y_train, which goes up to {count - 1}: "
            "number the classes from 0 without gaps."
        )
    if count < 2:
        raise DataError(f"{path}: all labels of y_train are 0: there is nothing to tell apart.")
    beyond = np.flatnonzero(test_labels >= count)
    if len(beyond):
        first = int(beyond[0])
        raise DataError(
            f"{path}: y_test is {test_labels[first]} at index [{first}], a class that y_train has not; "
            f"its classes are 0 to {count - 1}."
        )
    names = arrays.get("classes")
    if names is None:
        return tuple(str(number) for number in range(count))
    if names.dtype.kind != "U" or names.shape != (count,):
        raise DataError(
            f"{path}: classes holds {names.dtype} in the shape {names.shape}: "
            f"make it {count} texts, one for each class of y_train."
        )
    if len(set(names.tolist())) < count or alike(names.tolist()):
        raise DataError(f"{path}: classes names two classes alike: give each a name of its own.")
    if NOT_UTF8.search("".join(names.tolist())):
        raise DataError(f"{path}: classes has half a character in a name: give each a name of whole letters.")
    return tuple(str(name) for name in names)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
