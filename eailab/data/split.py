"""Divide the official training images into a training and a validation split; scale, write and check such a split.

On disk, `split.json` says what was divided and how, and `split.npz` holds the indices. Both are functions of the data
and the settings alone: the same split gives the same bytes.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Dataset, Images, Labels, Pixels, TrialData
from eailab.data.npz import read_arrays
from eailab.errors import DataError
from eailab.files import SPLIT, read
from eailab.recipe.parts import Data
from eailab.seeding import stream

_IN_USE: WeakValueDictionary[tuple[str, str, int | None], TrialData] = WeakValueDictionary()
"""The splits of trials in training, by the data set, what divides it, and the block if it does."""


@dataclass(frozen=True)
class Split:
    """Choose which of the official training images train, and which validate; each image is in one of the two."""

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
    """Divide `n` images at random, again for each block, in the proportion of `lab_split`.

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


_fixed = lru_cache(maxsize=2)(lab_split)


def _divided(dataset: Dataset, settings: Data, block: int) -> TrialData:
    n = len(dataset.train)
    split = split_of(n, settings, block)
    train = _rows(dataset.train, split.train[: training_size(n, settings)])
    mean, std = channel_stats(train.pixels)
    return TrialData(train, _rows(dataset.train, split.validation), dataset.test, mean, std, dataset.classes)


def _rows(images: Images, indices: NDArray[np.int64]) -> Images:
    return Images(images.pixels[indices], images.labels[indices])


# --- the scale of the training split ---------------------------------------------------------------------------------


SMALLEST_STD = 1e-6
"""A channel that has one value everywhere is divided by this, and so becomes zero."""
AT_ONCE = 1 << 18
"""Values that are held as floating-point numbers at a time; bounds the memory, never changes the result."""


def channel_stats(pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and population standard deviation of each channel, `[C]` each, of images `[N, H, W, C]`.

    The sums of values and of squares over the images, one for each place in an image, are whole numbers below 2^53:
    exact in any order. They are joined as whole numbers, so that only the division, the root and float32 round.
    """
    flat = pixels.reshape(len(pixels), -1)
    sums = np.zeros(flat.shape[1])
    squares = np.zeros(flat.shape[1])
    images = max(1, AT_ONCE // flat.shape[1])
    for start in range(0, len(flat), images):
        part = flat[start : start + images].astype(np.float64)
        sums += part.sum(axis=0)
        squares += np.einsum("np,np->p", part, part)
    channels = pixels.shape[-1]
    count = pixels.size // channels
    totals = [int(total) for total in sums.astype(np.int64).reshape(-1, channels).sum(axis=0)]
    powers = [int(total) for total in squares.astype(np.int64).reshape(-1, channels).sum(axis=0)]
    means = [total / count for total in totals]
    variances = [(power * count - total**2) / count**2 for total, power in zip(totals, powers, strict=True)]
    stds = [max(sqrt(variance), SMALLEST_STD) for variance in variances]
    return np.array(means, np.float32), np.array(stds, np.float32)


# --- a split on disk -------------------------------------------------------------------------------------------------


SCHEMA_VERSION = 1
JSON_NAME = "split.json"
NPZ_NAME = "split.npz"


@dataclass(frozen=True)
class SplitFiles:
    """Hold what is written for one split."""

    summary: dict[str, Any]
    """The content of `split.json`."""
    indices: Split

    def contents(self) -> dict[str, bytes]:
        """Return the files by name, in the order to write them: `split.json` vouches for the other, so comes last."""
        arrays = io.BytesIO()
        np.savez(arrays, train=self.indices.train, validation=self.indices.validation)
        text = json.dumps(self.summary, indent=2, ensure_ascii=False) + "\n"
        return {NPZ_NAME: arrays.getvalue(), JSON_NAME: text.encode()}


def split_files(dataset: Dataset, settings: Data) -> SplitFiles:
    """Return what to write for the fixed split of a data set; `limit`, which comes after the split, has no part in it.

    Raises:
        DataError: The settings ask for a new split in each block, or for an empty one.
    """
    if settings.split != "fixed":
        raise DataError(
            "this recipe draws a new split for each block, so none can be written: add -o data.split=fixed."
        )
    split = lab_split(len(dataset.train), settings.val_fraction, settings.split_seed)
    labels = {
        "train": dataset.train.labels[split.train],
        "validation": dataset.train.labels[split.validation],
        "test": dataset.test.labels,
    }
    summary = {
        "schema_version": SCHEMA_VERSION,
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "split_seed": settings.split_seed,
        "val_fraction": settings.val_fraction,
        "sizes": {name: len(part) for name, part in labels.items()},
        "class_counts": {name: _counts(part, dataset.classes) for name, part in labels.items()},
        "indices_sha256": _digest(split.train, split.validation),
    }
    return SplitFiles(summary, split)


def differences(expected: SplitFiles, folder: Path) -> list[str]:
    """Return in what a written split differs from what the data and settings give today, one sentence each.

    Raises:
        DataError: One of the files is missing, or cannot be read at all.
    """
    text, arrays = _bytes(folder / JSON_NAME), _bytes(folder / NPZ_NAME)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        return [f"{JSON_NAME} is damaged: {error}"]
    if not isinstance(found, dict):
        return [f"{JSON_NAME} is damaged: it does not contain a mapping"]
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        return [f"{JSON_NAME} has schema_version {version}, this eailab writes {SCHEMA_VERSION}"]
    changed = [
        f"{key}: {json.dumps(found.get(key))} in {JSON_NAME}, {json.dumps(value)} by data and recipe"
        for key, value in expected.summary.items()
        if key != "class_counts" and found.get(key) != value
    ]
    if found.get("class_counts") != expected.summary["class_counts"]:  # too long to show
        changed.append(f"class_counts: those in {JSON_NAME} are not those by data and recipe")
    return changed + _array_differences(arrays, found)


def _array_differences(arrays: bytes, summary: dict[str, Any]) -> list[str]:
    try:
        found = read_arrays(io.BytesIO(arrays), ("train", "validation"), SPLIT.largest)
        digest = _digest(found["train"], found["validation"])
    except (ValueError, TypeError) as error:
        return [f"{NPZ_NAME} is damaged: {error}"]
    if digest != summary.get("indices_sha256"):
        return [f"{NPZ_NAME} has other indices than the checksum in {JSON_NAME} says"]
    return []


def _bytes(path: Path) -> bytes:
    try:
        return read(path, SPLIT)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. Write the split with `eailab split`.") from error


def _digest(train: NDArray[np.int64], validation: NDArray[np.int64]) -> str:
    """Return the SHA-256, in hex, of both arrays as little-endian 64-bit integers, each after its length."""
    digest = hashlib.sha256()
    for indices in (train, validation):
        digest.update(len(indices).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(indices, "<i8").data)
    return digest.hexdigest()


def class_counts(data: TrialData) -> dict[str, dict[str, int]]:
    """Count the images of each class in each split of a trial, by the split's name and the class's."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: _counts(part.labels, data.classes) for name, part in parts.items()}


def _counts(labels: Labels, classes: tuple[str, ...]) -> dict[str, int]:
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
