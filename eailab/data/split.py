"""The division of the official training images into those that train and those that validate."""

from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from eailab.data.channel_stats import channel_stats
from eailab.data.dataset import Dataset, Images, TrialData
from eailab.errors import DataError
from eailab.recipe.parts import Data
from eailab.seeding import stream

_IN_USE: WeakValueDictionary[tuple[str, str, int | None], TrialData] = WeakValueDictionary()
"""The splits of trials in training, by the data set, what divides it, and the block if it does."""


@dataclass(frozen=True)
class Split:
    """Which of the official training images train, and which validate; each image is in one of the two."""

    train: NDArray[np.int64]
    """Indices into the official training images, in the order in which the training split has them."""
    validation: NDArray[np.int64]
    """The same for the validation split."""


def lab_split(n: int, val_fraction: float, seed: int) -> Split:
    """Divide `n` images as the lab report does, index for index.

    It calls ``numpy.random.seed(seed)`` and takes ``permutation(n)``, cut at ``int(n * (1 - val_fraction))``. A
    `RandomState` of its own draws the same numbers, which numpy has promised never to change.

    Raises:
        DataError: One of the two parts would be empty.
    """
    return _cut(np.random.RandomState(seed).permutation(n), val_fraction)


def block_split(n: int, val_fraction: float, block: int) -> Split:
    """Divide `n` images at random, anew for each block, in the proportion of `lab_split`.

    Raises:
        DataError: One of the two parts would be empty.
    """
    return _cut(stream(block, "split").permutation(n), val_fraction)


def _cut(order: NDArray[np.integer], val_fraction: float) -> Split:
    train = _first_part(len(order), val_fraction)
    indices = order.astype(np.int64)
    return Split(indices[:train], indices[train:])


def _first_part(n: int, val_fraction: float) -> int:
    """Return how many of `n` images are in the training split."""
    train = int(n * (1 - val_fraction))
    if not 0 < train < n:
        raise DataError(
            f"data.val_fraction {val_fraction} divides {n} training images into {train} that train and {n - train} "
            "that validate: choose a fraction that leaves at least one image in both."
        )
    return train


def training_size(n: int, settings: Data) -> int:
    """Return how many of `n` official training images a trial trains on, without drawing the split.

    Raises:
        DataError: A split would be empty, or has fewer images than the limit.
    """
    size = _first_part(n, settings.val_fraction)
    if settings.limit is not None and settings.limit > size:
        raise DataError(
            f"data.limit is {settings.limit}, but the training split of {settings.name} has {size} images: "
            "lower the limit, or leave it out to take all."
        )
    return settings.limit or size


def trial_data(dataset: Dataset, settings: Data, block: int) -> TrialData:
    """Return what the trials of one block learn from; trials in training on the same splits, side by side, share it.

    Args:
        dataset: The data set that `settings` names.
        settings: How it is divided and limited. The scale is that of the training split after the limit.
        block: The block's number; without effect when the split is fixed.

    Raises:
        DataError: A split would be empty, or has fewer images than the limit.
    """
    divided = settings.model_dump_json(exclude={"augment"})  # how images are varied divides nothing
    key = dataset.fingerprint, divided, block if settings.split == "per-block" else None
    data = _IN_USE.get(key)
    if data is None:
        _IN_USE[key] = data = _divided(dataset, settings, block)
    return data


def split_of(n: int, settings: Data, block: int) -> Split:
    """Return how the trials of one block divide `n` official training images; a limit is not applied.

    Raises:
        DataError: A split would be empty.
    """
    if settings.split == "fixed":
        return _fixed(n, settings.val_fraction, settings.split_seed)
    return block_split(n, settings.val_fraction, block)


@lru_cache(maxsize=2)
def _fixed(n: int, val_fraction: float, seed: int) -> Split:
    return lab_split(n, val_fraction, seed)


def _divided(dataset: Dataset, settings: Data, block: int) -> TrialData:
    n = len(dataset.train)
    split = split_of(n, settings, block)
    train = _rows(dataset.train, split.train[: training_size(n, settings)])
    mean, std = channel_stats(train.pixels)
    return TrialData(train, _rows(dataset.train, split.validation), dataset.test, mean, std, dataset.classes)


def _rows(images: Images, indices: NDArray[np.int64]) -> Images:
    return Images(images.pixels[indices], images.labels[indices])
