"""Train trials on machines that share a folder: names are sent, exit codes come back, and the store is the truth.

A cluster runs a task at least once, late, or never. So the store decides what is left to do: a trial is finished when
its result is there and holds, whatever its task reported.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from eailab.engines.base import DeviceName
from eailab.engines.registry import engine_of
from eailab.errors import DamagedError, StoppedError, StoreError
from eailab.files import WORD, read
from eailab.recipe.canonical import canonical, digest
from eailab.runs.atomic import remove, write_text
from eailab.runs.context import Ended, EpochEnded, Failed, RunContext, SetAside, Started, TriedAgain
from eailab.runs.damage import TRAINED_AGAIN
from eailab.runs.executors import remote_worker
from eailab.runs.executors.attempts import Outcome, Retries
from eailab.runs.executors.remote_worker import ANSWER, STOPPED, Died, Resources, Task, TaskResult
from eailab.runs.records import Epoch
from eailab.runs.training import result_of
from eailab.runs.trial import Trial
from eailab.runs.trial_folder import TrialFolder

ATTEMPTS = 3
"""At a trial whose tasks are lost one after another; machines of a cluster come and go."""

TICK_SECONDS = 1.0

LATE_SECONDS = 60.0
"""That a shared folder may take to show this machine what another has written."""

ADVICE = (
    "A study on several machines needs a folder that all of them share: name one with --runs, or train on this machine "
    "with --on local."
)


class ClusterBackend(Protocol):
    """A cluster's own way to run tasks on its machines."""

    worth_seconds: float
    """Of training, that a task should hold to be worth its start; 0 where a start costs almost nothing."""
    at_once: int
    """Tasks that are handed over in one go."""

    @property
    def measures(self) -> bool:
        """Return whether it matters what a trial takes."""
        ...

    def machines(self) -> Sequence[str]:
        """Return what to call each machine that may train; one empty name where they are not known beforehand."""
        ...

    def send(self, tasks: Sequence[Task]) -> None:
        """Have tasks run somewhere; see `remote_worker.run`."""
        ...

    def collect(self, seconds: float) -> list[TaskResult]:
        """Return what has come back, waiting at most so long for something."""
        ...

    def cancel(self) -> None:
        """Stop all tasks, and let go of the machines."""
        ...


def gpu_is_wanted(trial: Trial, device: DeviceName, present: bool) -> bool:
    """Say whether a trial takes a GPU of its machine: the torch engine does where it is asked for, or there is one."""
    return engine_of(trial.recipe).uses_gpu and (device == "cuda" or (device == "auto" and present))


def packed(trials: Sequence[Trial], seconds: Callable[[Trial], float], worth: float) -> Iterator[list[Trial]]:
    """Part trials into tasks: neighbours with the same threads, until they are worth the start of a process.

    Their order is kept; a task is closed once its trials take so many seconds as it is to be worth.
    """
    pack: list[Trial] = []
    spent = 0.0
    for trial in trials:
        if pack and (spent >= worth or trial.recipe.threads != pack[0].recipe.threads):
            yield pack
            pack, spent = [], 0.0
        pack.append(trial)
        spent += seconds(trial)
    if pack:
        yield pack


@dataclass
class _SentTrial:
    """A dispatched trial, and what has been reported of it."""

    trial: Trial
    folder: TrialFolder
    reported: int
    """Epochs that the store had when this was last looked at."""
    aside: set[str]
    """Names of the files that had been set aside by then."""
    is_started: bool = False
    returned: float | None = None
    """When a task said that it was done, by a clock that never goes back."""


@dataclass
class Dispatcher:
    """Sends the trials of a study to a cluster, and reports what the store shows of them."""

    backend: ClusterBackend
    context: RunContext
    out: dict[str, _SentTrial] = field(default_factory=dict)
    takes: dict[str, Resources] = field(default_factory=dict)
    """What a trial takes, by `_kind`."""
    again: list[Trial] = field(default_factory=list)
    """To be sent again, each in a task of its own, so that one that kills its process costs no other."""

    def __post_init__(self) -> None:
        self.retries = Retries(ATTEMPTS, self.context.retries)

    def run(self, trials: Sequence[Trial]) -> None:
        """Train every trial; see `Executor.run`."""
        try:
            self._scout(trials)
            self._send_packed(trials)
            while self.out:
                for back in self._collect():
                    self._judge(back)
                if self.again:
                    again, self.again = self.again, []
                    self._send([[trial] for trial in again])
                for sent in list(self.out.values()):
                    self._follow(sent)
        finally:
            self.backend.cancel()

    # --- going out ---

    def _scout(self, trials: Sequence[Trial]) -> None:
        """Have every machine answer in the folder of the store, and one of them try some steps of each arm.

        Errors in those steps are ignored here: the trials themselves will report them.

        Raises:
            StoreError: A machine does not share the folder, or none has answered.
        """
        # Ask each machine to look at a file in the folder, and one to try some steps.
        where, folder = remote_worker.where(self.context), self.context.runs_dir.absolute()
        names = {f".probe-{uuid4().hex[:8]}": machine for machine in self.backend.machines()}
        tasks = [Task("look", (name,), where, machine=machine) for name, machine in names.items()]
        ours = [trial for trial in trials if not engine_of(trial.recipe).is_foreign]  # a program would be run for it
        samples = {_kind(trial): trial for trial in ours} if self.backend.measures and len(trials) > 1 else {}
        kinds = {trial.fingerprint: kind for kind, trial in samples.items()}
        word = uuid4().hex
        try:
            for name in names:
                write_text(folder / name, word)
            if samples:
                for trial in samples.values():
                    self.context.store.folder(trial.fingerprint).order(trial)
                threads = max(trial.recipe.threads for trial in samples.values())
                tasks.append(Task("measure", tuple(kinds), where, threads))
            self.backend.send(tasks)
            # Wait for the answers.
            waiting, seen = {*names, *kinds}, False
            while waiting:
                for back in self._collect():
                    waiting.discard(back.name)
                    if back.name in kinds and back.measured is not None:
                        self.takes[kinds[back.name]] = back.measured
                    elif back.name in names and isinstance(back.end, Outcome):
                        self._check_answer(folder / back.name, word, back.end)
                        seen = True
            if not seen:
                raise StoreError(
                    f"no machine has answered in {folder}: those that were asked were lost, or do not see it. {ADVICE}"
                )
        finally:
            for name in names:
                remove(folder / name)
                remove(folder / (name + ANSWER))

    def _check_answer(self, file: Path, word: str, outcome: Outcome) -> None:
        answer, began = file.with_name(file.name + ANSWER), time.monotonic()
        while outcome.problem == "none" and time.monotonic() - began < LATE_SECONDS:
            with suppress(FileNotFoundError):
                if read(answer, WORD) == word.encode():
                    return
            time.sleep(0.1)
        raise StoreError(f"not every machine can read and write {file.parent}. {ADVICE}")

    def _send_packed(self, trials: Sequence[Trial]) -> None:
        """Send trials out for the first time, several a task where that pays."""
        packs = list(packed(trials, self._seconds, self.backend.worth_seconds))
        for first in range(0, len(packs), self.backend.at_once):
            self._check_stop()  # the orders of many trials take a while
            some = packs[first : first + self.backend.at_once]
            for trial in (trial for pack in some for trial in pack):
                folder = self.context.store.folder(trial.fingerprint)
                aside = folder.set_aside()
                folder.order(trial)
                self.out[trial.fingerprint] = _SentTrial(trial, folder, reported=len(_epochs(folder)), aside=aside)
            self._send(some)

    def _send(self, packs: Sequence[Sequence[Trial]], alone: bool = False) -> None:
        where = remote_worker.where(self.context)
        self.backend.send([
            Task(
                "train",
                tuple(trial.fingerprint for trial in pack),
                where,
                pack[0].recipe.threads,
                alone,
                measured=self._most(pack),
            )
            for pack in packs
        ])  # fmt: skip

    def _seconds(self, trial: Trial) -> float:
        """Return what a trial takes; one that was not measured fills a task."""
        known = self.takes.get(_kind(trial))
        return self.backend.worth_seconds if known is None else known.seconds

    def _most(self, pack: Sequence[Trial]) -> Resources | None:
        """Return what the trial of a pack that takes most GPU memory takes; None if one was not measured."""
        known = [self.takes.get(_kind(trial)) for trial in pack]
        measured = [one for one in known if one is not None]
        return max(measured, key=lambda one: one.gpu_bytes or 0) if len(measured) == len(known) else None

    # --- coming back ---

    def _collect(self) -> list[TaskResult]:
        self._check_stop()
        return self.backend.collect(TICK_SECONDS)

    def _check_stop(self) -> None:
        if self.context.should_stop():
            raise StoppedError("stopped; the machines were asked to stop.")

    def _judge(self, back: TaskResult) -> None:
        sent = self.out.get(back.name)
        if sent is None or result_of(sent.folder) is not None:
            return
        match back.end:
            case None:
                self.again.append(sent.trial)
            case Died():
                self._lost(sent, back.end)
            case Outcome(problem="none"):
                sent.returned = time.monotonic()
            case Outcome(problem="store"):
                raise StoreError(back.end.reason)
            case Outcome() as outcome:
                why = self.retries.why_again(back.name, outcome, ", alone on a device")
                if why is None:
                    self._fail(sent, outcome.reason, outcome.exit_code)
                    return
                self._try_again(sent, why)
                if outcome.problem == "memory":
                    self._send([[sent.trial]], alone=True)
                else:
                    self.again.append(sent.trial)

    def _lost(self, sent: _SentTrial, death: Died) -> None:
        said = "was stopped" if death.code == STOPPED else f"was lost (code {death.code})"
        if not self.retries.after_death(sent.trial.fingerprint, len(_epochs(sent.folder))):
            self._fail(sent, f"its process {said} {ATTEMPTS} times. {death.reason}".strip(), exit_code=1)
            return
        self._try_again(sent, f"its process {said}; it is sent out again. {death.reason}".strip())
        self.again.append(sent.trial)

    def _try_again(self, sent: _SentTrial, reason: str) -> None:
        sent.is_started = False
        self.context.on_event(TriedAgain(sent.trial.fingerprint, reason))

    def _fail(self, sent: _SentTrial, reason: str, exit_code: int) -> None:
        del self.out[sent.trial.fingerprint]
        self.context.on_event(Failed(sent.trial.fingerprint, reason, exit_code))

    # --- what the store has meanwhile ---

    def _follow(self, sent: _SentTrial) -> None:
        """Report what the store has of a trial that was not reported yet."""
        name, folder = sent.trial.fingerprint, sent.folder
        if aside := folder.set_aside() - sent.aside:
            again = f" {TRAINED_AGAIN}" if any(one.startswith(folder.result_file.name) for one in aside) else ""
            said = f"damaged files in {folder.path} were set aside as {', '.join(sorted(aside))}.{again}"
            self.context.on_event(SetAside(name, said))
            sent.aside |= aside
            sent.reported = 0
        result = result_of(folder)  # before its epochs, so that none is missed
        epochs = _epochs(folder)
        new = epochs[sent.reported :]
        if result is not None and not sent.is_started:
            new = new or epochs[-1:]
        if new:
            self._report(sent, new)
        sent.reported = max(sent.reported, len(epochs))
        if result is not None:
            del self.out[name]
            self.context.on_event(Ended(name, result.status, result.values))
        elif sent.returned is not None and time.monotonic() - sent.returned > LATE_SECONDS:
            self._fail(sent, "it left no result", exit_code=1)

    def _report(self, sent: _SentTrial, epochs: Sequence[Epoch]) -> None:
        name, recipe, timings = sent.trial.fingerprint, sent.trial.recipe, sent.folder.timings()
        if not sent.is_started:
            device = next((timings[epoch.number].device for epoch in epochs if epoch.number in timings), "?")
            self.context.on_event(Started(name, device, recipe.threads, recipe.epochs, epochs[0].number - 1))
            sent.is_started = True
        for epoch in epochs:
            timing = timings.get(epoch.number)
            self.context.on_event(EpochEnded(name, epoch, timing.seconds if timing else 0.0))


def _kind(trial: Trial) -> str:
    """Return what trials that take the same have in common: all but the block."""
    return digest([canonical(trial.recipe), trial.data])


def _epochs(folder: TrialFolder) -> list[Epoch]:
    """Return what can be read of a trial's epochs; a damaged line is for the trial itself to find."""
    try:
        return folder.epochs()
    except DamagedError:
        return []
