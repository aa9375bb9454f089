"""Trials on several machines that share a folder: names go out, exit codes come back, and the store is the truth.

What an engine of machines promises is at least once, late, or never. So what is left to do is asked of the store again
and again: a trial is finished when its result is there and holds, whatever its errand said.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from eailab.errors import StoppedError, StoreError
from eailab.runs.atomic import remove, write_text
from eailab.runs.events import Ended, EpochEnded, Event, Failed, Started, TriedAgain
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.errand import CODES, STOPPED, Return, command
from eailab.runs.store import Trial, TrialFolder
from eailab.runs.training import is_finished

ATTEMPTS = 3
"""At a trial whose errand is lost, before it has failed."""

TICK_SECONDS = 1.0


class Courier(Protocol):
    """What an engine of machines has to do for us."""

    def send(self, name: str, arguments: list[str], threads: int, alone: bool) -> None:
        """Have an errand run somewhere; see `errand.run`."""
        ...

    def collect(self, seconds: float) -> list[Return]:
        """Return what has come back, waiting at most so long for something."""
        ...

    def reads(self, file: Path) -> str:
        """Have some machine read a file, and return its text; empty where it is not there."""
        ...

    def recall(self) -> None:
        """Stop all errands, and let go of the machines."""
        ...


@dataclass
class _Followed:
    """A trial that was sent out, and how much of it has been told."""

    trial: Trial
    folder: TrialFolder
    attempts: int = 1
    told: int = 0
    is_started: bool = False


@dataclass
class Dispatch:
    """One study sent out by a courier."""

    courier: Courier
    surroundings: Surroundings
    on_event: Callable[[Event], None]
    should_stop: Callable[[], bool]
    out: dict[str, _Followed] = field(default_factory=dict)
    memory: Counter[str] = field(default_factory=Counter)

    def run(self, trials: Sequence[Trial]) -> None:
        """Bring every trial to an end; see `Executor.run`."""
        try:
            self._probe()
            for trial in trials:
                folder = self.surroundings.store.folder(trial.fingerprint)
                folder.order(trial)
                self.out[trial.fingerprint] = _Followed(trial, folder)
                self._send(trial)
            while self.out:
                if self.should_stop():
                    raise StoppedError("stopped; the machines were told so.")
                for back in self.courier.collect(TICK_SECONDS):
                    self._judge(back)
                for followed in list(self.out.values()):
                    self._follow(followed)
        finally:
            self.courier.recall()

    def _probe(self) -> None:
        """Have a machine read back what is written here.

        Raises:
            StoreError: The machines do not see this folder.
        """
        file, word = self.surroundings.runs_dir.absolute() / f".probe-{uuid4().hex[:8]}", uuid4().hex
        write_text(file, word)
        try:
            if self.courier.reads(file) != word:
                raise StoreError(
                    f"the machines do not see {file.parent}: a study on several machines needs a folder that all of "
                    "them share. Name one with --runs, or train on this machine with --on local."
                )
        finally:
            remove(file)

    def _send(self, trial: Trial, alone: bool = False) -> None:
        name = trial.fingerprint
        self.courier.send(name, command(self.surroundings, name), trial.recipe.threads, alone)

    def _judge(self, back: Return) -> None:
        followed = self.out.get(back.name)
        if followed is None or is_finished(followed.folder):
            return
        if back.code == CODES["store"]:
            raise StoreError(back.reason)
        if back.code == CODES["memory"] and not self.memory[back.name]:
            self.memory[back.name] += 1
            self.on_event(TriedAgain(back.name, f"{back.reason} It is tried once more, alone on a device."))
            self._send(followed.trial, alone=True)
        elif back.code in CODES.values():
            usage = back.code == CODES["usage"]
            self._fail(followed, back.reason or "it left no result", exit_code=2 if usage else 1)
        else:
            self._lost(followed, back)

    def _lost(self, followed: _Followed, back: Return) -> None:
        said = "was stopped" if back.code == STOPPED else f"was lost (code {back.code})"
        if followed.attempts >= ATTEMPTS:
            self._fail(followed, f"its process {said} {ATTEMPTS} times. {back.reason}".strip(), exit_code=1)
            return
        followed.attempts += 1
        self.on_event(TriedAgain(back.name, f"its process {said}; it is sent out again. {back.reason}".strip()))
        self._send(followed.trial)

    def _fail(self, followed: _Followed, reason: str, exit_code: int) -> None:
        del self.out[followed.trial.fingerprint]
        self.on_event(Failed(followed.trial.fingerprint, reason, exit_code))

    def _follow(self, followed: _Followed) -> None:
        """Tell what the store has of a trial that has not been told yet."""
        name, recipe = followed.trial.fingerprint, followed.trial.recipe
        epochs, timings = followed.folder.epochs(), followed.folder.timings()
        if epochs and not followed.is_started:
            device = next((timing.device for timing in timings.values()), "?")
            self.on_event(Started(name, device, recipe.threads, recipe.epochs, 0))
            followed.is_started = True
        for epoch in epochs[followed.told :]:
            timing = timings.get(epoch.number)
            self.on_event(EpochEnded(name, epoch, timing.seconds if timing else 0.0))
        followed.told = max(followed.told, len(epochs))
        if followed.folder.result_file.exists() and is_finished(followed.folder):
            result = followed.folder.result()
            if result is not None:
                del self.out[name]
                self.on_event(Ended(name, result.status, result.test))
