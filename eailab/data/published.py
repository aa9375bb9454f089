"""Read the published data sets: what is known of each before its files are read, their checksums, their formats.

**CIFAR-10** (Krizhevsky, 2009): 32x32 RGB photographs of ten kinds of things. Its files are Python pickles, which can
run any code when opened. Each is therefore opened only when it has its published checksum, and then by an unpickler
that admits nothing but the three names that a numpy array is made of.

**MNIST** (LeCun, Cortes & Burges, 1998) and **Fashion-MNIST** (Xiao, Rasul & Vollgraf, 2017): 28x28, one channel. The
files lie as torchvision leaves them, plain or compressed: ``MNIST/raw/train-images-idx3-ubyte`` or ``….gz``. MNIST's
plain files are checked by SHA-256. Fashion-MNIST publishes checksums of its compressed files only, so these are read.

**UCI digits**: 1,797 images of 8x8 pixels, which come with the package, so that nothing has to be downloaded.
`digits.npz` holds scikit-learn's copy of the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, 1998; CC BY 4.0, see `digits.LICENSE.txt`). It has no official division, so 360 test images were chosen once,
by class: class `c` with `n` of the 1,797 images gives `360 n / 1797` of them, rounded by largest remainder (34 to 37),
namely the first ones of ``RandomState(0).permutation(indices of the class)``, classes taken from 0 to 9 with one
generator. Each part keeps scikit-learn's order. Writers are not recorded, so the same hand may be in both parts.
"""

import gzip
import hashlib
import io
import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eailab.data.dataset import Content, Images, Pixels
from eailab.errors import DataError
from eailab.files import DOWNLOADED, read


@dataclass(frozen=True)
class PublishedFile:
    """A file with published checksums, plain or compressed by gzip, which is checked before any of it is used."""

    path: str
    """Of the plain file, below the data folder, with slashes."""
    digest: str | None = None
    """`algorithm:hex` of the plain file; None where only that of the compressed one is published."""
    gz_digest: str | None = None
    """`algorithm:hex` of the file with `.gz` after its name; None where there is no such file."""

    def find(self, folder: Path) -> Path | None:
        """Return where the file lies below a data folder, or None; the plain file comes before the compressed one."""
        plain, compressed = folder / self.path, folder / f"{self.path}.gz"
        try:
            if self.digest is not None and plain.is_file():
                return plain
            return compressed if self.gz_digest is not None and compressed.is_file() else None
        except OSError:  # the folder may not be looked into; who writes there next says why
            return None

    @property
    def wanted(self) -> str:
        """Return the path that a message names when the file is missing."""
        return self.path if self.digest is not None else f"{self.path}.gz"

    def read(self, folder: Path) -> bytes:
        """Return the plain file's bytes.

        Raises:
            DataError: The file is missing, cannot be read, or has not its published checksum.
        """
        path = self.find(folder)
        if path is None:
            raise DataError(f"{folder / self.wanted} is missing.")
        compressed = path.suffix == ".gz"
        expected = self.gz_digest if compressed else self.digest
        assert expected is not None  # noqa: S101 - `find` returns only files that have one
        try:
            blob = read(path, DOWNLOADED)
        except FileNotFoundError as error:
            raise DataError(f"{path} is missing.") from error
        found = checksum(blob, expected.partition(":")[0])
        if found != expected:
            raise DataError(
                f"{path} is damaged, or another file: its checksum is {found}, the published one {expected}. "
                "Delete it and run the same command, which then downloads it, or copy the official file there."
            )
        try:
            return gzip.decompress(blob) if compressed else blob
        except (OSError, EOFError, zlib.error) as error:  # only when the published file itself were torn
            raise DataError(f"{path} cannot be decompressed: {error}.") from error


def checksum(blob: bytes | bytearray, algorithm: str) -> str:
    """Return `algorithm:hex` of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, blob, usedforsecurity=False).hexdigest()}"


@dataclass(frozen=True)
class Source:
    """A data set that has a name."""

    name: str
    about: str
    """One line for a list."""
    train: int
    """Number of training images."""
    test: int
    """Number of test images."""
    shape: tuple[int, int, int]
    """Rows, columns and channels of an image."""
    classes: int
    read: Callable[[Path], Content]
    """Decodes the files below a data folder; raises `DataError` for one that is missing or damaged."""
    files: tuple[PublishedFile, ...] = ()
    """What has to lie in the data folder; none where the data are in the package."""
    url: str | None = None
    """Where the files are published: an archive (`.tar.gz`) of all, or what stands before the name of each `.gz`."""
    archive: str | None = None
    """`algorithm:hex` of the archive; None where the files are published one by one."""

    @property
    def kind(self) -> Literal["embedded", "downloaded"]:
        """Say where the images come from."""
        return "downloaded" if self.files else "embedded"

    def missing(self, folder: Path) -> list[PublishedFile]:
        """Return the files that are not below a data folder."""
        return [file for file in self.files if file.find(folder) is None]


# --- CIFAR-10 --------------------------------------------------------------------------------------------------------


CIFAR10_FOLDER = "cifar-10-batches-py"
CIFAR10_BATCH = 10_000
"""Images a file."""
CIFAR10_SHAPE = (32, 32, 3)
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR10_TRAIN_FILES = (
    PublishedFile(f"{CIFAR10_FOLDER}/data_batch_1", "md5:c99cafc152244af753f735de768cd75f"),
    PublishedFile(f"{CIFAR10_FOLDER}/data_batch_2", "md5:d4bba439e000b95fd0a9bffe97cbabec"),
    PublishedFile(f"{CIFAR10_FOLDER}/data_batch_3", "md5:54ebc095f3ab1f0389bbae665268c751"),
    PublishedFile(f"{CIFAR10_FOLDER}/data_batch_4", "md5:634d18415352ddfa80567beed471001a"),
    PublishedFile(f"{CIFAR10_FOLDER}/data_batch_5", "md5:482c414d41f54cd18b22e5b47cb7c3cb"),
)
CIFAR10_TEST_FILES = (PublishedFile(f"{CIFAR10_FOLDER}/test_batch", "md5:40351d587109b95175f43aff81a1287e"),)

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


def read_cifar10(folder: Path) -> Content:
    """Return CIFAR-10 from below a data folder.

    Raises:
        DataError: A file is missing, has not its published checksum, or holds something else than its batch.
    """
    return Content(
        _read_batches(folder, CIFAR10_TRAIN_FILES), _read_batches(folder, CIFAR10_TEST_FILES), CIFAR10_CLASSES
    )


def _read_batches(folder: Path, files: tuple[PublishedFile, ...]) -> Images:
    pixels = np.empty((len(files) * CIFAR10_BATCH, *CIFAR10_SHAPE), np.uint8)
    labels = np.empty(len(files) * CIFAR10_BATCH, np.int64)
    for number, file in enumerate(files):
        rows = slice(number * CIFAR10_BATCH, (number + 1) * CIFAR10_BATCH)
        batch = unpickle(file.read(folder), file.path)
        planes, classes = batch.get(b"data"), batch.get(b"labels")
        if (
            not isinstance(planes, np.ndarray)
            or planes.dtype != np.uint8
            or planes.shape != (CIFAR10_BATCH, 3 * 32 * 32)
        ):
            raise DataError(f"{file.path} holds no {CIFAR10_BATCH} images of 32x32 RGB under 'data'.")
        if (
            not isinstance(classes, list)
            or len(classes) != CIFAR10_BATCH
            or not set(classes) <= set(range(len(CIFAR10_CLASSES)))
        ):
            raise DataError(f"{file.path} holds no {CIFAR10_BATCH} classes from 0 to 9 under 'labels'.")
        pixels[rows] = planes.reshape(CIFAR10_BATCH, 3, 32, 32).transpose(0, 2, 3, 1)
        labels[rows] = classes
    return Images(pixels, labels)


CIFAR10 = Source(
    name="cifar10",
    about="photographs of animals and vehicles",
    train=50000,
    test=10000,
    shape=CIFAR10_SHAPE,
    classes=10,
    read=read_cifar10,
    files=CIFAR10_TRAIN_FILES + CIFAR10_TEST_FILES,
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    archive="md5:c58f30108f718f92721af3b95e74349a",
)


# --- MNIST and Fashion-MNIST -----------------------------------------------------------------------------------------


UNSIGNED_BYTE = 0x08

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
MNIST_GZ_MD5 = (
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
FASHION_GZ_MD5 = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)

MNIST_FILES = tuple(
    PublishedFile(f"MNIST/raw/{name}", f"sha256:{sha256}", f"md5:{md5}")
    for name, sha256, md5 in zip(IDX_NAMES, MNIST_SHA256, MNIST_GZ_MD5, strict=True)
)
FASHION_FILES = tuple(
    PublishedFile(f"FashionMNIST/raw/{name}", None, f"md5:{md5}")
    for name, md5 in zip(IDX_NAMES, FASHION_GZ_MD5, strict=True)
)
DIGIT_CLASSES = tuple("0123456789")
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def decode_idx(blob: bytes, dimensions: int, where: str) -> Pixels:
    """Return the array of an IDX file: a magic number, the sizes as big-endian 32-bit integers, then the bytes.

    Described at the end of LeCun, Cortes & Burges, "The MNIST database of handwritten digits". Only unsigned bytes
    (type 0x08) are read; the MNIST family has no other. The file is not compressed, and messages call it `where`.

    Raises:
        DataError: This is not an IDX file of unsigned bytes of this many dimensions, or its length is wrong.
    """
    header = 4 * (1 + dimensions)
    if blob[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)) or len(blob) < header:
        raise DataError(
            f"{where} is not an IDX file of unsigned bytes in {dimensions} dimensions: it begins {blob[:4].hex()}."
        )
    shape = tuple(int(size) for size in np.frombuffer(blob, ">u4", dimensions, offset=4))
    if len(blob) - header != prod(shape):
        raise DataError(f"{where} holds {len(blob) - header} bytes, but its header says {shape}: it is cut or damaged.")
    return np.frombuffer(blob, np.uint8, offset=header).reshape(shape).copy()  # a view of bytes cannot be written to


def read_idx(folder: Path, files: tuple[PublishedFile, ...], classes: tuple[str, ...]) -> Content:
    """Return the images of four IDX files: training images and labels, test images and labels.

    Raises:
        DataError: A file is missing, has not its published checksum, or does not fit the others.
    """
    train_images, train_labels, test_images, test_labels = files
    return Content(
        _read_idx_pair(folder, train_images, train_labels, len(classes)),
        _read_idx_pair(folder, test_images, test_labels, len(classes)),
        classes,
    )


def _read_idx_pair(folder: Path, images: PublishedFile, labels: PublishedFile, classes: int) -> Images:
    pixels = decode_idx(images.read(folder), 3, images.path)
    numbers = decode_idx(labels.read(folder), 1, labels.path)
    if len(pixels) != len(numbers) or numbers.max(initial=0) >= classes:
        raise DataError(
            f"{labels.path} does not label the {len(pixels)} images of {images.path} with {classes} classes."
        )
    return Images(pixels[..., np.newaxis], numbers.astype(np.int64))


def read_mnist(folder: Path) -> Content:
    """Return MNIST from below a data folder; raises as `read_idx`."""
    return read_idx(folder, MNIST_FILES, DIGIT_CLASSES)


def read_fashion(folder: Path) -> Content:
    """Return Fashion-MNIST from below a data folder; raises as `read_idx`."""
    return read_idx(folder, FASHION_FILES, FASHION_CLASSES)


MNIST_SIZE = (60000, 10000, (28, 28, 1), 10)
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

MNIST = Source("mnist", "handwritten digits", *MNIST_SIZE, read_mnist, MNIST_FILES, MNIST_URL)
FASHION_MNIST = Source("fashion-mnist", "articles of clothing", *MNIST_SIZE, read_fashion, FASHION_FILES, FASHION_URL)


# --- UCI digits ------------------------------------------------------------------------------------------------------


def read_digits(_: Path) -> Content:
    """Return the digits as they are published: one channel, pixels from 0 to 16 (all ink)."""
    with files("eailab.data").joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        train, test = (
            Images(arrays[f"x_{part}"][..., np.newaxis], arrays[f"y_{part}"].astype(np.int64))
            for part in ("train", "test")
        )
    return Content(train, test, DIGIT_CLASSES)


def read_digits32(folder: Path) -> Content:
    """Return the digits as 32x32 RGB for networks made for photographs: ink is 255, paper is 0."""
    train, test, classes = read_digits(folder)
    return Content(Images(_enlarged(train.pixels), train.labels), Images(_enlarged(test.pixels), test.labels), classes)


def _enlarged(pixels: Pixels) -> Pixels:
    """Turn `[N, 8, 8, 1]` with values to 16 into `[N, 32, 32, 3]` with values to 255; each pixel becomes 4x4 equal."""
    full_scale = (pixels.astype(np.uint16) * 255 // 16).astype(np.uint8)
    return full_scale.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)


DIGITS = Source("digits", "UCI handwritten digits", 1437, 360, (8, 8, 1), 10, read_digits)
DIGITS32 = Source("digits32", "UCI handwritten digits, enlarged and in RGB", 1437, 360, (32, 32, 3), 10, read_digits32)
