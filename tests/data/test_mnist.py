import hashlib
from pathlib import Path

import numpy as np
import pytest

from eailab.data import mnist
from eailab.errors import DataError


def test_an_idx_file_is_its_header_then_its_bytes():
    """A case by hand: two images of 1x3."""
    blob = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 11, 12, 250, 251, 252])
    assert mnist.decode_idx(blob, 3, "f").tolist() == [[[10, 11, 12]], [[250, 251, 252]]]


@pytest.mark.parametrize(
    ("blob", "says"),
    [
        (b"", "not an IDX file"),
        (bytes([0, 0, 8, 3, 0, 0]), "not an IDX file"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0]), "not an IDX file"),  # 13: floating-point numbers
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]), "not an IDX file"),  # one dimension where three are asked for
        (bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7]), "holds 1 bytes, but its header says"),
        (bytes([0, 0, 8, 3] + [255] * 12), "holds 0 bytes"),  # 2^96 bytes are not asked for
    ],
)
def test_what_is_no_whole_idx_file_is_refused(blob, says):
    with pytest.raises(DataError, match=says):
        mnist.decode_idx(blob, 3, "images")


def test_plain_and_compressed_files_are_read_alike(tiny_mnist):
    """Torchvision leaves both in the folder; here the test images are compressed only."""
    train, test, classes = mnist.read_mnist(tiny_mnist)
    rng = np.random.default_rng(2)
    np.testing.assert_array_equal(train.pixels[..., 0], rng.integers(0, 256, (12, 28, 28)))
    np.testing.assert_array_equal(train.labels, rng.integers(0, 10, 12))
    np.testing.assert_array_equal(test.pixels[..., 0], rng.integers(0, 256, (4, 28, 28)))
    assert (train.pixels.shape, train.pixels.dtype, train.labels.dtype) == ((12, 28, 28, 1), np.uint8, np.int64)
    assert len(classes) == 10
    assert train.pixels.flags.writeable  # torch warns of arrays that are not


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"])
def test_a_changed_byte_is_found_and_its_file_named(tiny_mnist, name):
    """Whatever was published, one flipped bit of it is another file."""
    path = tiny_mnist / "MNIST" / "raw" / name
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)
    with pytest.raises(DataError, match=rf"{name} is damaged.*checksum is (sha256|md5):"):
        mnist.read_mnist(tiny_mnist)


def test_a_missing_file_is_named(tiny_mnist):
    (tiny_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte is missing"):
        mnist.read_mnist(tiny_mnist)


def test_labels_that_are_no_classes_are_refused(tiny_mnist, monkeypatch):
    """Files may fit their checksums and still not each other."""
    with pytest.raises(DataError, match="does not label the 12 images"):
        mnist.read(tiny_mnist, mnist.MNIST_FILES, ("0", "1"))


def test_the_checksums_are_those_that_torchvision_publishes():
    """Typing errors in 32 digits are easily made."""
    from torchvision.datasets import MNIST, FashionMNIST

    for ours, theirs in ((mnist.MNIST_FILES, MNIST), (mnist.FASHION_FILES, FashionMNIST)):
        published = {f"{theirs.__name__}/raw/{name}": f"md5:{md5}" for name, md5 in theirs.resources}
        assert {f"{file.path}.gz": file.gz_digest for file in ours} == published


def test_the_real_mnist_has_its_known_images(real_data: Path):
    """Shapes, first labels and class counts as published, and each pixel as torchvision reads it."""
    from torchvision.datasets import MNIST

    train, test, _ = mnist.read_mnist(real_data)
    assert train.pixels.shape == (60000, 28, 28, 1)
    assert test.pixels.shape == (10000, 28, 28, 1)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(train.labels[:1000]).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    theirs = MNIST(str(real_data), train=False)
    np.testing.assert_array_equal(test.pixels[..., 0], theirs.data.numpy())
    np.testing.assert_array_equal(test.labels, theirs.targets.numpy())


def test_the_real_files_are_checked_by_sha256(real_data: Path):
    for file in mnist.MNIST_FILES:
        assert file.digest == f"sha256:{hashlib.sha256((real_data / file.path).read_bytes()).hexdigest()}"
