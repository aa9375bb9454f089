"""CIFAR-10 (Krizhevsky, 2009): 32x32 RGB photographs of ten kinds of things.

Its files are Python pickles, which can run any code when opened. Each is therefore opened only when it has its
published checksum, and then by an unpickler that admits nothing but the three names that a numpy array is made of.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from eailab.data.dataset import Content, Images
from eailab.data.published import PublishedFile, Source
from eailab.errors import DataError

FOLDER = "cifar-10-batches-py"
BATCH = 10_000
"""Images a file."""
SHAPE = (32, 32, 3)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

TRAIN_FILES = (
    PublishedFile(f"{FOLDER}/data_batch_1", "md5:c99cafc152244af753f735de768cd75f"),
    PublishedFile(f"{FOLDER}/data_batch_2", "md5:d4bba439e000b95fd0a9bffe97cbabec"),
    PublishedFile(f"{FOLDER}/data_batch_3", "md5:54ebc095f3ab1f0389bbae665268c751"),
    PublishedFile(f"{FOLDER}/data_batch_4", "md5:634d18415352ddfa80567beed471001a"),
    PublishedFile(f"{FOLDER}/data_batch_5", "md5:482c414d41f54cd18b22e5b47cb7c3cb"),
)
TEST_FILES = (PublishedFile(f"{FOLDER}/test_batch", "md5:40351d587109b95175f43aff81a1287e"),)

ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""What the official files name. numpy has moved the first, so an array is asked for what it would name today."""


class _ArrayUnpickler(pickle.Unpickler):
    """Opens pickles of numbers, byte strings, lists, dictionaries and plain arrays."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def unpickle(blob: bytes, where: str) -> dict[bytes, Any]:
    """Return the mapping of one batch file.

    Raises:
        DataError: The pickle is damaged, or asks for anything but a numpy array; nothing of it has been run.
    """
    try:
        batch = _ArrayUnpickler(io.BytesIO(blob), encoding="bytes").load()
    except Exception as error:  # damaged pickles raise nearly anything
        raise DataError(f"{where} is not opened: {error}. Nothing in it was run; get the official file.") from error
    if not isinstance(batch, dict):
        raise DataError(f"{where} holds a {type(batch).__name__}, not the mapping of a CIFAR-10 batch.")
    return batch


def read(folder: Path) -> Content:
    """Return CIFAR-10 from below a data folder.

    Raises:
        DataError: A file is missing, has not its published checksum, or holds something else than its batch.
    """
    return Content(_joined(folder, TRAIN_FILES), _joined(folder, TEST_FILES), CLASSES)


def _joined(folder: Path, files: tuple[PublishedFile, ...]) -> Images:
    pixels = np.empty((len(files) * BATCH, *SHAPE), np.uint8)
    labels = np.empty(len(files) * BATCH, np.int64)
    for number, file in enumerate(files):
        rows = slice(number * BATCH, (number + 1) * BATCH)
        batch = unpickle(file.read(folder), file.path)
        planes, classes = batch.get(b"data"), batch.get(b"labels")
        if not isinstance(planes, np.ndarray) or planes.dtype != np.uint8 or planes.shape != (BATCH, 3 * 32 * 32):
            raise DataError(f"{file.path} holds no {BATCH} images of 32x32 RGB under 'data'.")
        if not isinstance(classes, list) or len(classes) != BATCH or not set(classes) <= set(range(len(CLASSES))):
            raise DataError(f"{file.path} holds no {BATCH} classes from 0 to 9 under 'labels'.")
        pixels[rows] = planes.reshape(BATCH, 3, 32, 32).transpose(0, 2, 3, 1)
        labels[rows] = classes
    return Images(pixels, labels)


CIFAR10 = Source(
    name="cifar10",
    about="photographs of animals and vehicles",
    train=50000,
    test=10000,
    shape=SHAPE,
    classes=10,
    read=read,
    files=TRAIN_FILES + TEST_FILES,
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    archive="md5:c58f30108f718f92721af3b95e74349a",
)
