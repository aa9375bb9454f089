"""The store: a folder of trials and studies that is the only truth about what has been trained.

A trial's folder is named by its fingerprint, so that asking for the same trial twice finds it. `result.json` is written
last; while it is there and agrees with its checksums, the trial is finished. Everything in a table is read from here.
"""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab import files
from eailab.data.packed_arrays import read_arrays
from eailab.data.registry import SOURCES
from eailab.engines.base import Arrays
from eailab.engines.registry import engine_of
from eailab.errors import DamagedError, RecipeError, StoreError
from eailab.recipe.canonical import canonical, digest, to_yaml
from eailab.recipe.load import parse_recipe
from eailab.recipe.schema import Recipe
from eailab.runs import atomic, checkpoint, lock, records
from eailab.runs.provenance import Provenance
from eailab.runs.records import Epoch, Position, Result, Status, Timing

SCHEMA_VERSION = 1
"""Of every file that the store writes; a newer one is refused, an older one is read."""

NAME = re.compile(r"[0-9a-f]{20}")
"""What a trial's folder is called."""

SHORT_NAME = 12
"""Digits of it that a terminal shows."""

OWN_DATA = "own"
"""What stands for the path of a person's own data where a trial's name is made."""

HEADING = re.compile(rb"^# What: +block (\d{1,10}) on the data ([0-9a-f]{1,128})$", re.MULTILINE)
"""What a trial's recipe says of it in a comment."""

_COMMENTS = re.compile(rb"\A(?:#[^\n]*\n)*")
"""Lines at the top of a trial's recipe, which differ from block to block."""

CLASSES = (np.uint8, np.uint16)
"""Types of predicted classes."""

CARRIED = "epochs.jsonl"
"""Name in a checkpoint of the lines of the epochs before it, so that damage to that file costs no training."""

TIMINGS = "timings.jsonl"

SET_ASIDE = re.compile(r"\.(damaged|replaced)-\d+$")
"""What ends the name of a file that was set aside."""

TRAINED_AGAIN = "The trial is trained again."


@dataclass(frozen=True)
class Trial:
    """One arm in one block: all that can change its result."""

    recipe: Recipe
    block: int
    data: str
    """Fingerprint of the data set's decoded arrays."""

    @cached_property
    def fingerprint(self) -> str:
        """The trial's name: 20 hexadecimal digits over recipe, block, data and engine version.

        Where a person's own data lie is no part of it: images are the same in another folder, or by another path to it.
        """
        name = self.recipe.data.name
        return digest(
            {
                "recipe": canonical(self.recipe, {} if name in SOURCES else {name: OWN_DATA}),
                "block": self.block,
                "data": self.data,
                "engine_version": engine_of(self.recipe).version,
            }
        )


@dataclass(frozen=True)
class Checkpoint:
    """Where a trial's training goes on: at its beginning unless there is a usable state."""

    state: Arrays | None = None
    """The engine's."""
    position: Position = Position()  # noqa: RUF009 - frozen
    unused: str = ""
    """Why the checkpoint that is there is not used; empty where there is none, or it is used."""


class TrialFolder:
    """The files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_file = path / "recipe.yaml"
        self.epochs_file = path / "epochs.jsonl"
        self.timings_file = path / TIMINGS
        self.predictions_file = path / "predictions.npz"
        self.checkpoint_file = path / "checkpoint.safetensors"
        self.weights_file = path / "model.safetensors"
        self.result_file = path / "result.json"
        self._fence: lock.Fence | None = None
        self._epoch_lines: list[bytes] = []
        """Of `epochs.jsonl`, as this process has written them or taken them from the checkpoint."""

    # --- reading ---

    def result(self, *, thorough: bool = True) -> Result | None:
        """Return how the trial ended, or None while it has not.

        Args:
            thorough: Whether the weights are held to their checksum, which takes most of the time for large networks;
                where not, they only have to be there. No number of a report comes from them.

        Raises:
            DamagedError: The result is damaged, or disagrees with a file that it vouches for.
            StoreError: The result is of a newer version, or the system does not let us read it.
        """
        record = self.record()
        if record is None:
            return None
        for _, damage in self._broken(record, thorough=thorough):
            raise DamagedError(damage)
        return Result.read(record)

    def record(self) -> dict[str, Any] | None:
        """Return what `result.json` says, checked by its own checksum only, or None while there is none.

        Raises:
            DamagedError: It is no whole result of this trial.
            StoreError: It is of a newer version, the system does not let us read it, or the folder is a link.
        """
        try:
            text = files.read(self.result_file, files.RESULT)
        except FileNotFoundError:
            return None
        try:
            record = records.parse(text)
            seal = record.pop("checksum")
            version = record["schema_version"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedError(f"{self.result_file} is damaged: it is no whole result.") from error
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.result_file} has schema version {version}, this eailab knows {SCHEMA_VERSION}: "
                "install a newer eailab."
            )
        if seal != records.seal(record):
            raise DamagedError(f"{self.result_file} differs from its own checksum: it is damaged.")
        try:
            records.check_result(record)
            trial, vouched = record["trial"], record["files"]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(f"{self.result_file} is not a result of eailab: {error!r}.") from error
        if trial != self.path.name:
            raise DamagedError(f"{self.result_file} belongs to another trial, {trial!s:.40}.")
        wanted = {file.name for file in self._vouched(record["status"])}
        if set(vouched) != wanted:
            raise DamagedError(f"{self.result_file} vouches for other files than {', '.join(sorted(wanted))}.")
        return record

    def recipe(self) -> Recipe:
        """Return the recipe that the trial was trained by.

        Raises:
            DamagedError: It is missing, or is not a recipe.
            StoreError: The system does not let us read it.
        """
        return self.recipe_and_text()[0]

    def recipe_and_text(self) -> tuple[Recipe, bytes]:
        """Read the trial's recipe; its comments say more.

        Raises:
            DamagedError: It is missing, or is not a recipe.
            StoreError: The system does not let us read it.
        """
        try:
            text = files.read(self.recipe_file, files.TRIAL_RECIPE)
            with suppress(RecipeError):
                return _parsed(_COMMENTS.sub(b"", text)), text
            return parse_recipe(text, str(self.recipe_file)), text  # it cannot be, and names the lines of the file
        except (FileNotFoundError, RecipeError) as error:
            raise DamagedError(f"{self.recipe_file} is not the recipe of a trial: {error}") from error

    def epochs(self) -> list[Epoch]:
        """Return the epochs finished so far; a last line that is not whole is not counted.

        Raises:
            DamagedError: A line before the last is damaged.
            StoreError: The system does not let us read it.
        """
        try:
            return [Epoch.read(record) for record in self._epoch_records()]
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"{self.epochs_file} has a line that is no epoch: {error!r}.") from error

    def has_begun(self) -> bool:
        """Return whether the trial was ever trained, as far as the files that are here tell."""
        kept = (self.epochs_file, self.result_file, self.checkpoint_file)
        return any(os.path.lexists(file) for file in kept) or bool(self.set_aside())

    def set_aside(self) -> set[str]:
        """Return the names of the files that were set aside here."""
        return {file.name for file in self.path.glob("*-[0-9]*") if SET_ASIDE.search(file.name)}

    def timings(self) -> dict[int, Timing]:
        """Return how long each epoch took, by its number: the last attempt at each, which is the one that counts."""
        return dict(filter(None, map(records.timing, self.timing_lines())))

    def timing_lines(self, *, strict: bool = False) -> list[bytes]:
        """Return the lines of `timings.jsonl`; where there is something else in its place, none.

        Raises:
            DamagedError: There is something else in its place, and `strict` asks for it to be named.
        """
        try:
            return _lines(self.timings_file, files.TIMINGS)
        except DamagedError:  # timings are not evidence: the trial holds without them
            if strict:
                raise
            return []

    def seconds(self, epochs: int) -> tuple[float, int]:
        """Return the seconds spent on the epochs up to a number, and how many of them were timed."""
        timed = [timing.seconds for number, timing in self.timings().items() if 1 <= number <= epochs]
        return sum(timed), len(timed)

    def whole_timings(self) -> bytes:
        """Return the lines of `timings.jsonl` that are whole."""
        return b"".join(line + b"\n" for line in self.timing_lines() if records.timing(line) is not None)

    def predictions(self) -> dict[str, NDArray[np.integer[Any]]]:
        """Return the predicted classes of the `validation` and `test` images, each `[N]`.

        Raises:
            DamagedError: The file is missing or damaged.
            StoreError: The system does not let us read it.
        """
        try:
            packed = io.BytesIO(files.read(self.predictions_file, files.PREDICTIONS))
            found = read_arrays(packed, ("validation", "test"), files.PREDICTIONS.largest)
            for name, array in found.items():
                if array.ndim != 1 or array.dtype not in CLASSES:
                    raise ValueError(f"{name} holds {array.dtype} in the shape {array.shape}, and not classes")
        except (FileNotFoundError, ValueError) as error:
            raise DamagedError(f"{self.predictions_file} cannot be read: {error}. Run the trial again.") from error
        return found

    # --- writing, under the lock ---

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the trial while it trains; see `eailab.runs.lock`.

        Yields:
            Whether the trial is ours; False when another process holds it.

        Raises:
            StoreError: The folder cannot be used.
        """
        with lock.hold(self.path) as fence:
            self._fence = fence
            try:
                yield fence is not None
            finally:
                self._fence = None

    def order(self, trial: Trial) -> None:
        """Write down which trial is to be trained here, for a process that is told its name only.

        Raises:
            StoreError: The folder cannot be written.
        """
        atomic.refuse_links(self.path.parent, self.path)
        if self.recipe_file.exists():
            try:
                self.ordered()
                return
            except DamagedError:
                with self.lock() as ours:
                    if not ours:
                        return  # whoever trains it writes it
                    atomic.set_aside(self.recipe_file)
        atomic.write_text(self.recipe_file, _heading(trial) + to_yaml(trial.recipe))

    def ordered(self) -> Trial:
        """Return the trial that was written down here.

        Raises:
            DamagedError: There is none, or it is not the one that the folder is named after.
            StoreError: The system does not let us read it.
        """
        recipe, text = self.recipe_and_text()
        match = HEADING.search(text)
        if match is None:
            raise DamagedError(f"{self.recipe_file} does not say of which block it is.")
        trial = Trial(recipe, int(match[1]), match[2].decode())
        if trial.fingerprint != self.path.name:
            raise DamagedError(f"{self.path} is not named after the recipe, block and data in it.")
        return trial

    def begin(self, trial: Trial, first_epoch: int) -> None:
        """Write the recipe, and the epochs before `first_epoch` that `load_checkpoint` has found or that we wrote.

        Temporary files that a dead process left are removed.
        """
        for litter in self.path.glob(atomic.TEMPORARY):
            atomic.remove(litter)
        self._check_lock()
        atomic.write_text(self.recipe_file, _heading(trial) + to_yaml(trial.recipe))
        self._epoch_lines = self._epoch_lines[: first_epoch - 1]
        atomic.write_bytes(self.epochs_file, b"".join(self._epoch_lines))

    def add_epoch(self, epoch: Epoch) -> None:
        """Append a finished epoch."""
        self._check_lock()
        line = records.sealed_line(epoch.record())
        atomic.append_bytes(self.epochs_file, line)
        self._epoch_lines.append(line)

    def add_timing(
        self, epoch: int, seconds: float, images: int, provenance: Provenance, joules: float | None = None
    ) -> None:
        """Append what an epoch took, validation included, and that it has just ended; no part of a result's bytes."""
        record = {
            "epoch": epoch,
            "seconds": round(seconds, 4),
            "images_per_second": round(images / max(seconds, 1e-9), 1),
            "host": provenance["host"],
            "device": provenance["device"],
            "threads": provenance["threads"],
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
        } | ({} if joules is None else {"joules": round(joules, 1)})
        line = _after_a_torn_line(self.timings_file) + records.sealed_line(record)
        atomic.append_bytes(self.timings_file, line, flush=False)

    def save_checkpoint(self, state: Arrays, trial: Trial, position: Position, environment: str = "") -> None:
        """Write a state, and the epochs before it, in place of an older one.

        Args:
            state: The engine's.
            trial: Whose it is.
            position: How far the trial has come.
            environment: What the trial's bits depend on beside its recipe.
        """
        self._check_lock()
        carried = np.frombuffer(bytearray().join(self._epoch_lines[: position.epochs]), np.uint8)
        facts = {"trial": trial.fingerprint, "environment": environment, **position.facts()}
        checkpoint.save(self.checkpoint_file, state | {CARRIED: carried}, **facts)

    def load_checkpoint(self, trial: Trial, environment: str = "") -> Checkpoint:
        """Return the last state and its position; `begin` writes the epochs before it.

        A damaged one is set aside under another name, and one of another environment is left to be overwritten, since
        a result comes from one environment: the trial then starts from the beginning.
        """
        if not self.checkpoint_file.exists():
            return Checkpoint()
        try:
            state, facts = checkpoint.load(self.checkpoint_file)
            if facts.get("trial") != trial.fingerprint:
                raise DamagedError(f"{self.checkpoint_file} belongs to another trial.")
            position, there = Position.read(facts), facts.get("environment")
        except (DamagedError, KeyError, ValueError):
            aside = atomic.set_aside(self.checkpoint_file)
            return Checkpoint(
                unused=f"its checkpoint is damaged, or another trial's, and was set aside as {aside.name}."
            )
        if there != environment:
            return Checkpoint(unused=f"its checkpoint, of {position}, was made on {there}, and this is {environment}.")
        carried = state.pop(CARRIED, None)
        # older checkpoints carry none
        lines = _lines(self.epochs_file, files.EPOCHS) if carried is None else carried.tobytes().splitlines()
        recorded = [(records.unsealed(line) or {}).get("epoch") for line in lines[: position.epochs]]
        if recorded != list(range(1, position.epochs + 1)):
            missing = f"{self.epochs_file.name} lacks epochs before that"
            return Checkpoint(unused=f"its checkpoint is of {position}, and {missing}.")
        self._epoch_lines = [line + b"\n" for line in lines[: position.epochs]]
        return Checkpoint(state, position)

    def set_damage_aside(self) -> list[str]:
        """Rename what is damaged in a trial that is not finished, before it is trained, and say what of each file.

        A whole result that vouches for a damaged file is kept under another name too: it holds no longer.

        Raises:
            StoreError: It cannot be renamed, or a result is of a newer version.
        """
        try:
            record = self.record()
        except DamagedError as error:
            return [_set_aside(self.result_file, str(error)), TRAINED_AGAIN]
        if record is not None:
            said = [_set_aside(file, damage) for file, damage in self._broken(record)]
            kept = atomic.set_aside(self.result_file, "replaced")
            return [*said, f"{self.result_file.name} was kept as {kept.name}.", TRAINED_AGAIN]
        try:
            self.epochs()
        except DamagedError as error:
            return [_set_aside(self.epochs_file, str(error))]
        return []

    def finish(
        self,
        trial: Trial,
        result: Result,
        weights: Arrays | None,
        predictions: Mapping[str, NDArray[np.uint16]] | None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Write what the trial leaves behind, `result.json` last, and remove the checkpoint.

        Args:
            trial: Whose folder this is.
            result: How it ended.
            weights: Of its network; None when it diverged.
            predictions: Of the validation and test images; None when it diverged.
            facts: What the weights expect of images, kept in their file; see `engines.base.Expected.facts`.

        Raises:
            DamagedError: The recorded epochs are not the first to the last, each once.
            LostLockError: Another process has taken the trial over.
            StoreError: The folder cannot be written.
        """
        self._check_lock()
        try:
            self._check_epochs(result.epochs)
        except DamagedError as error:
            raise DamagedError(
                f"{error} Something else wrote into it meanwhile, and no result was recorded: run the same command to "
                "train again."
            ) from error
        if weights is not None:
            checkpoint.save(self.weights_file, weights, trial=trial.fingerprint, **(facts or {}))
        if predictions is not None:
            buffer = io.BytesIO()
            np.savez_compressed(
                buffer, allow_pickle=False, **{name: _narrow(array) for name, array in predictions.items()}
            )
            atomic.write_bytes(self.predictions_file, buffer.getvalue())
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "trial": trial.fingerprint,
            "block": trial.block,
            "data": trial.data,
            "engine": trial.recipe.engine,
            "engine_version": engine_of(trial.recipe).version,
            **result.record(),
            "files": {file.name: self._sha256(file.name) for file in self._vouched(result.status)},
        }
        record["checksum"] = records.seal(record)
        self._check_lock()
        atomic.write_text(self.result_file, json.dumps(record, indent=2, allow_nan=False) + "\n")
        atomic.remove(self.checkpoint_file)

    # --- parts ---

    def _check_lock(self) -> None:
        """Raise `LostLockError` when we held the trial and another process has taken it over."""
        if self._fence is not None:
            self._fence()

    def _check_epochs(self, count: int) -> None:
        """Raise an error unless the recorded epochs are those of one whole training."""
        recorded = [epoch.number for epoch in self.epochs()]
        if recorded != list(range(1, count + 1)):
            raise DamagedError(
                f"{self.epochs_file} has {len(recorded)} lines that are not the epochs 1 to {count}, each once."
            )

    def _vouched(self, status: Status) -> tuple[Path, ...]:
        """Return the files whose checksums a result holds."""
        always = (self.recipe_file, self.epochs_file)
        return always if status == "diverged" else (*always, self.weights_file, self.predictions_file)

    def _broken(self, record: dict[str, Any], *, thorough: bool = True) -> Iterator[tuple[Path, str]]:
        """Yield the files that a result vouches for and that are not as it says, and what is wrong with each."""
        whole = thorough
        for name, expected in record["files"].items():
            file, found = self.path / name, None
            try:
                if thorough or file != self.weights_file:
                    found = self._sha256(name)
                else:
                    with suppress(FileNotFoundError), files.opened(file, files.WEIGHTS):
                        continue
            except DamagedError as error:
                whole = False
                yield file, str(error)
                continue
            if found != expected:
                whole = False
                differs = f"differs from the checksum in {self.result_file.name}"
                yield file, f"{file} {'is missing' if found is None else differs}."
        if whole:  # the checksums hold, and say nothing of what was sealed
            try:
                planned = self.recipe().epochs if record["status"] == "finished" else record["epochs"]
            except DamagedError as error:
                yield self.recipe_file, str(error)
                return
            try:
                self._check_epochs(planned)
            except DamagedError as error:
                yield self.epochs_file, str(error)

    def _sha256(self, name: str) -> str | None:
        kinds = {self.recipe_file: files.TRIAL_RECIPE, self.epochs_file: files.EPOCHS}
        kinds |= {self.weights_file: files.WEIGHTS, self.predictions_file: files.PREDICTIONS}
        try:
            return files.sha256(self.path / name, kinds[self.path / name])
        except FileNotFoundError:
            return None

    def _epoch_records(self) -> list[dict[str, Any]]:
        lines = _lines(self.epochs_file, files.EPOCHS)
        found: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            record = records.unsealed(line)
            if record is not None:
                found.append(record)
            elif number == len(lines):
                break  # a torn last line: the process died while it wrote
            else:
                raise DamagedError(f"{self.epochs_file}:{number} is damaged: the line differs from its checksum.")
        return found


class Store:
    """A folder of trials and studies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, fingerprint: str) -> TrialFolder:
        """Return the folder of a trial, which need not exist yet.

        Raises:
            DamagedError: The fingerprint, read from some file, is no name of a trial.
        """
        if not NAME.fullmatch(str(fingerprint)):  # a file may hold anything
            raise DamagedError(f"{fingerprint!r:.60} is no name of a trial: the file that says so is damaged.")
        return TrialFolder(self.root / "trials" / fingerprint)

    def trial_names(self) -> list[str]:
        """Return the names of the trials that have a folder, in alphabetical order; what is no trial is passed over.

        Raises:
            StoreError: The system does not let us look.
        """
        trials = self.root / "trials"
        try:
            with os.scandir(trials) as entries:
                folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise files.unreadable(trials, error) from error
        return sorted(filter(NAME.fullmatch, folders))

    def study_folders(self) -> list[Path]:
        """Return the folders of the studies, by name."""
        return sorted(path.parent for path in self.root.glob("studies/*/study.yaml"))


def _set_aside(file: Path, damage: str) -> str:
    """Rename a damaged file, if it is there, and say what is wrong with it and what it is called now."""
    if not os.path.lexists(file):
        return damage
    return f"{damage} It was set aside as {atomic.set_aside(file).name}."


def _lines(file: Path, kind: files.Kind) -> list[bytes]:
    try:
        return files.read(file, kind).splitlines()
    except FileNotFoundError:
        return []


def _after_a_torn_line(file: Path) -> bytes:
    """Return the line break that keeps a new line apart from one that was cut short, or nothing."""
    try:
        text = files.read(file, files.TIMINGS)
    except FileNotFoundError:
        return b""
    return b"" if not text or text.endswith(b"\n") else b"\n"


@lru_cache(maxsize=256)
def _parsed(text: bytes) -> Recipe:
    """Return a recipe, which the trials of an arm share."""
    return parse_recipe(text, "")


def _heading(trial: Trial) -> str:
    """Say in a recipe's comments which trial it is of, so that the file alone can repeat it."""
    command = engine_of(trial.recipe).command
    run = f"# Run:     eailab {command} --recipe recipe.yaml --seed {trial.block}\n" if command else ""
    return f"{run}# What:    block {trial.block} on the data {trial.data}\n"


def _narrow(array: NDArray[np.uint16]) -> NDArray[np.unsignedinteger[Any]]:
    return array.astype(np.uint8) if array.size == 0 or array.max() < 256 else array
