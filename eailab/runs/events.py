"""Events of a trial in training; small and picklable, since they cross processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from eailab.engines.base import Step
from eailab.runs.records import Epoch, Status


@dataclass(frozen=True)
class Waiting:
    """Another process holds the trial; this one waits for its result."""

    trial: str


@dataclass(frozen=True)
class Started:
    """The engine is ready."""

    trial: str
    device: str
    threads: int
    epochs: int
    """Epochs of the whole trial."""
    resumed: int
    """Epochs that earlier attempts have finished."""
    unused: str = ""
    """Why an earlier attempt's checkpoint is not used; empty where there is none, or it is used."""
    step: int = 0
    """Steps that earlier attempts have done of the next epoch."""


@dataclass(frozen=True)
class SetAside:
    """Files of the trial were not as they had been written, and have other names now."""

    trial: str
    reason: str
    """Which, what was wrong with them, what they are called now, and what is done about it."""


@dataclass(frozen=True)
class Compiling:
    """The engine's code is compiled; nothing else happens meanwhile. Not reported where it was compiled before."""

    trial: str


@dataclass(frozen=True)
class Stepped:
    """An epoch has come further."""

    trial: str
    epoch: int
    step: Step


@dataclass(frozen=True)
class Stopped:
    """The trial was stopped; its state after this step is in the store."""

    trial: str
    epoch: int
    step: Step


@dataclass(frozen=True)
class EpochEnded:
    """An epoch was trained, validated and written."""

    trial: str
    epoch: Epoch
    seconds: float


@dataclass(frozen=True)
class Ended:
    """The trial's result is in the store."""

    trial: str
    status: Status
    values: Mapping[str, float | None]
    """As in its result."""


@dataclass(frozen=True)
class TriedAgain:
    """The trial's process died, or its memory ran out; it is tried once more."""

    trial: str
    reason: str
    """What happened, and how it is tried again."""


@dataclass(frozen=True)
class Failed:
    """The trial ended without a result."""

    trial: str
    reason: str
    """For the user: a message, or the traceback of a bug."""
    exit_code: int
    """2 when what was asked for is at fault, else 1."""


Event: TypeAlias = (
    Waiting | SetAside | Started | Compiling | Stepped | Stopped | EpochEnded | Ended | TriedAgain | Failed
)
