"""The IDX format of MNIST: a magic number, the sizes as big-endian 32-bit integers, then the bytes themselves.

Described at the end of LeCun, Cortes & Burges, "The MNIST database of handwritten digits". Only unsigned bytes
(type 0x08) are read; the MNIST family has no other.
"""

from math import prod

import numpy as np

from eailab.data.dataset import Pixels
from eailab.errors import DataError

UNSIGNED_BYTE = 0x08


def decode(blob: bytes, dimensions: int, where: str) -> Pixels:
    """Return the array of an IDX file.

    Args:
        blob: The whole file, not compressed.
        dimensions: How many dimensions the array should have.
        where: The file's name, for messages.

    Raises:
        DataError: This is no IDX file of unsigned bytes with so many dimensions, or its length is not what it says.
    """
    header = 4 * (1 + dimensions)
    if blob[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)) or len(blob) < header:
        raise DataError(
            f"{where} is no IDX file of unsigned bytes in {dimensions} dimensions: begins {blob[:4].hex()}."
        )
    shape = tuple(int(size) for size in np.frombuffer(blob, ">u4", dimensions, offset=4))
    if len(blob) - header != prod(shape):
        raise DataError(f"{where} holds {len(blob) - header} bytes, but its header says {shape}: it is cut or damaged.")
    return np.frombuffer(blob, np.uint8, offset=header).reshape(shape).copy()  # a view of bytes cannot be written to
