"""Small data sets for the tests of this folder."""

import gzip
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eailab.data import published
from eailab.data.dataset import Dataset, Images, fingerprint
from eailab.data.published import PublishedFile


@pytest.fixture
def dataset() -> Dataset:
    """100 training and 20 test images of 4x3 pixels in two channels, of five classes."""
    rng = np.random.default_rng(1)
    train, test = (
        Images(rng.integers(0, 256, (n, 4, 3, 2)).astype(np.uint8), np.arange(n, dtype=np.int64) % 5) for n in (100, 20)
    )
    classes = ("ant", "bee", "cow", "dog", "elk")
    return Dataset("animals", train, test, classes, fingerprint(train, test, classes))


def idx_file(array: np.ndarray) -> bytes:
    """Write an array of bytes in the IDX format."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def tiny_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with 12 and 4 images in MNIST's files (one compressed), which count as the published ones."""
    rng = np.random.default_rng(2)
    arrays = []
    for n in (12, 4):
        arrays += [rng.integers(0, 256, (n, 28, 28)).astype(np.uint8), rng.integers(0, 10, n).astype(np.uint8)]
    files = []
    for name, array in zip(published.IDX_NAMES, arrays, strict=True):
        path = tmp_path / "MNIST" / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blob = idx_file(array)
        compressed = gzip.compress(blob, mtime=0)
        if name.startswith("t10k-images"):
            path.with_name(f"{name}.gz").write_bytes(compressed)
        else:
            path.write_bytes(blob)
        sha256, md5 = hashlib.sha256(blob).hexdigest(), hashlib.md5(compressed, usedforsecurity=False).hexdigest()
        files.append(PublishedFile(f"MNIST/raw/{name}", f"sha256:{sha256}", f"md5:{md5}"))
    monkeypatch.setattr(published, "MNIST_FILES", tuple(files))
    return tmp_path


@pytest.fixture
def cifar_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Path]:
    """Writes an object as the one batch of CIFAR-10, its checksum as the published one; returns the data folder."""

    def write(batch: object) -> Path:
        # protocol 3 writes bytes as such, as Python 2 did; numpy's array maker had its old name then
        blob = pickle.dumps(batch, protocol=3).replace(b"cnumpy._core.", b"cnumpy.core.")
        path = tmp_path / published.CIFAR10_FOLDER / "data_batch_1"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(blob)
        md5 = hashlib.md5(blob, usedforsecurity=False).hexdigest()
        file = PublishedFile(f"{published.CIFAR10_FOLDER}/data_batch_1", f"md5:{md5}")
        monkeypatch.setattr(published, "CIFAR10_TRAIN_FILES", (file,))
        monkeypatch.setattr(published, "CIFAR10_TEST_FILES", (file,))
        return tmp_path

    return write
