"""What training needs besides the trials."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from eailab.engines.base import DeviceName
from eailab.runs.checkpoint import EVERY_TEN_SECONDS, Cadence
from eailab.runs.events import Event
from eailab.runs.store import Store


def ignore(event: Event) -> None:
    """Do nothing about an event."""


def never() -> bool:
    """Never ask to stop."""
    return False


@dataclass(frozen=True)
class RunContext:
    """Where trials are trained and recorded, and who follows them; nothing here can change a result."""

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
    on_event: Callable[[Event], None] = ignore
    """Called with what happens in the trials; must return quickly."""
    should_stop: Callable[[], bool] = never
    """Asked between steps; once it returns true, the state after the last step is written and training ends."""

    @property
    def store(self) -> Store:
        """The store that trials are recorded in."""
        return Store(self.runs_dir)

    def followed(self, on_event: Callable[[Event], None], should_stop: Callable[[], bool] = never) -> Self:
        """Return the same context with other functions that follow the trials."""
        return replace(self, on_event=on_event, should_stop=should_stop)

    def unfollowed(self) -> Self:
        """Return the same context without functions, as another process can take it."""
        return self.followed(ignore, never)
