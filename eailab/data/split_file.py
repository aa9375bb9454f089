"""A split on disk: `split.json` says what was divided and how, `split.npz` holds the indices.

Both are functions of the data and the settings alone: the same split gives the same bytes.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Dataset, Labels
from eailab.data.packed_arrays import read_arrays
from eailab.data.split import Split, lab_split
from eailab.errors import DataError
from eailab.files import SPLIT, read
from eailab.recipe.parts import Data

SCHEMA_VERSION = 1
JSON_NAME = "split.json"
NPZ_NAME = "split.npz"


@dataclass(frozen=True)
class SplitFiles:
    """What is written for one split."""

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
            "this recipe draws a new split for each block, so there is no one split to write: add -o data.split=fixed."
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

    Args:
        expected: What `split_files` gives.
        folder: Where `split.json` and `split.npz` lie.

    Raises:
        DataError: One of the files is missing, or cannot be read at all.
    """
    text, arrays = _bytes(folder / JSON_NAME), _bytes(folder / NPZ_NAME)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        return [f"{JSON_NAME} is damaged: {error}"]
    if not isinstance(found, dict):
        return [f"{JSON_NAME} is damaged: it holds no mapping"]
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
        return [f"{NPZ_NAME} holds other indices than {JSON_NAME} vouches for"]
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


def _counts(labels: Labels, classes: tuple[str, ...]) -> dict[str, int]:
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
