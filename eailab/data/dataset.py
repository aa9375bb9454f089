"""Define the types that hold data, and compute the fingerprint of a data set.

Shapes: `N` images, `H` rows, `W` columns, `C` channels, `K` classes.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eailab.metrics import SplitName

Pixels: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """Images of one split, with their classes."""

    pixels: Pixels
    """`[N, H, W, C]`."""
    labels: Labels
    """`[N]`, each from 0 to `K` - 1."""

    def __len__(self) -> int:
        return len(self.labels)


class Content(NamedTuple):
    """Hold what the files of a data set say, once decoded: all that its fingerprint covers."""

    train: Images
    test: Images
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A data set as it is published: training and test images."""

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    """Names of the `K` classes, in the order of their numbers."""
    fingerprint: str
    """SHA-256 over the decoded arrays (see `fingerprint`): files may differ, the content may not."""


@dataclass(frozen=True)
class TrialData:
    """Hold what one trial learns from: three splits and the scale of the training split."""

    train: Images
    validation: Images
    test: Images
    mean: NDArray[np.float32]
    """`[C]`, of the training split's pixels, in units of the pixel's own scale."""
    std: NDArray[np.float32]
    """`[C]`, the population's standard deviation of the same; at least 1e-6."""
    classes: tuple[str, ...]

    def part(self, split: SplitName) -> Images:
        """Return the images of one split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


def largest_class(datasets: Iterable[Dataset]) -> float | None:
    """Return the share of the largest class among the training labels, of several data sets the largest; None of none.

    It is what a network has right that has learnt nothing but to name one class.
    """
    shares = [float(np.bincount(one.train.labels).max() / len(one.train)) for one in datasets]
    return max(shares, default=None)


def fingerprint(train: Images, test: Images, classes: tuple[str, ...]) -> str:
    """Return the SHA-256, in hex, of all pixels, labels and class names, each array preceded by its type and shape.

    It is over what is decoded, so that the same images in other files have the same one.
    """
    digest = hashlib.sha256(json.dumps(["eailab data 1", classes]).encode())
    for array in (train.pixels, train.labels, test.pixels, test.labels):
        little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(json.dumps([little_endian.dtype.str, little_endian.shape]).encode())
        digest.update(little_endian.data)
    return digest.hexdigest()
