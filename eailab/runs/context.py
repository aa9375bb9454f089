"""Say where trials are trained and who follows them, and declare the events that they report.

Events are small and picklable, since they cross processes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeAlias

from eailab.engines.base import DeviceName, Step
from eailab.runs.checkpoint import EVERY_TEN_SECONDS, Cadence
from eailab.runs.records import Epoch, Status
from eailab.runs.store import Store


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
    reason: str = ""
    """Of one that timed out just now: what was ended, with the end of its output."""


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


# --- where trials are trained -----------------------------------------------------------------------------------------


def ignore(event: Event) -> None:
    """Do nothing about an event."""


def never() -> bool:
    """Never ask to stop."""
    return False


@dataclass(frozen=True)
class RunContext:
    """Hold where trials are trained and recorded, and who follows them; nothing here can change a result."""

    runs_dir: Path
    data_dir: Path | None = None
    """Folder of downloaded data sets; None for the usual one."""
    device: DeviceName = "auto"
    """Where engines that use a GPU run."""
    cadence: Cadence = EVERY_TEN_SECONDS
    """How often a trial's state is written."""
    on: str = "local"
    """Which machines train: `local`, `ray`, `ray://ADDRESS` or `slurm`."""
    retries: int = 0
    """How often a person's program that has ended with an error is started again."""
    keep_code: bool = False
    """Whether a study of a program goes on with the trials that it has, though the program has changed since."""
    gpus: tuple[str, ...] = ()
    """Of this machine, one for each running trial of a program; empty to leave the choice to the program."""
    on_event: Callable[[Event], None] = ignore
    """Called with what happens in the trials; must return quickly."""
    should_stop: Callable[[], bool] = never
    """Asked between steps; once it returns true, the state after the last step is written and training ends."""

    @property
    def store(self) -> Store:
        """Return the store that trials are recorded in."""
        return Store(self.runs_dir)

    def followed(self, on_event: Callable[[Event], None], should_stop: Callable[[], bool] = never) -> Self:
        """Return the same context with other functions that follow the trials."""
        return replace(self, on_event=on_event, should_stop=should_stop)

    def unfollowed(self) -> Self:
        """Return the same context without functions, as another process can take it."""
        return self.followed(ignore, never)
