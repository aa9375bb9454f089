"""MNIST (LeCun, Cortes & Burges, 1998) and Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017): 28x28, one channel.

The files lie as torchvision leaves them, plain or compressed: ``MNIST/raw/train-images-idx3-ubyte`` or ``….gz``.
MNIST's plain files are checked by SHA-256. Fashion-MNIST publishes checksums of its compressed files only, so these
are what is read.
"""

from math import prod
from pathlib import Path

import numpy as np

from eailab.data.dataset import Content, Images, Pixels
from eailab.data.published import PublishedFile, Source
from eailab.errors import DataError

UNSIGNED_BYTE = 0x08

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

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
    for name, sha256, md5 in zip(NAMES, MNIST_SHA256, MNIST_GZ_MD5, strict=True)
)
FASHION_FILES = tuple(
    PublishedFile(f"FashionMNIST/raw/{name}", None, f"md5:{md5}")
    for name, md5 in zip(NAMES, FASHION_GZ_MD5, strict=True)
)
MNIST_CLASSES = tuple("0123456789")
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
    (type 0x08) are read; the MNIST family has no other.

    Args:
        blob: The whole file, not compressed.
        dimensions: How many dimensions the array should have.
        where: The file's name, for messages.

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


def read(folder: Path, files: tuple[PublishedFile, ...], classes: tuple[str, ...]) -> Content:
    """Return the images of four IDX files: training images and labels, test images and labels.

    Raises:
        DataError: A file is missing, has not its published checksum, or does not fit the others.
    """
    train_images, train_labels, test_images, test_labels = files
    return Content(
        _pair(folder, train_images, train_labels, len(classes)),
        _pair(folder, test_images, test_labels, len(classes)),
        classes,
    )


def _pair(folder: Path, images: PublishedFile, labels: PublishedFile, classes: int) -> Images:
    pixels = decode_idx(images.read(folder), 3, images.path)
    numbers = decode_idx(labels.read(folder), 1, labels.path)
    if len(pixels) != len(numbers) or numbers.max(initial=0) >= classes:
        raise DataError(
            f"{labels.path} does not label the {len(pixels)} images of {images.path} with {classes} classes."
        )
    return Images(pixels[..., np.newaxis], numbers.astype(np.int64))


def read_mnist(folder: Path) -> Content:
    """Return MNIST from below a data folder; raises as `read`."""
    return read(folder, MNIST_FILES, MNIST_CLASSES)


def read_fashion(folder: Path) -> Content:
    """Return Fashion-MNIST from below a data folder; raises as `read`."""
    return read(folder, FASHION_FILES, FASHION_CLASSES)


SIZE = (60000, 10000, (28, 28, 1), 10)
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

MNIST = Source("mnist", "handwritten digits", *SIZE, read_mnist, MNIST_FILES, MNIST_URL)
FASHION_MNIST = Source("fashion-mnist", "articles of clothing", *SIZE, read_fashion, FASHION_FILES, FASHION_URL)
