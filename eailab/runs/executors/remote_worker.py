"""Run a task in a process of its own, on any machine: it is given folders and names, and reports what became of each.

Run by the executors of several machines as `python -m eailab.runs.executors.remote_worker KIND WHERE... NAME...`, where
`Where` says what WHERE are; writes a line for each name.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from eailab.engines.base import DeviceName
from eailab.errors import EailabError, StoppedError, StoreError
from eailab.files import WORD, read
from eailab.runs.atomic import write_bytes
from eailab.runs.checkpoint import Cadence
from eailab.runs.context import RunContext, ignore
from eailab.runs.executors.attempts import Attempt, Outcome, free_memory
from eailab.runs.training import run_trial

STOPPED = 143

ANSWER = ".answer"
"""What is added to the name of a file that was looked for and found."""

Where: TypeAlias = tuple[str, str, str, str, str]
"""Folder of the store, device, cadence, folder of data sets, and whether code may have changed (`keep` or empty)."""

TaskKind: TypeAlias = Literal["look", "measure", "train"]
"""`look`: read a file of the store's folder, and write an answer next to it. `measure`: try some steps of each trial.
`train`: train the trials in turn."""


@dataclass(frozen=True)
class Resources:
    """Hold what a trial takes, as far as that decides how many go together."""

    seconds: float
    gpu_bytes: int | None = None
    """Held on the GPU by torch at most; None without one."""
    gpu_total_bytes: int | None = None


@dataclass(frozen=True)
class Task:
    """Hold what is sent out; only names and folders, no data."""

    kind: TaskKind
    names: tuple[str, ...]
    where: Where
    threads: int = 1
    alone: bool = False
    """On a machine or device of its own."""
    machine: str = ""
    """One of `ClusterBackend.machines`; empty for any."""
    measured: Resources | None = None
    """The most that one of its trials takes; None where that is not known."""

    def lost(self, reason: str) -> "list[TaskResult]":
        """Return what is known of it when nothing came back."""
        return [TaskResult(name, Died(-1, reason)) for name in self.names]


@dataclass(frozen=True)
class Died:
    """A process that died before it reported on a name."""

    code: int
    """Its exit code; negative for a signal."""
    reason: str
    """What it printed last."""


@dataclass(frozen=True)
class TaskResult:
    """Hold what comes back for a name; it may be late, come twice, or never."""

    name: str
    end: Outcome | Died | None
    """None for a trial that was still to come when its task died."""
    measured: Resources | None = None
    """What a trial takes, where that was asked for."""


def where(context: RunContext) -> Where:
    """Return a context as a task is given it; the two folders are all that this machine must share."""
    cadence = context.cadence
    often = f"{cadence.epochs}" if cadence.epochs is not None else f"{cadence.seconds}s"
    data = "" if context.data_dir is None else str(context.data_dir.absolute())
    return str(context.runs_dir.absolute()), context.device, often, data, "keep" if context.keep_code else ""


def run(task: Task) -> list[TaskResult]:
    """Run a task in a fresh process of this machine, and wait for it; its process dies with ours."""
    return finish(task, start(task))


def start(task: Task) -> "subprocess.Popen[str]":
    """Start a task in a fresh process of this machine."""
    program = [sys.executable, "-m", "eailab.runs.executors.remote_worker", task.kind, *task.where, *task.names]
    return subprocess.Popen(  # noqa: S603 - this Python, with our own arguments
        program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(task: Task, process: "subprocess.Popen[str]") -> list[TaskResult]:
    """Wait for a task's process, and return what became of every name."""
    said, complaint = process.communicate()
    back = []
    for line in said.splitlines():
        with suppress(ValueError, TypeError, KeyError):  # a line that its process was killed in
            mapping = json.loads(line)
            measured = mapping["measured"] and Resources(**mapping["measured"])
            back.append(TaskResult(mapping["name"], Outcome(**mapping["end"]), measured))
    reported = {one.name for one in back}
    left = [name for name in task.names if name not in reported]
    if left:
        code, reason = process.returncode, complaint.strip()[-4000:]
        is_bug = code in (1, 2)  # Python's own codes, which another attempt would bring again
        back.append(TaskResult(left[0], Outcome("trial", reason, code) if is_bug else Died(code, reason)))
        back += [TaskResult(name, None) for name in left[1:]]
    return back


def perform(task: Task) -> Iterator[TaskResult]:
    """Run a task in this process, and report what became of each name as soon as it is known.

    Raises:
        StoppedError: A signal came, or the parent process has died.
    """
    runs_dir, device, often, data_dir, keep = task.where
    cadence = Cadence(seconds=float(often[:-1])) if often.endswith("s") else Cadence(epochs=int(often))
    known: dict[str, DeviceName] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}
    folders = Path(runs_dir), Path(data_dir) if data_dir else None
    context = RunContext(*folders, known[device], cadence, keep_code=bool(keep))
    yield from TASKS[task.kind](task.names, context)


def main(kind: TaskKind, runs_dir: str, device: str, often: str, data_dir: str, keep: str, *names: str) -> int:
    """Run a task in this process, write a line for each name, and return the exit code."""
    try:
        for back in perform(Task(kind, names, (runs_dir, device, often, data_dir, keep))):
            sys.stdout.write(json.dumps(asdict(back)) + "\n")
            sys.stdout.flush()
    except StoppedError:
        return STOPPED
    return 0


def _look(names: Sequence[str], context: RunContext) -> Iterator[TaskResult]:
    """Copy each file to one next to it; nothing is written where it is not seen."""
    for name in names:
        file = context.runs_dir / name
        try:
            write_bytes(file.with_name(name + ANSWER), read(file, WORD))
        except (FileNotFoundError, StoreError) as error:
            yield TaskResult(name, Outcome("store", str(error)))
        else:
            yield TaskResult(name, Outcome())


def _measure(names: Sequence[str], context: RunContext) -> Iterator[TaskResult]:
    """Measure what each trial takes."""
    from eailab.runs.probe import probe

    for name in names:
        try:
            trial = context.store.folder(name).ordered()
            (found,) = probe([trial], context)
        except EailabError as error:
            yield TaskResult(name, Outcome("trial", str(error)))
            continue
        seconds = found.epoch_seconds * trial.recipe.epochs + found.other_seconds
        measured = Resources(seconds, found.gpu_bytes, found.gpu_total_bytes)
        yield TaskResult(name, Outcome(), measured)


def _train(names: Sequence[str], context: RunContext) -> Iterator[TaskResult]:
    """Train trials in turn.

    Raises:
        StoppedError: A signal came, or the parent process has died.
    """
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGUSR2", signal.SIGTERM)):
        signal.signal(number, stop)
    parent = os.getppid()
    for name in names:
        with Attempt() as attempt:
            trial = context.store.folder(name).ordered()
            # an orphan would train on although its backend sends the trial elsewhere
            run_trial(trial, context.followed(ignore, lambda: stopped or os.getppid() != parent))
        yield TaskResult(name, attempt.outcome)
        if attempt.outcome.problem == "memory":
            free_memory()


TASKS: dict[TaskKind, Callable[[Sequence[str], RunContext], Iterator[TaskResult]]] = {
    "look": _look,
    "measure": _measure,
    "train": _train,
}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))  # type: ignore[arg-type]  # `start` gives the kind
