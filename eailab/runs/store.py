"""Find trials and studies in the store, the folder that is the only truth about what has been trained.

A trial's folder is named by its fingerprint, so that asking for the same trial twice finds it. Everything in a table is
read from here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from eailab import files
from eailab.engines.registry import ENGINES
from eailab.errors import DamagedError, StoreError, UsageError
from eailab.plain import counted
from eailab.runs import atomic, checkpoint, records
from eailab.runs.damage import Predictions, contradictions, name_is_right
from eailab.runs.lock import in_training_error, is_held
from eailab.runs.records import Epoch, Result
from eailab.runs.trial_folder import TIMINGS, TrialFolder

NAME = re.compile(r"[0-9a-f]{20}")
"""What a trial's folder is called."""

SHORT_NAME = 12
"""Digits of it that a terminal shows."""


class Store:
    """A folder of trials and studies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, fingerprint: str) -> TrialFolder:
        """Return the folder of a trial, which need not exist yet.

        Raises:
            DamagedError: The fingerprint, read from some file, is not the name of a trial.
        """
        if not NAME.fullmatch(str(fingerprint)):  # a file may hold anything
            raise DamagedError(f"{fingerprint!r:.60} is not the name of a trial: the file that says so is damaged.")
        return TrialFolder(self.root / "trials" / fingerprint)

    def trial_names(self) -> list[str]:
        """Return the names of the trials that have a folder, in alphabetical order; other folders are passed over.

        Raises:
            StoreError: The system forbids reading the folder.
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


# --- listing ----------------------------------------------------------------------------------------------------------


State: TypeAlias = Literal["finished", "diverged", "timed-out", "training", "stopped", "damaged"]
"""`training` is held by a process right now; `stopped` has no result, and no process holds it."""

QUARANTINE = "quarantine"
"""Folder next to `trials/` that damaged trials are moved to; nothing reads it."""

_NAME = re.compile(rb"^name: .*$", re.MULTILINE)
_EPOCHS = re.compile(rb"^epochs: (\d{1,7})$", re.MULTILINE)


@dataclass(frozen=True)
class TrialSummary:
    """One trial in a line of a list."""

    name: str
    state: State
    epochs: int
    """Finished so far."""
    planned: int | None
    """Epochs that the recipe asks for; None where it cannot be read."""
    recipe: str
    """The recipe's name, as the file has it: to be made harmless before it is shown."""
    block: int | None
    device: str | None
    """What the result was computed on; None without one."""
    problem: str | None
    """Why a damaged trial is not read."""
    result: Result | None = None
    engine: str | None = None
    """That trained it; None without a result."""


def summary(folder: TrialFolder) -> TrialSummary:
    """Summarise one trial."""
    (recipe, planned), block = _name_and_epochs(folder), None
    try:
        if (found := folder.recorded()) is not None:
            record, result = found
            block, device = record["block"], record["provenance"]["device"]
            said = (folder.path.name, result.status, result.epochs, planned, recipe, block, device, None)
            return TrialSummary(*said, result, record["engine"])
        with suppress(DamagedError):
            block, _ = folder.identity()
        state: State = "training" if is_held(folder.path) else "stopped"
        return TrialSummary(folder.path.name, state, len(folder.epochs()), planned, recipe, block, None, None)
    except StoreError as error:
        return TrialSummary(folder.path.name, "damaged", 0, planned, recipe, block, None, str(error))


# --- verifying -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoreProblem:
    """Something in the store that is not as it was written."""

    path: Path
    reason: str


def problems(store: Store) -> Iterator[StoreProblem]:
    """Read every file of every trial, compute every checksum again, and yield what does not hold.

    Raises:
        StoreError: The system forbids reading the folder.
    """
    trials = store.root / "trials"
    known = set(store.trial_names())
    for path in sorted(trials.iterdir()) if trials.is_dir() else []:
        if path.name not in known and not is_foreign(path.name):
            yield StoreProblem(path, f"{path} is not a trial's folder: eailab did not put it there.")
    for name in sorted(known):
        folder = store.folder(name)
        try:
            if folder.identity_file.exists():
                folder.identity()
        except DamagedError as error:
            yield StoreProblem(folder.identity_file, str(error))
            continue
        try:
            verify(folder)
        except DamagedError as error:
            yield StoreProblem(folder.path, str(error))
            continue
        try:
            damaged = damaged_timings(folder)
        except DamagedError as error:
            yield StoreProblem(folder.timings_file, str(error))
            continue
        if damaged:
            lines = ", ".join(map(str, damaged))
            epochs = len(folder.epochs())
            _, timed = folder.seconds(epochs)
            yield StoreProblem(
                folder.timings_file,
                f"{folder.timings_file} is damaged in lines {lines}: {timed} of {counted(epochs, 'epoch')} timed. "
                "No result needs it.",
            )


def damaged_timings(folder: TrialFolder) -> list[int]:
    """Return the numbers of lines that are whole and differ from their checksum, or hold no time.

    A line that was cut short is none of them: the process died while it wrote.

    Raises:
        DamagedError: Something else is in the place of the file.
    """
    lines = enumerate(folder.timing_lines(strict=True), start=1)
    return [number for number, line in lines if line.endswith(b'"}') and records.timing(line) is None]


def verify(folder: TrialFolder) -> tuple[Result, Predictions | None] | None:
    """Hold a trial's files against their checksums, against each other, and against the trial's name and recipe.

    Returns:
        The result and its predictions, if there are any.

    Raises:
        DamagedError: Something does not hold; the first thing found.
        StoreError: A result is of a newer version, or the system forbids reading a file.
    """
    given = {spec.own_folder for spec in ENGINES.values()}
    for file in sorted(folder.path.iterdir()) if folder.path.is_dir() else []:
        if file.name in given and file.is_dir() and not file.is_symlink():
            continue
        if not is_foreign(file.name) and (file.is_symlink() or not file.is_file()):
            raise DamagedError(f"{file} is a link or a folder: eailab did not put it there.")
    result, record, epochs = folder.result(), folder.record(), folder.epochs()
    if record is not None and result is not None:
        return result, _verify_result(folder, record, result, epochs)
    if [epoch.number for epoch in epochs] != list(range(1, len(epochs) + 1)):
        raise DamagedError(f"{folder.epochs_file} has not the epochs 1 to {len(epochs)}.")
    if folder.checkpoint_file.exists():
        _, facts = checkpoint.load(folder.checkpoint_file)
        if facts.get("trial") != folder.path.name:
            raise DamagedError(f"{folder.checkpoint_file} belongs to another trial.")
    return None


def _verify_result(
    folder: TrialFolder, record: dict[str, Any], result: Result, epochs: list[Epoch]
) -> Predictions | None:
    """Hold a result to its trial's name and recipe, and return its predictions."""
    recipe = folder.recipe()
    block, data = record["block"], record["data"]
    if not name_is_right(recipe, block, data, record["engine_version"], folder.path.name):
        raise DamagedError(f"{folder.path} is not named after the recipe, block and data in it.")
    if folder.identity_file.exists() and folder.identity() != (block, data):
        raise DamagedError(f"{folder.identity_file} says another block or data set than {folder.result_file.name}.")
    predictions, weights = None, None
    if result.status == "finished" and recipe.images is not None:
        predictions, weights = folder.predictions(), checkpoint.load(folder.weights_file)
    for found in contradictions(recipe, record, result, epochs, predictions, weights):
        raise DamagedError(f"{folder.path} contradicts itself: {found}.")
    return predictions


def is_foreign(name: str) -> bool:
    """Return whether a file is another program's, such as a file manager's or a notebook's: it is left alone."""
    return name.startswith(".") or name in ("Thumbs.db", "desktop.ini")


# --- moving and removing ---------------------------------------------------------------------------------------------


def quarantine(store: Store, path: Path) -> Path:
    """Move what a problem was found in out of the trials, so that it is trained again, and return where it lies now.

    Of a trial's timings the lines that are whole stay.

    Raises:
        StoreError: A process is training it, it cannot be moved, or the quarantine is a link.
    """
    folder, number = store.root / QUARANTINE, 1
    atomic.refuse_links(folder)
    lines = TrialFolder(path.parent).timing_lines() if path.name == TIMINGS else []
    timings = b"".join(line + b"\n" for line in lines if records.timing(line) is not None)
    name = path.name if NAME.fullmatch(path.name) else f"{path.parent.name}-{path.name}"
    while (target := folder / f"{name}-{number}").exists():
        number += 1
    with atomic.writing(folder):
        atomic.make_folder(folder)
    _move(path, target)
    if path.name == TIMINGS:
        atomic.write_bytes(path, timings)
    return target


def remove(store: Store, folder: TrialFolder) -> None:
    """Delete a trial for good.

    Raises:
        UsageError: Its folder lies elsewhere.
        StoreError: A process is training it, or it cannot be removed.
    """
    if folder.path.resolve().parent != (store.root / "trials").resolve():
        raise UsageError(f"{folder.path} is not a trial of {store.root}: name its runs folder with --runs.")
    removed = store.root / f".removed-{folder.path.name}-{uuid4().hex[:8]}"
    _move(folder.path, removed)
    delete(removed)


def delete(folder: Path) -> None:
    """Delete a folder that was moved aside.

    Raises:
        StoreError: It cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"{folder} could not be removed: {error.strerror or error}. Remove it by hand.") from error


def _move(path: Path, target: Path) -> None:
    if not NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
        atomic.rename(path, target)
        return
    with TrialFolder(path).lock() as ours:
        if not ours:
            raise in_training_error(path, str(path))
        atomic.rename(path, target)


# --- parts -----------------------------------------------------------------------------------------------------------


def _name_and_epochs(folder: TrialFolder) -> tuple[str, int | None]:
    """Return a recipe's name and epochs; of one that cannot be read, what two lines of its file say."""
    with suppress(StoreError):
        recipe = folder.recipe()
        return recipe.name, recipe.epochs
    try:
        text = files.read(folder.recipe_file, files.TRIAL_RECIPE)
    except (FileNotFoundError, StoreError):
        return "?", None
    epochs, line = _EPOCHS.search(text), _NAME.search(text)
    return _name(line[0]) if line else "?", int(epochs[1]) if epochs else None


def _name(line: bytes) -> str:
    """Read the one line that `eailab.recipe.yaml12.write` makes of a name: plain, or quoted as JSON does."""
    text = line.removeprefix(b"name: ").decode(errors="replace")
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return "?"
