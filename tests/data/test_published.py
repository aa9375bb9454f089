import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from eailab.data import published
from eailab.data.dataset import fingerprint
from eailab.errors import DataError


def test_an_idx_file_is_its_header_then_its_bytes():
    """A case by hand: two images of 1x3."""
    blob = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 11, 12, 250, 251, 252])
    assert published.decode_idx(blob, 3, "f").tolist() == [[[10, 11, 12]], [[250, 251, 252]]]


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
        published.decode_idx(blob, 3, "images")


def test_plain_and_compressed_files_are_read_alike(tiny_mnist):
    """Torchvision leaves both in the folder; here the test images are compressed only."""
    train, test, classes = published.read_mnist(tiny_mnist)
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
        published.read_mnist(tiny_mnist)


def test_a_missing_file_is_named(tiny_mnist):
    (tiny_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte is missing"):
        published.read_mnist(tiny_mnist)


def test_labels_that_are_no_classes_are_refused(tiny_mnist, monkeypatch):
    """Files may fit their checksums and still not each other."""
    with pytest.raises(DataError, match="does not label the 12 images"):
        published.read_idx(tiny_mnist, published.MNIST_FILES, ("0", "1"))


def test_the_checksums_are_those_that_torchvision_publishes():
    """Typing errors in 32 digits are easily made."""
    from torchvision.datasets import MNIST, FashionMNIST

    for ours, theirs in ((published.MNIST_FILES, MNIST), (published.FASHION_FILES, FashionMNIST)):
        official = {f"{theirs.__name__}/raw/{name}": f"md5:{md5}" for name, md5 in theirs.resources}
        assert {f"{file.path}.gz": file.gz_digest for file in ours} == official


def test_the_real_mnist_has_its_known_images(real_data: Path):
    """Shapes, first labels and class counts as published, and each pixel as torchvision reads it."""
    from torchvision.datasets import MNIST

    train, test, _ = published.read_mnist(real_data)
    assert train.pixels.shape == (60000, 28, 28, 1)
    assert test.pixels.shape == (10000, 28, 28, 1)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(train.labels[:1000]).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    theirs = MNIST(str(real_data), train=False)
    np.testing.assert_array_equal(test.pixels[..., 0], theirs.data.numpy())
    np.testing.assert_array_equal(test.labels, theirs.targets.numpy())


def test_the_real_files_are_checked_by_sha256(real_data: Path):
    for file in published.MNIST_FILES:
        assert file.digest == f"sha256:{hashlib.sha256((real_data / file.path).read_bytes()).hexdigest()}"


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"mkdir '{self.path}'",)


def batch(**changed) -> dict:
    """What an official file holds, with 10,000 images of one pixel value each."""
    data = np.repeat((np.arange(10000) % 251).astype(np.uint8), 3072).reshape(10000, 3072)
    data[:, 1024:2048] = 252
    data[:, 31] = 253
    return {b"data": data, b"labels": [n % 10 for n in range(10000)], **{k.encode(): v for k, v in changed.items()}}


def test_a_pickle_that_runs_a_command_is_refused_even_with_the_published_checksum(cifar_batch, tmp_path):
    """MD5 can be forged, so the checksum is not the only lock."""
    marker = tmp_path / "marker"
    folder = cifar_batch(Evil(marker))
    with pytest.raises(DataError, match=r"data_batch_1 is not opened: it asks for (posix|nt)\.system"):
        published.read_cifar10(folder)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Evil(marker)))  # noqa: S301 - the attack is a real one
    assert marker.exists()


@pytest.mark.parametrize(
    "name", ["builtins.eval", "numpy.load", "numpy.ctypeslib.load_library", "numpy.core.multiarray.scalar"]
)
def test_nothing_but_the_parts_of_an_array_is_admitted(name):
    module, _, attribute = name.rpartition(".")
    with pytest.raises(DataError, match=name):
        published.unpickle(f"c{module}\n{attribute}\n.".encode(), "batch")


def test_planes_of_colour_become_pixels(cifar_batch):
    """A file has 1,024 red, then green, then blue values an image, row by row."""
    images = published.read_cifar10(cifar_batch(batch())).train
    assert images.pixels.shape == (10000, 32, 32, 3)
    assert images.pixels[7, 5, 9].tolist() == [7, 252, 7]
    assert images.pixels[7, 0, 31].tolist() == [253, 252, 7]
    assert images.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1, 2], "holds a list"),
        (batch(data=np.zeros((10000, 3072), np.int8)), "under 'data'"),
        (batch(data=np.zeros((10, 3072), np.uint8)), "under 'data'"),
        (batch(labels=[10] * 10000), "under 'labels'"),
        (batch(labels=[0] * 9999), "under 'labels'"),
        (batch(labels=None), "under 'labels'"),
    ],
)
def test_a_batch_with_other_content_is_refused(cifar_batch, content, says):
    with pytest.raises(DataError, match=f"data_batch_1 holds .*{says}|{says}"):
        published.read_cifar10(cifar_batch(content))


def test_a_changed_byte_is_found_before_anything_is_opened(cifar_batch, monkeypatch):
    folder = cifar_batch(batch())
    path = folder / published.CIFAR10_FOLDER / "data_batch_1"
    blob = bytearray(path.read_bytes())
    blob[1000] ^= 1
    path.write_bytes(blob)
    monkeypatch.setattr(published, "unpickle", lambda *_: pytest.fail("the file was opened"))
    with pytest.raises(DataError, match=r"data_batch_1 is damaged.*checksum is md5:"):
        published.read_cifar10(folder)


def test_cifar10s_checksums_are_those_that_torchvision_publishes():
    from torchvision.datasets import CIFAR10

    official = {f"{CIFAR10.base_folder}/{name}": f"md5:{md5}" for name, md5 in CIFAR10.train_list + CIFAR10.test_list}
    assert {file.path: file.digest for file in published.CIFAR10.files} == official


def test_the_real_cifar10_is_torchvisions(real_data: Path):
    """Each pixel, each label, each class's name."""
    from torchvision.datasets import CIFAR10

    if published.CIFAR10.missing(real_data):
        pytest.skip("the real data here are without CIFAR-10")
    train, test, classes = published.read_cifar10(real_data)
    for images, is_train in ((train, True), (test, False)):
        theirs = CIFAR10(str(real_data), train=is_train)
        assert np.array_equal(images.pixels, theirs.data)
        np.testing.assert_array_equal(images.labels, theirs.targets)
        assert list(classes) == theirs.classes
    assert np.bincount(train.labels).tolist() == [5000] * 10


NOWHERE = Path("/no/data/folder/is/needed")


def test_the_digits_are_the_1797_images_of_scikit_learn():
    """Their class counts and their sum of pixels are those of `sklearn.datasets.load_digits()`, 1.9."""
    train, test, classes = published.read_digits(NOWHERE)
    labels = np.concatenate([train.labels, test.labels])
    assert (len(train), len(test)) == (1437, 360)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert int(train.pixels.sum()) + int(test.pixels.sum()) == 561_718
    assert train.pixels.max() == test.pixels.max() == 16
    assert classes == tuple("0123456789")


def test_the_first_digit_is_the_zero_that_scikit_learn_documents():
    """Row by row from its documentation of `load_digits`; it happens to be a training image."""
    zero = published.read_digits(NOWHERE).train.pixels[0, ..., 0]
    assert zero[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert zero[7].tolist() == [0, 0, 6, 13, 10, 0, 0, 0]


def test_the_test_images_have_each_class_in_its_share():
    """Stratified by largest remainder: no class is off its exact share by a whole image."""
    train, test, _ = published.read_digits(NOWHERE)
    in_test, in_all = np.bincount(test.labels), np.bincount(np.concatenate([train.labels, test.labels]))
    assert np.all(np.abs(in_test - in_all * 360 / 1797) < 1)


def test_the_embedded_digits_never_change():
    """Trials are named by their data: another file here would orphan every result."""
    assert (
        fingerprint(*published.read_digits(NOWHERE))
        == "1c68e6871aabd324be354a777aeabe2619c6b543eafc7dad6f7150cfc5686e6b"
    )


def test_digits32_are_the_digits_enlarged_to_full_scale_rgb():
    """Ink is 255 and paper 0, so that padding and cutout, which fill with 0, mean paper."""
    small, large = published.read_digits(NOWHERE).test, published.read_digits32(NOWHERE).test
    expected = np.kron(small.pixels[7, :, :, 0].astype(int) * 255 // 16, np.ones((4, 4), int))
    assert large.pixels.shape == (360, 32, 32, 3)
    assert large.pixels.max() == 255
    for channel in range(3):
        np.testing.assert_array_equal(large.pixels[7, :, :, channel], expected)
    np.testing.assert_array_equal(large.labels, small.labels)
