"""Archives of arrays from a stranger: a header that lies takes no memory, and nothing is read in two ways."""

import io
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from eailab.data import npz
from eailab.data.npz import read_arrays
from eailab.errors import DataError

RNG = np.random.default_rng(3)
X = RNG.integers(0, 256, (12, 5, 4)).astype(np.uint8)
Y = np.arange(12) % 3
GOOD = {"x_train": X, "y_train": Y, "x_test": X[:5], "y_test": Y[:5]}


@pytest.fixture
def saved(tmp_path):
    """Writes arrays to a file, with some changed, and returns its path."""

    def save(**changed):
        np.savez(tmp_path / "mine.npz", **{k: v for k, v in {**GOOD, **changed}.items() if v is not None})
        return tmp_path / "mine.npz"

    return save


def test_grey_images_are_read_as_saved(saved):
    train, test, classes = npz.read(saved())
    np.testing.assert_array_equal(train.pixels[..., 0], X)
    np.testing.assert_array_equal(test.labels, Y[:5])
    assert (train.pixels.dtype, train.labels.dtype, classes) == (np.uint8, np.int64, ("0", "1", "2"))


def test_pixels_from_0_to_1_are_told_how_to_become_whole_numbers(saved):
    """Most frameworks hand images out so; what else is no whole number is not taken for that."""
    with pytest.raises(DataError, match=r"make all whole numbers from 0 to 255, with \(255 \* x\)\.round\(\)"):
        npz.read(saved(x_train=X / 255.0))
    with pytest.raises(DataError, match=r"make all whole numbers from 0 to 255\.$"):
        npz.read(saved(x_train=X / 127.5 - 1.0))


@pytest.mark.parametrize(
    ("shape", "read_as"), [((7,), (7, 1, 1)), ((6, 4), (6, 4, 1)), ((6, 4, 3), (6, 4, 3)), ((2, 9, 1), (2, 9, 1))]
)
def test_features_and_images_become_images_with_channels_last(saved, shape, read_as):
    """The values keep their order, so that an MLP sees the rows as they were."""
    x = RNG.integers(0, 256, (12, *shape)).astype(np.uint8)
    pixels = npz.read(saved(x_train=x, x_test=x[:5])).train.pixels
    assert pixels.shape == (12, *read_as)
    np.testing.assert_array_equal(pixels.reshape(12, -1), x.reshape(12, -1))


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_taken_without_loss(saved, dtype):
    contents = npz.read(saved(x_train=X.astype(dtype), y_train=Y.astype(dtype)))
    np.testing.assert_array_equal(contents.train.pixels[..., 0], X)
    np.testing.assert_array_equal(contents.train.labels, Y)


def test_classes_have_the_names_given(saved):
    assert npz.read(saved(classes=np.array(["cat", "dog", "emu"]))).classes == ("cat", "dog", "emu")


def changed(array, index, value, dtype=np.float64):
    """A copy with one value replaced."""
    copy = array.astype(dtype)
    copy[index] = value
    return copy


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"y_test": None}, r"has no y_test; it holds x_train, y_train, x_test"),
        ({"x_train": changed(X, (3, 1, 2), np.nan)}, r"x_train is nan at index \[3, 1, 2, 0\]"),
        ({"x_test": changed(X[:5], (4, 0, 0), np.inf)}, r"x_test is inf at index \[4, 0, 0, 0\]"),
        ({"x_train": X / 255}, r"x_train is 0\.\d+ at index .* make all whole numbers from 0 to 255"),
        ({"x_train": changed(X, (0, 0, 0), -1, np.int16)}, r"x_train is -1 at index \[0, 0, 0, 0\]"),
        ({"x_train": changed(X, (11, 4, 3), 256, np.int16)}, r"x_train is 256 at index \[11, 4, 3, 0\] \(and 0 more"),
        ({"x_train": X > 9}, "x_train holds bool"),
        ({"x_train": X.astype(complex)}, "x_train holds complex128"),
        ({"y_train": np.array(list("abcabcabcabc"))}, "y_train holds <U1"),
        ({"y_train": changed(Y, 7, 1.5)}, r"y_train is 1\.5 at index \[7\]"),
        ({"y_train": changed(Y, 7, np.nan)}, r"y_train is nan at index \[7\]"),
        ({"y_train": changed(Y, 0, -1, int)}, r"y_train is -1 at index \[0\]"),
        ({"y_train": changed(Y, 0, 70000, int)}, r"y_train is 70000 at index \[0\]"),
        ({"y_train": Y + 1}, "class 0 has no image in y_train, which goes up to 3"),
        ({"y_train": Y * 0}, "all labels of y_train are 0"),
        ({"y_test": Y[:5] + 1}, r"y_test is 3 at index \[2\], a class that y_train has not"),
        ({"y_train": Y[:11]}, r"y_train has the shape \(11,\), but x_train has 12 images"),
        ({"y_train": Y[:, None]}, r"y_train has the shape \(12, 1\)"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train is empty"),
        ({"x_train": np.uint8(3)}, "x_train is empty"),
        ({"x_train": X[:, :0]}, "holds no pixel"),
        ({"x_test": X[:5, :4]}, r"an image of x_train has the shape \(5, 4\), one of x_test \(4, 4\)"),
        ({"x_train": np.zeros((12, 3, 8, 8), np.uint8)}, r"channels last, with x\.transpose\(0, 2, 3, 1\)"),
        ({"x_train": np.zeros((12, 8, 8, 8), np.uint8)}, "1 to 4 channels"),
        ({"x_train": np.zeros(12, np.uint8)}, r"make it \[N, D\]"),
        ({"classes": np.array(["cat", "dog"])}, "make it 3 texts"),
        ({"classes": np.array([1, 2, 3])}, "make it 3 texts"),
        ({"classes": np.array(["cat", "dog", "cat"])}, "two classes alike"),
        ({"x_train": np.array([[1], [2, 3]] * 6, dtype=object)}, "x_train contains Python objects"),
    ],
)
def test_impossible_arrays_are_refused_with_the_place(saved, arrays, says):
    with pytest.raises(DataError, match=says):
        npz.read(saved(**arrays))


def test_objects_are_not_unpickled(saved, tmp_path):
    """An array of objects is a pickle, and would run what it says."""

    class Evil:
        def __reduce__(self):
            return (tmp_path / "marker").mkdir, ()

    with pytest.raises(DataError, match="Python objects"):
        npz.read(saved(x_train=np.array([Evil()] * 12, dtype=object)))
    assert not (tmp_path / "marker").exists()


def test_a_decompression_bomb_is_not_unpacked(saved, tmp_path, monkeypatch):
    """A thousandth of the size in the file; an array that is as large but not packed is taken."""
    monkeypatch.setattr(npz, "LARGE_BYTES", 10_000)
    even = {"x_train": np.zeros((1000, 5, 4), np.uint8), "y_train": np.arange(1000) % 3}
    assert len(npz.read(saved(**even))[0].pixels) == 1000
    np.savez_compressed(tmp_path / "bomb.npz", **GOOD | even)
    with pytest.raises(DataError, match="x_train says that it is 20,128 bytes"):
        npz.read(tmp_path / "bomb.npz")


def test_other_and_torn_files_are_refused(saved, tmp_path):
    path = saved()
    blob = path.read_bytes()
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(DataError, match=r"mine\.npz cannot be read"):
        npz.read(path)
    path.write_bytes(blob.replace(X.tobytes()[:200], bytes(200), 1))
    with pytest.raises(DataError, match="x_train is damaged"):
        npz.read(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"mine\.npz cannot be read"):
        npz.read(path)
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(DataError, match="contains one array"):
        npz.read(tmp_path / "one.npy")


ARRAYS = {"a": np.arange(5, dtype=np.uint8), "b": np.zeros((2, 3))}


def packed(arrays=ARRAYS, save=np.savez_compressed):
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
        assert found.keys() == ARRAYS.keys()
        assert all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)


A, B = ("a.npy", npy(ARRAYS["a"])), ("b.npy", npy(ARRAYS["b"]))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a zip"),
        (packed()[:100], "not a zip"),
        (raw(A), "it holds a, and should hold a, b"),
        (raw(A, B, ("c.npy", b"")), "it holds a, b, c"),
        (raw(A, B, A), "a is in it twice"),
        (raw(A, B, ("a", b"")), "a is in it twice"),
        (raw(A, ("b.npy", b"")), "EOF"),
        (raw(A, ("b.npy", b"\x93NUMPY\x09\x00")), "version"),
        (
            raw(A, ("b.npy", npy(ARRAYS["a"], (10**9,)))),
            "b has a header that does not fit it",
        ),
        (raw(A, ("b.npy", npy(ARRAYS["a"], (-5, -1)))), "does not fit"),
        (raw(A, ("b.npy", npy(ARRAYS["a"], (4,)))), "does not fit"),
        (packed(ARRAYS | {"a": np.zeros(20_000, np.uint8)}), "too large"),
        (packed(ARRAYS | {"a": np.array([{}])}, np.savez), "Python objects"),
        (raw(A, B, compression=zipfile.ZIP_LZMA)[:60] + bytes(20) + raw(A, B, compression=zipfile.ZIP_LZMA)[80:], "."),
    ],
)
def test_an_archive_that_is_not_what_it_says_is_one_clear_error(data, says):
    with pytest.raises(ValueError, match=says):
        read(data)


def test_a_header_that_lies_takes_no_memory():
    data = raw(A, ("b.npy", npy(ARRAYS["a"], (10**8,))))
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
        assert all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)
