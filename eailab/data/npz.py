"""Read `.npz` files without trusting them: eailab's own, and a user's own data set.

An array whose header and entry in the file disagree is refused, and nothing is unpickled.

A data set has the arrays `x_train`, `y_train`, `x_test`, `y_test`, and perhaps `classes`. Images are `[N, H, W]` (one
channel) or `[N, H, W, C]` with 1 to 4 channels, the channels last. Rows of features, `[N, D]`, become images of `D`
rows, one column and one channel, which an MLP sees as they were. Pixels and features are whole numbers from 0 to 255,
labels whole numbers from 0 without gaps; `classes` names them.
"""

import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eailab.data.dataset import Content, Images, Labels
from eailab.errors import DataError
from eailab.files import ARRAYS, opened
from eailab.plain import NOT_UTF8, alike

READING = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, RuntimeError, KeyError,
)  # fmt: skip
"""What a damaged archive raises besides ValueError; RuntimeError for one that is encrypted."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0, (3, 0): npy.read_array_header_2_0}
"""Readers of an array's header, by the version of numpy's format; the third differs from the second in letters only."""


def members(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of an archive's arrays.

    Raises:
        ValueError: A name stands there twice, so that readers may differ on which array it means.
    """
    names = Counter(name.removesuffix(".npy") for name in archive.namelist())
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"{twice[0]} is in it twice")
    return list(names)


def read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Return an array, for which no more memory is taken than its entry in the archive has bytes.

    Raises:
        ValueError: It is not an array of numbers or texts, or its header does not fit its size; nothing is unpickled.
        READING: The archive is damaged.
    """
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as member:
        version = npy.read_magic(member)
        if version not in _HEADERS:
            raise ValueError(f"{name} is of the version {version} of numpy's format, which is not known")
        shape, _, dtype = _HEADERS[version](member)
        if dtype.hasobject:
            raise ValueError(f"{name} contains Python objects")
        if member.tell() + prod(shape) * dtype.itemsize != entry.file_size or min(shape, default=0) < 0:
            raise ValueError(f"{name} has a header that does not fit it: the shape {shape} of {dtype}")
    with archive.open(entry) as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
    return array


def read_arrays(
    file: BinaryIO, names: tuple[str, ...], largest: int, wanted: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive that holds those of these names, and no others.

    Unpacked, they have at most `largest` bytes; only those that are wanted are read, or all where none is named.

    Raises:
        ValueError: It is not such an archive, or is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if sorted(found := members(archive)) != sorted(names):
                raise ValueError(f"it holds {', '.join(found) or 'nothing'}, and should hold {', '.join(names)}")
            if sum(entry.file_size for entry in archive.infolist()) > largest:
                raise ValueError("it would be too large once it is decompressed")
            return {name: read_array(archive, name) for name in names if not wanted or name in wanted}
    except READING as error:
        raise ValueError(str(error) or type(error).__name__) from error


# --- a user's own data set -------------------------------------------------------------------------------------------


Array: TypeAlias = NDArray[Any]
"""Of whatever the user saved, before it is checked."""

KEYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CHANNELS = 4
MOST_CLASSES = 65536
"""Predictions are stored as 16-bit integers."""

LARGE_BYTES = 2**30
MOST_EXPANSION = 100
"""An array beyond this many bytes that is this many times its size in the file is taken for a decompression bomb."""


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
                raise DataError(
                    f"{path} contains one array, not several: write it with numpy.savez, {', '.join(KEYS)}."
                )
            with zipfile.ZipFile(stream) as archive:
                found = members(archive)
                if absent := [key for key in KEYS if key not in found]:
                    raise DataError(
                        f"{path} has no {', '.join(absent)}; it holds {', '.join(found) or 'nothing'}. "
                        f"Write it with numpy.savez, {', '.join(KEYS)}."
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
        raise DataError(f"{path}: all labels of y_train are 0: there is nothing to distinguish.")
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


def pack_counts(arrays: Mapping[str, NDArray[np.unsignedinteger]]) -> bytes:
    """Return an archive of arrays of numbers from 0 on, each in the smallest type that holds it."""
    file = io.BytesIO()
    small = {name: array.astype(np.min_scalar_type(int(array.max(initial=0)))) for name, array in arrays.items()}
    np.savez_compressed(file, allow_pickle=False, **small)
    return file.getvalue()
