"""Write and read `tuning.json`: how the arms of a study were tuned, beside its record and before its first trial."""

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
from eailab.studies.factor import BUNDLE
from eailab.studies.heads import TUNING, Tried


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class Trained:
    """One training of a tuning."""

    value: str
    block: int
    trial: str
    score: float | None
    """In the metric's unit; None where it diverged."""


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class TunedArm:
    """How one arm was tuned."""

    label: str
    """Of the arm as it is compared, with the winner in it."""
    before: str
    """What it was called before."""
    settings: tuple[str, ...]
    """Dotted paths; none of an arm that was not tuned."""
    values: tuple[str, ...]
    """All that were tried."""
    trainings: tuple[Trained, ...]
    winner: str
    runner_up: str | None
    gap: float | None
    """From the winner's mean to that of the runner-up, in the metric's unit."""
    at_edge: bool

    @property
    def failures(self) -> int:
        """Number of trainings that diverged."""
        return sum(one.score is None for one in self.trainings)


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class Tuning:
    """How the arms of a study were tuned, as it was written before the study's first trial."""

    metric: str
    blocks: tuple[int, ...]
    everything: bool
    """Whether every value was trained in every block."""
    is_unequal: bool
    """Whether arms had other budgets than others."""
    arms: tuple[TunedArm, ...]

    @property
    def tried(self) -> Iterator[Tried]:
        """What was trained: a label, the block, and the trial's fingerprint."""
        for arm in self.arms:
            for one in arm.trainings:
                yield f"{arm.before}{BUNDLE}{one.value}", one.block, one.trial


_TUNING = TypeAdapter(Tuning)


def write_tuning(folder: Path, tuning: Tuning, note: Callable[[str], None]) -> None:
    """Write how a study's arms were tuned; another tuning that chose the same winners is set aside, and said."""
    body = _TUNING.dump_python(tuning, mode="json")
    text = json.dumps({"schema_version": 1, "sha256": _digest(body), **body}, indent=1) + "\n"
    file = folder / TUNING
    if file.exists() and read(file, PLAN) != text.encode():
        aside = set_aside(file)
        note(f"{folder.name} was tuned before in another way, which is kept as {aside.name}.")
    folder.mkdir(parents=True, exist_ok=True)
    write_changed(file, text.encode())


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


def _digest(body: Mapping[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
