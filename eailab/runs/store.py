"""The store: a folder of trials and studies that is the only truth about what has been trained.

A trial's folder is named by its fingerprint, so that asking for the same trial twice finds it. `result.json` is written
last; while it is there and agrees with its checksums, the trial is finished. Everything in a table is read from here.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from eailab.engines.base import ENGINE_VERSIONS, Arrays, Scores
from eailab.errors import StoreError
from eailab.recipe.identity import canonical, digest, to_yaml
from eailab.recipe.schema import Recipe
from eailab.runs import atomic, checkpoint
from eailab.runs.provenance import Provenance

SCHEMA_VERSION = 1
"""Of every file that the store writes; a newer one is refused, an older one is read."""

Status = Literal["finished", "diverged"]


@dataclass(frozen=True)
class Trial:
    """One arm in one block: all that can change its result."""

    recipe: Recipe
    block: int
    data: str
    """Fingerprint of the data set's decoded arrays."""

    @cached_property
    def fingerprint(self) -> str:
        """The trial's name: 20 hexadecimal digits over recipe, block, data and engine version."""
        return digest(
            {
                "recipe": canonical(self.recipe),
                "block": self.block,
                "data": self.data,
                "engine_version": ENGINE_VERSIONS[self.recipe.engine],
            }
        )


@dataclass(frozen=True)
class Epoch:
    """One finished epoch of a trial."""

    number: int
    train: Scores
    """Running scores of the epoch's own (augmented) batches."""
    validation: Scores


@dataclass(frozen=True)
class Timing:
    """How long an epoch took, validation included."""

    seconds: float
    images_per_second: float
    device: str


@dataclass(frozen=True)
class Result:
    """How a trial ended."""

    status: Status
    epochs: int
    """Epochs that were finished."""
    train: Scores | None
    """Of the last epoch; None when the trial diverged."""
    validation: Scores | None
    test: Scores | None
    """Read once, after the last epoch."""
    diverged_at: tuple[int, int] | None
    """Epoch and step (from 1) at which the loss was no longer finite."""
    parameters: int
    provenance: Provenance


class TrialFolder:
    """The files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_file = path / "recipe.yaml"
        self.epochs_file = path / "epochs.jsonl"
        self.timings_file = path / "timings.jsonl"
        self.predictions_file = path / "predictions.npz"
        self.checkpoint_file = path / "checkpoint.safetensors"
        self.weights_file = path / "model.safetensors"
        self.result_file = path / "result.json"

    # --- reading ---

    def result(self) -> Result | None:
        """Return how the trial ended, or None while it has not.

        Raises:
            StoreError: The result is damaged, disagrees with a file it vouches for, or is of a newer version.
        """
        record = self._verified_record()
        return None if record is None else _result(record)

    def epochs(self) -> list[Epoch]:
        """Return the epochs finished so far; a last line that is not whole is not counted.

        Raises:
            StoreError: A line before the last is damaged.
        """
        return [_epoch(record) for record in self._epoch_records()]

    def timings(self) -> dict[int, Timing]:
        """Return how long each epoch took, by its number: the last attempt at each, which is the one that counts."""
        by_epoch: dict[int, Timing] = {}
        for line in _lines(self.timings_file):
            try:
                record = json.loads(line)
                timing = Timing(float(record["seconds"]), float(record["images_per_second"]), str(record["device"]))
                by_epoch[int(record["epoch"])] = timing
            except (ValueError, KeyError, TypeError):
                continue  # timings are no evidence: a torn line is passed over
        return by_epoch

    def seconds(self) -> float:
        """Return the seconds spent on the epochs that count."""
        return sum(timing.seconds for timing in self.timings().values())

    def predictions(self) -> dict[str, NDArray[np.integer[Any]]]:
        """Return the predicted classes of the `validation` and `test` images, each `[N]`.

        Raises:
            StoreError: The file is missing or damaged.
        """
        try:
            with np.load(self.predictions_file, allow_pickle=False) as file:
                return {name: file[name] for name in ("validation", "test")}
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"{self.predictions_file} cannot be read: {error}. Run the trial again.") from error

    # --- writing, under the lock ---

    @contextmanager
    def lock(self, wait: bool) -> Iterator[bool]:
        """Hold the trial while it trains; the system frees the lock of a process that dies.

        Args:
            wait: Wait for another process that holds it; else give False at once.

        Yields:
            Whether the trial is ours.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=-1 if wait else 0)
            with lock:
                yield True
        except Timeout:
            yield False
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used: {error}. Choose another folder with --runs.") from error

    def begin(self, trial: Trial, first_epoch: int) -> None:
        """Write the recipe, and cut the epochs back to those before `first_epoch`, which will be trained again."""
        atomic.write_text(self.recipe_file, to_yaml(trial.recipe))
        kept = [record for record in self._epoch_records() if record["epoch"] < first_epoch]
        atomic.write_bytes(self.epochs_file, b"".join(_sealed_line(record) for record in kept))

    def add_epoch(self, epoch: Epoch) -> None:
        """Append a finished epoch."""
        record = {"epoch": epoch.number} | _named("train", epoch.train) | _named("validation", epoch.validation)
        atomic.append_bytes(self.epochs_file, _sealed_line(record))

    def add_timing(self, epoch: int, seconds: float, images: int, provenance: Provenance) -> None:
        """Append how long an epoch took, validation included; never part of a result's bytes."""
        record = {
            "epoch": epoch,
            "seconds": round(seconds, 4),
            "images_per_second": round(images / seconds, 1),
            "host": provenance["host"],
            "device": provenance["device"],
            "threads": provenance["threads"],
        }
        atomic.append_bytes(self.timings_file, json.dumps(record).encode() + b"\n")

    def save_checkpoint(self, state: Arrays, trial: Trial, epoch: int) -> None:
        """Write the state after an epoch, in place of an older one."""
        checkpoint.save(self.checkpoint_file, state, epoch=str(epoch), trial=trial.fingerprint)

    def load_checkpoint(self, trial: Trial) -> tuple[Arrays, int] | None:
        """Return the last state and its epoch, or None where there is none that holds.

        A damaged one is set aside under another name: the trial then starts anew.
        """
        if not self.checkpoint_file.exists():
            return None
        try:
            state, facts = checkpoint.load(self.checkpoint_file)
            if facts.get("trial") != trial.fingerprint:
                raise StoreError(f"{self.checkpoint_file} belongs to another trial.")
            recorded = [record["epoch"] for record in self._epoch_records()]
        except StoreError:
            self.set_aside(self.checkpoint_file)
            return None
        epoch = int(facts["epoch"])
        return (state, epoch) if recorded[:epoch] == list(range(1, epoch + 1)) else None

    def finish(
        self, trial: Trial, result: Result, weights: Arrays | None, predictions: Mapping[str, NDArray[np.uint16]] | None
    ) -> None:
        """Write what the trial leaves behind, `result.json` last, and remove the checkpoint."""
        if weights is not None:
            checkpoint.save(self.weights_file, weights, trial=trial.fingerprint)
        if predictions is not None:
            buffer = io.BytesIO()
            np.savez_compressed(
                buffer, allow_pickle=False, **{name: _narrow(array) for name, array in predictions.items()}
            )
            atomic.write_bytes(self.predictions_file, buffer.getvalue())
        vouched = (self.recipe_file, self.epochs_file, self.weights_file, self.predictions_file)
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "trial": trial.fingerprint,
            "block": trial.block,
            "data": trial.data,
            "engine": trial.recipe.engine,
            "engine_version": ENGINE_VERSIONS[trial.recipe.engine],
            "status": result.status,
            "epochs": result.epochs,
            "diverged_at": list(result.diverged_at) if result.diverged_at else None,
            "metrics": _named("train", result.train)
            | _named("validation", result.validation)
            | _named("test", result.test),
            "parameters": result.parameters,
            "provenance": dict(result.provenance),
            "files": {file.name: _sha256(file.read_bytes()) for file in vouched if file.exists()},
        }
        record["checksum"] = _seal(record)
        atomic.write_text(self.result_file, json.dumps(record, indent=2, allow_nan=False) + "\n")
        self.checkpoint_file.unlink(missing_ok=True)

    def set_aside(self, file: Path) -> Path:
        """Rename a damaged file so that it is never read as truth, and return its new name."""
        number = 1
        while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
            number += 1
        file.replace(aside)
        return aside

    # --- parts ---

    def _verified_record(self) -> dict[str, Any] | None:
        try:
            text = self.result_file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.result_file} cannot be read: {error}.") from error
        try:
            record = json.loads(text)
            seal = record.pop("checksum")
            version = record["schema_version"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{self.result_file} is damaged: it is no whole result.") from error
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.result_file} has schema version {version}, this eailab knows {SCHEMA_VERSION}: "
                "install a newer eailab."
            )
        if seal != _seal(record):
            raise StoreError(f"{self.result_file} differs from its own checksum: it is damaged.")
        for name, expected in record["files"].items():
            file = self.path / name
            if not file.exists() or _sha256(file.read_bytes()) != expected:
                raise StoreError(f"{file} is missing or differs from the checksum in {self.result_file.name}.")
        return dict(record)

    def _epoch_records(self) -> list[dict[str, Any]]:
        lines = _lines(self.epochs_file)
        records: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            record = _unsealed(line)
            if record is not None:
                records.append(record)
            elif number == len(lines):
                break  # a torn last line: the process died while it wrote
            else:
                raise StoreError(f"{self.epochs_file}:{number} is damaged: the line differs from its checksum.")
        return records


class Store:
    """A folder of trials and studies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, fingerprint: str) -> TrialFolder:
        """Return the folder of a trial, which need not exist yet."""
        return TrialFolder(self.root / "trials" / fingerprint)

    def study_folders(self) -> list[Path]:
        """Return the folders of the studies, by name."""
        return sorted(path.parent for path in self.root.glob("studies/*/study.yaml"))


# --- records ---------------------------------------------------------------------------------------------------------


def _named(split: str, scores: Scores | None) -> dict[str, float | None]:
    return {
        f"{split}_loss": None if scores is None else scores.loss,
        f"{split}_accuracy": None if scores is None else scores.accuracy,
    }


def _scores(record: Mapping[str, Any], split: str) -> Scores | None:
    loss, accuracy = record[f"{split}_loss"], record[f"{split}_accuracy"]
    return None if loss is None or accuracy is None else Scores(loss=loss, accuracy=accuracy)


def _epoch(record: Mapping[str, Any]) -> Epoch:
    train, validation = _scores(record, "train"), _scores(record, "validation")
    assert train is not None  # noqa: S101 - the line's checksum holds, so it is as it was written
    assert validation is not None  # noqa: S101
    return Epoch(record["epoch"], train, validation)


def _result(record: Mapping[str, Any]) -> Result:
    metrics, where = record["metrics"], record["diverged_at"]
    return Result(
        status=record["status"],
        epochs=record["epochs"],
        train=_scores(metrics, "train"),
        validation=_scores(metrics, "validation"),
        test=_scores(metrics, "test"),
        diverged_at=(where[0], where[1]) if where else None,
        parameters=record["parameters"],
        provenance=record["provenance"],
    )


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error}.") from error


def _seal(record: Mapping[str, Any]) -> str:
    return _sha256(json.dumps(record, sort_keys=True, allow_nan=False).encode())


def _sealed_line(record: Mapping[str, Any]) -> bytes:
    """A JSON line whose last field is the CRC-32 of what stands before it."""
    body = json.dumps(record, allow_nan=False)[:-1]
    return f'{body}, "crc": "{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _unsealed(line: bytes) -> dict[str, Any] | None:
    body, mark, crc = line.rpartition(b', "crc": "')
    if not mark or crc != f'{zlib.crc32(body):08x}"}}'.encode():
        return None
    record = json.loads(body + b"}")
    return dict(record)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _narrow(array: NDArray[np.uint16]) -> NDArray[np.unsignedinteger[Any]]:
    return array.astype(np.uint8) if array.size == 0 or array.max() < 256 else array
