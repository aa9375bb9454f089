"""Read and write the files of one trial.

`result.json` is written last; while it is there and agrees with its checksums, the trial is finished.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eailab import files
from eailab.engines.base import Arrays
from eailab.engines.registry import engine_of, metrics_of
from eailab.errors import DamagedError, RecipeError
from eailab.metrics import TEST, VALIDATION, Metric, SplitName
from eailab.recipe.base import Recipe
from eailab.runs import atomic, checkpoint, lock, records
from eailab.runs.damage import SCHEMA_VERSION, SET_ASIDE, Predictions, broken_files, read_result, vouched
from eailab.runs.records import Epoch, Position, Provenance, Result, Timing
from eailab.runs.trial import Trial, identity_text, parse_trial_recipe, read_identity, recipe_text

CARRIED = "epochs.jsonl"
"""Name in a checkpoint of the lines of the epochs before it, so that damage to that file costs no training."""

TIMINGS = "timings.jsonl"


class TrialFolder:
    """The files of one trial. What reads one raises `StoreError` where the system does not allow it."""

    identity_file = files.Within("trial.json")
    recipe_file = files.Within("recipe.yaml")
    epochs_file = files.Within("epochs.jsonl")
    timings_file = files.Within(TIMINGS)
    predictions_file = files.Within("predictions.npz")
    checkpoint_file = files.Within("checkpoint.safetensors")
    weights_file = files.Within("model.safetensors")
    result_file = files.Within("result.json")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fence: lock.Fence | None = None
        self._epoch_lines: list[bytes] = []
        """Of `epochs.jsonl`, as this process has written them or taken them from the checkpoint."""
        self._recipe: Recipe | None = None
        """Once it was read: a report asks for it at each file of a trial."""

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
        found = self.recorded()
        if found is None:
            return None
        record, result = found
        for _, damage in broken_files(self, record, thorough=thorough):
            raise DamagedError(damage)
        return result

    def record(self) -> dict[str, Any] | None:
        """Return what `result.json` says; see `damage.read_result`."""
        found = self.recorded()
        return None if found is None else found[0]

    recorded = read_result

    def recipe(self) -> Recipe:
        """Return the recipe that the trial was trained by; its file is read once.

        Raises:
            DamagedError: It is missing, or is not a recipe.
        """
        if self._recipe is None:
            try:
                text = files.read(self.recipe_file, files.TRIAL_RECIPE)
                self._recipe = parse_trial_recipe(text, self.recipe_file)
            except (FileNotFoundError, RecipeError) as error:
                raise DamagedError(f"{self.recipe_file} is not the recipe of a trial: {error}") from error
        return self._recipe

    def metrics(self) -> tuple[Metric, ...] | None:
        """Return what the trial records, or None where its recipe cannot be read."""
        try:
            return metrics_of(self.recipe())
        except DamagedError:
            return None

    def identity(self) -> tuple[int, str]:
        """Return the block and the data of the trial; see `read_identity`."""
        return read_identity(self.identity_file, self.recipe_file)

    def epochs(self) -> list[Epoch]:
        """Return the epochs finished so far; a last line that is not whole is not counted.

        Raises:
            DamagedError: A line before the last is damaged.
        """
        try:
            return Epoch.read_all(self._epoch_records(), self.metrics())
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"{self.epochs_file} has a line that is not an epoch: {error!r}.") from error

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
            return files.lines_of(self.timings_file, files.TIMINGS)
        except DamagedError:  # timings are not evidence: the trial holds without them
            if strict:
                raise
            return []

    def seconds(self, epochs: int) -> tuple[float, int]:
        """Return the seconds spent on the epochs up to a number, and how many of them were timed."""
        timed = [timing.seconds for number, timing in self.timings().items() if 1 <= number <= epochs]
        return sum(timed), len(timed)

    def predictions(self, *splits: SplitName) -> Predictions:
        """Return the predicted classes of the images of some splits, each `[N]`; where none is named, of both.

        Raises:
            DamagedError: The file is missing or damaged.
        """
        from eailab.data.npz import read_arrays  # with numpy, which lists of trials do without

        try:
            packed = io.BytesIO(files.read(self.predictions_file, files.PREDICTIONS))
            found = read_arrays(packed, (VALIDATION, TEST), files.PREDICTIONS.largest, splits)
            for name, array in found.items():
                if array.ndim != 1 or array.dtype not in ("uint8", "uint16"):
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
        """Write which trial is to be trained here, for a process that is given its name only.

        Raises:
            StoreError: The folder cannot be written.
        """
        atomic.refuse_links(self.path.parent, self.path)
        if self.recipe_file.exists():
            try:
                is_as_asked = self.ordered().recipe.limit_seconds == trial.recipe.limit_seconds
            except DamagedError:
                is_as_asked = None
            if is_as_asked:
                return
            with self.lock() as ours:
                if not ours:
                    return  # the process that trains it writes it
                if is_as_asked is None:
                    atomic.set_aside(self.identity_file if self._has_damaged_identity() else self.recipe_file)
                self.reopen(trial)
                atomic.write_together(self._identity_files(trial))
        else:
            atomic.write_together(self._identity_files(trial))
        self._recipe = None

    def reopen(self, trial: Trial) -> None:
        """Set the result of a trial aside that timed out and is now given more time; any other stays.

        Raises:
            StoreError: It cannot be renamed.
        """
        with suppress(DamagedError):  # is found when the trial is trained
            result = self.result()
            if result is not None and result.has_more_time(trial.recipe.limit_seconds):
                atomic.set_aside(self.result_file, "timed-out")

    def ordered(self) -> Trial:
        """Return the trial that the files here are of.

        Raises:
            DamagedError: There is none, or it is not the one that the folder is named after.
        """
        trial = Trial(self.recipe(), *self.identity())
        if trial.fingerprint != self.path.name:
            raise DamagedError(f"{self.path} is not named after the recipe, block and data in it.")
        return trial

    def begin(self, trial: Trial, first_epoch: int) -> None:
        """Write which trial this is, and the epochs before `first_epoch` that it has.

        These are the epochs that `load_checkpoint` has found, or that this process has recorded.
        Temporary files that a dead process left are removed.
        """
        for litter in self.path.glob(atomic.TEMPORARY):
            atomic.remove(litter)
        self._check_lock()
        self._epoch_lines = self._epoch_lines[: first_epoch - 1]
        atomic.write_together({**self._identity_files(trial), self.epochs_file: b"".join(self._epoch_lines)})
        self._recipe = None

    def add_epoch(self, epoch: Epoch) -> None:
        """Append a finished epoch; `finish` flushes it to the disk, and a checkpoint carries it."""
        self._check_lock()
        line = records.sealed_line(epoch.record())
        atomic.append_bytes(self.epochs_file, line)
        self._epoch_lines.append(line)

    def add_timing(
        self, epoch: int, seconds: float, images: int | None, provenance: Provenance, joules: float | None = None
    ) -> None:
        """Append what an epoch took, validation included, and that it has just ended; no part of a result's bytes."""
        record = {
            "epoch": epoch,
            "seconds": round(seconds, 4),
            **({} if images is None else {"images_per_second": round(images / max(seconds, 1e-9), 1)}),
            "host": provenance["host"],
            "device": provenance["device"],
            "threads": provenance["threads"],
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
        } | ({} if joules is None else {"joules": round(joules, 1)})
        line = atomic.after_a_torn_line(self.timings_file, files.TIMINGS) + records.sealed_line(record)
        atomic.append_bytes(self.timings_file, line)

    def save_checkpoint(self, state: Arrays | None, trial: Trial, position: Position, environment: str = "") -> None:
        """Write a state, and the epochs before it, in place of an older one; nothing where the engine has none.

        The environment is what the trial's bits depend on besides its recipe.
        """
        self._check_lock()
        if state is None:
            return
        import numpy as np

        carried = np.frombuffer(bytearray().join(self._epoch_lines[: position.epochs]), np.uint8)
        facts = {"trial": trial.fingerprint, "environment": environment, **position.facts()}
        checkpoint.save(self.checkpoint_file, state | {CARRIED: carried}, **facts)

    def load_checkpoint(self, trial: Trial, environment: str = "") -> checkpoint.Checkpoint:
        """Return the last state and its position; `begin` writes the epochs before it.

        A damaged one is set aside under another name, and one of another environment is left to be overwritten, since
        a result comes from one environment: the trial then starts from the beginning.
        """
        if not self.checkpoint_file.exists():
            return checkpoint.Checkpoint()
        try:
            state, facts = checkpoint.load(self.checkpoint_file)
            if facts.get("trial") != trial.fingerprint:
                raise DamagedError(f"{self.checkpoint_file} belongs to another trial.")
            position, there = Position.read(facts), facts.get("environment")
        except (DamagedError, KeyError, ValueError):
            aside = atomic.set_aside(self.checkpoint_file)
            return checkpoint.Checkpoint(
                unused=f"its checkpoint is damaged, or another trial's, and was set aside as {aside.name}."
            )
        if there != environment:
            return checkpoint.Checkpoint(
                unused=f"its checkpoint, of {position}, was made on {there}, and this is {environment}."
            )
        carried = state.pop(CARRIED, None)
        # older checkpoints carry none
        lines = files.lines_of(self.epochs_file, files.EPOCHS) if carried is None else carried.tobytes().splitlines()
        recorded = [(records.unsealed(line) or {}).get("epoch") for line in lines[: position.epochs]]
        if recorded != list(range(1, position.epochs + 1)):
            missing = f"{self.epochs_file.name} lacks epochs before that"
            return checkpoint.Checkpoint(unused=f"its checkpoint is of {position}, and {missing}.")
        self._epoch_lines = [line + b"\n" for line in lines[: position.epochs]]
        return checkpoint.Checkpoint(state, position)

    def finish(self, trial: Trial, result: Result, artifacts: Mapping[str, bytes]) -> None:
        """Write what the trial leaves behind, `result.json` last, and remove the checkpoint.

        The artifacts are the files that the engine declares, by name, but for those that it wrote itself.

        Raises:
            DamagedError: The recorded epochs are not the first to the last, each once, or a declared file is missing.
            LostLockError: Another process has taken the trial over.
            StoreError: The folder cannot be written.
        """
        self._check_lock()
        try:
            self.check_epochs(result.epochs)
        except DamagedError as error:
            raise DamagedError(
                f"{error} Something else wrote into it meanwhile, and no result was recorded: run the same command to "
                "train again."
            ) from error
        atomic.flush(self.epochs_file)
        atomic.write_together({self.path / name: content for name, content in artifacts.items()})
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "trial": trial.fingerprint,
            "block": trial.block,
            "data": trial.data,
            "engine": trial.recipe.engine,
            "engine_version": engine_of(trial.recipe).version,
            **result.record(),
            "files": self._checksums(vouched(trial.recipe.engine, result.status)),
        }
        record["checksum"] = records.seal(record)
        self._check_lock()
        atomic.write_text(self.result_file, json.dumps(record, indent=2, allow_nan=False) + "\n")
        atomic.remove(self.checkpoint_file)

    # --- parts ---

    def _has_damaged_identity(self) -> bool:
        try:
            self.identity()
        except DamagedError:
            return os.path.lexists(self.identity_file)
        return False

    def _identity_files(self, trial: Trial) -> dict[Path, bytes]:
        return {self.identity_file: identity_text(trial).encode(), self.recipe_file: recipe_text(trial).encode()}

    def _check_lock(self) -> None:
        """Raise `LostLockError` when we held the trial and another process has taken it over."""
        if self._fence is not None:
            self._fence()

    def check_epochs(self, count: int) -> None:
        """Raise an error unless the recorded epochs are those of one whole training."""
        recorded = [epoch.number for epoch in self.epochs()]
        if recorded != list(range(1, count + 1)):
            raise DamagedError(
                f"{self.epochs_file} has {len(recorded)} lines that are not the epochs 1 to {count}, each once."
            )

    def _checksums(self, kinds: Mapping[str, files.Kind]) -> dict[str, str]:
        try:
            return {name: files.sha256(self.path / name, kind) for name, kind in kinds.items()}
        except FileNotFoundError as error:
            raise DamagedError(f"{error.filename} is missing, which the engine declares that it leaves.") from error

    def _epoch_records(self) -> list[dict[str, Any]]:
        lines = files.lines_of(self.epochs_file, files.EPOCHS)
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
