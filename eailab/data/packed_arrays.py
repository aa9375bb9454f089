"""Reading `.npz` files without trusting them: an array whose header and entry in the file disagree is refused."""

import lzma
import zipfile
import zlib
from collections import Counter
from math import prod
from typing import Any, BinaryIO

from numpy.lib import format as npy
from numpy.typing import NDArray

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
        raise ValueError(f"{twice[0]} stands in it twice")
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
            raise ValueError(f"{name} holds Python objects")
        if member.tell() + prod(shape) * dtype.itemsize != entry.file_size or min(shape, default=0) < 0:
            raise ValueError(f"{name} has a header that does not fit it: the shape {shape} of {dtype}")
    with archive.open(entry) as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
    return array


def read_arrays(file: BinaryIO, names: tuple[str, ...], largest: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive that holds these, and no others.

    Args:
        file: The archive.
        names: Of its arrays.
        largest: Bytes that they have at most, unpacked.

    Raises:
        ValueError: It is not such an archive, or is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if sorted(found := members(archive)) != sorted(names):
                raise ValueError(f"it holds {', '.join(found) or 'nothing'}, and should hold {', '.join(names)}")
            if sum(entry.file_size for entry in archive.infolist()) > largest:
                raise ValueError("it would be too large once it is decompressed")
            return {name: read_array(archive, name) for name in names}
    except READING as error:
        raise ValueError(str(error) or type(error).__name__) from error
