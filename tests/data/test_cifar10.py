import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from eailab.data import cifar10
from eailab.errors import DataError


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
        cifar10.read(folder)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Evil(marker)))  # noqa: S301 - the attack is a real one
    assert marker.exists()


@pytest.mark.parametrize(
    "name", ["builtins.eval", "numpy.load", "numpy.ctypeslib.load_library", "numpy.core.multiarray.scalar"]
)
def test_nothing_but_the_parts_of_an_array_is_admitted(name):
    module, _, attribute = name.rpartition(".")
    with pytest.raises(DataError, match=name):
        cifar10.unpickle(f"c{module}\n{attribute}\n.".encode(), "batch")


def test_planes_of_colour_become_pixels(cifar_batch):
    """A file has 1,024 red, then green, then blue values an image, row by row."""
    images = cifar10.read(cifar_batch(batch())).train
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
        cifar10.read(cifar_batch(content))


def test_a_changed_byte_is_found_before_anything_is_opened(cifar_batch, monkeypatch):
    folder = cifar_batch(batch())
    path = folder / cifar10.FOLDER / "data_batch_1"
    blob = bytearray(path.read_bytes())
    blob[1000] ^= 1
    path.write_bytes(blob)
    monkeypatch.setattr(cifar10, "unpickle", lambda *_: pytest.fail("the file was opened"))
    with pytest.raises(DataError, match=r"data_batch_1 is damaged.*checksum is md5:"):
        cifar10.read(folder)


def test_the_checksums_are_those_that_torchvision_publishes():
    from torchvision.datasets import CIFAR10

    published = {f"{CIFAR10.base_folder}/{name}": f"md5:{md5}" for name, md5 in CIFAR10.train_list + CIFAR10.test_list}
    assert {file.path: file.digest for file in cifar10.CIFAR10.files} == published


def test_the_real_cifar10_is_torchvisions(real_data: Path):
    """Each pixel, each label, each class's name."""
    from torchvision.datasets import CIFAR10

    if cifar10.CIFAR10.missing(real_data):
        pytest.skip("the real data here are without CIFAR-10")
    train, test, classes = cifar10.read(real_data)
    for images, is_train in ((train, True), (test, False)):
        theirs = CIFAR10(str(real_data), train=is_train)
        assert np.array_equal(images.pixels, theirs.data)
        np.testing.assert_array_equal(images.labels, theirs.targets)
        assert list(classes) == theirs.classes
    assert np.bincount(train.labels).tolist() == [5000] * 10
