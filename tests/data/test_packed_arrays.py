"""Archives of arrays from a stranger: a header that lies takes no memory, and nothing is read in two ways."""

import io
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from eailab.data.packed_arrays import read_arrays

GOOD = {"a": np.arange(5, dtype=np.uint8), "b": np.zeros((2, 3))}


def packed(arrays=GOOD, save=np.savez_compressed):
    """Return the bytes of an archive."""
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def raw(*members, compression=zipfile.ZIP_DEFLATED):
    """Return an archive of members by name and bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def npy(array, shape=None):
    """Return an array's file, with another shape in its header if one is given."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape if shape is None else shape}
    )
    return file.getvalue() + array.tobytes()


def read(data, largest=10_000):
    return read_arrays(io.BytesIO(data), ("a", "b"), largest)


def test_arrays_come_back_as_they_were():
    for save in (np.savez, np.savez_compressed):
        found = read(packed(save=save))
        assert found.keys() == GOOD.keys()
        assert all(np.array_equal(found[name], GOOD[name]) for name in GOOD)


A, B = ("a.npy", npy(GOOD["a"])), ("b.npy", npy(GOOD["b"]))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a zip"),
        (packed()[:100], "not a zip"),
        (raw(A), "it holds a, and should hold a, b"),
        (raw(A, B, ("c.npy", b"")), "it holds a, b, c"),
        (raw(A, B, A), "a stands in it twice"),
        (raw(A, B, ("a", b"")), "a stands in it twice"),
        (raw(A, ("b.npy", b"")), "EOF"),
        (raw(A, ("b.npy", b"\x93NUMPY\x09\x00")), "version"),
        (
            raw(A, ("b.npy", npy(GOOD["a"], (10**9,)))),
            "b has a header that does not fit it",
        ),
        (raw(A, ("b.npy", npy(GOOD["a"], (-5, -1)))), "does not fit"),
        (raw(A, ("b.npy", npy(GOOD["a"], (4,)))), "does not fit"),
        (packed(GOOD | {"a": np.zeros(20_000, np.uint8)}), "too large"),
        (packed(GOOD | {"a": np.array([{}])}, np.savez), "Python objects"),
        (raw(A, B, compression=zipfile.ZIP_LZMA)[:60] + bytes(20) + raw(A, B, compression=zipfile.ZIP_LZMA)[80:], "."),
    ],
)
def test_an_archive_that_is_not_what_it_says_is_one_clear_error(data, says):
    with pytest.raises(ValueError, match=says):
        read(data)


def test_a_header_that_lies_takes_no_memory():
    data = raw(A, ("b.npy", npy(GOOD["a"], (10**8,))))
    tracemalloc.start()
    with pytest.raises(ValueError, match="does not fit"):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def test_a_bit_flipped_anywhere_is_found_or_harmless():
    """Each member has a checksum; what lies outside of them does not change an array."""
    data = packed()
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x10
        try:
            found = read(bytes(broken))
        except ValueError:
            continue
        assert all(np.array_equal(found[name], GOOD[name]) for name in GOOD)
