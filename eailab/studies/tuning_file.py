"""Write and read `tuning.json`: how the arms of a study were tuned, next to its record and before its first trial."""

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from eailab.errors import DamagedError
from eailab.files import PLAN, read
from eailab.runs.atomic import set_aside, write_changed
from eailab.stats.verdict import BETTER_OF_TWO, SINGLE_LOOK
from eailab.studies.factor import BUNDLE
from eailab.studies.heads import TUNING, Tried


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class TuningTrial:
    """One training of a tuning."""

    value: str
    block: int
    trial: str
    score: float | None
    """In the metric's unit; None where it diverged."""


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class Carried:
    """One of several values of an arm that are trained in the blocks of the comparison."""

    label: str
    """Of the study's arm that has it."""
    value: str
    blocks: tuple[int, ...] = ()
    """In which it stands for the arm, where the arm was tuned again for each block; else none."""


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class TunedArm:
    """Describe how one arm was tuned."""

    label: str
    """Of the arm as it is compared, with the winner in it; with several values of it, the first one's."""
    before: str
    """What it was called before."""
    settings: tuple[str, ...]
    """Dotted paths; none of an arm that was not tuned."""
    values: tuple[str, ...]
    """All that were tried."""
    trainings: tuple[TuningTrial, ...]
    winner: str
    """Where it was tuned again for each block, the value that won most often."""
    runner_up: str | None
    gap: float | None
    """From the winner's mean to that of the runner-up, in the metric's unit."""
    at_edge: bool
    carried: tuple[Carried, ...] = ()
    """The values that are compared with other arms by the best of them, or each in its blocks; none of one value."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels of the study's arms that are of this one."""
        return tuple(one.label for one in self.carried) or (self.label,)

    @property
    def failures(self) -> int:
        """Return the number of trainings that diverged."""
        return sum(one.score is None for one in self.trainings)


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class Tuning:
    """Describe how the arms of a study were tuned, as it was written before the study's first trial."""

    metric: str
    blocks: tuple[int, ...]
    everything: bool
    """Whether every value was trained in every block."""
    is_unequal: bool
    """Whether arms had other budgets than others."""
    arms: tuple[TunedArm, ...]
    carry: int = 1
    """How many of an arm's best values are trained in the blocks of the comparison."""
    again: tuple[int, ...] = ()
    """Blocks of the comparison for each of which the arms were tuned again; none where they were tuned once."""

    @property
    def is_merged(self) -> bool:
        """Return whether several arms of the study's record are compared as one."""
        return any(arm.carried for arm in self.arms)

    @property
    def level(self) -> float:
        """Return the level of the first judgement of the arms."""
        return BETTER_OF_TWO if self.carry > 1 else SINGLE_LOOK

    @property
    def tried(self) -> Iterator[Tried]:
        """Return what was trained: a label, the block, and the trial's fingerprint."""
        for arm in self.arms:
            for one in arm.trainings:
                yield f"{arm.before}{BUNDLE}{one.value}", one.block, one.trial


_TUNING = TypeAdapter(Tuning)


def write_tuning(folder: Path, tuning: Tuning, note: Callable[[str], None]) -> None:
    """Write how a study's arms were tuned; another tuning that chose the same winners is set aside, and said.

    A tuning for fewer blocks of the same comparison is replaced, since the new one contains it.
    """
    body = _TUNING.dump_python(tuning, mode="json", exclude_defaults=True)
    text = json.dumps({"schema_version": 1, "sha256": _digest(body), **body}, indent=1) + "\n"
    file = folder / TUNING
    if file.exists() and read(file, PLAN) != text.encode():
        try:
            before = read_tuning(folder)
        except DamagedError:
            note(f"tuning.json of {folder.name} was damaged, and is kept as {set_aside(file).name}.")
        else:
            if before is not None and not _has_grown(before, tuning):
                aside = set_aside(file, "earlier")
                note(f"{folder.name} was tuned before in another way, which is kept as {aside.name}.")
    folder.mkdir(parents=True, exist_ok=True)
    write_changed(file, text.encode())


def _has_grown(before: Tuning, tuning: Tuning) -> bool:
    """Return whether a tuning contains an earlier one, and is for more blocks of the comparison."""
    if not before.again or not set(before.again) < set(tuning.again):
        return False
    pairs = zip(before.arms, tuning.arms, strict=False)
    return len(before.arms) == len(tuning.arms) and all(set(one.trainings) <= set(new.trainings) for one, new in pairs)


def read_tuning(folder: Path) -> Tuning | None:
    """Return how a study's arms were tuned; None where they were not.

    Raises:
        DamagedError: The file is not what was written.
    """
    file = folder / TUNING
    try:
        body: Any = json.loads(read(file, PLAN))
        checksum = body.pop("sha256")
        body.pop("schema_version")
        if checksum != _digest(body):
            raise ValueError("it differs from its own checksum")
        return _TUNING.validate_json(json.dumps(body))
    except FileNotFoundError:
        return None
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = "it has other keys or types" if isinstance(error, ValidationError) else error
        raise DamagedError(f"{file} cannot be read as a tuning: {reason}. Run the study's command again.") from error


def sound_tuning(folder: Path) -> Tuning | None:
    """Return how the arms of a study were tuned; None where this is damaged, as for its report."""
    try:
        return read_tuning(folder)
    except DamagedError:
        return None


def _digest(body: Mapping[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
