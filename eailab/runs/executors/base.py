"""What an executor does: carry trials to where they are trained, and events back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eailab.engines.base import DeviceName
from eailab.runs.cadence import EVERY_TEN_SECONDS, Cadence
from eailab.runs.events import Event
from eailab.runs.store import Store, Trial


@dataclass(frozen=True)
class Surroundings:
    """What training a trial needs beside the trial; nothing here can change a result."""

    runs_dir: Path
    data_dir: Path | None = None
    device: DeviceName = "auto"
    cadence: Cadence = EVERY_TEN_SECONDS
    """How often the state of a trial is written."""
    on: str = "local"
    """Which machines train: `local`, `ray`, `ray://ADDRESS` or `slurm`."""

    @property
    def store(self) -> Store:
        """The store that trials are recorded in."""
        return Store(self.runs_dir)


class Executor(Protocol):
    """A courier of trials."""

    def run(
        self,
        trials: Sequence[Trial],
        surroundings: Surroundings,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Bring every trial to an end; a trial that fails is told by `Failed`, and the others go on.

        Raises:
            StoppedError: `should_stop` said so; everything finished is in the store.
            StoreError: The store cannot be written, which would fail every other trial alike.
        """
        ...
