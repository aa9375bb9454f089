"""How training looks: a grid or bars on a terminal, one line an epoch elsewhere, always on standard error."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from eailab.cli.grid import Grid
from eailab.cli.small_data import on_small_data
from eailab.plain import plain_lines
from eailab.runs.events import (
    Ended,
    EpochEnded,
    Event,
    Failed,
    FewerAtOnce,
    SetAside,
    Started,
    Stepped,
    TriedAgain,
    Waiting,
)
from eailab.runs.records import Position
from eailab.runs.room import in_words
from eailab.studies.conduct import Plan, labels, left_to_train

ESTIMATE_AFTER_SECONDS = 2.0
WORTH_SAYING_SECONDS = 60.0


def watcher(plans: Sequence[Plan]) -> "Grid | _Bars | _Lines":
    """Return what shows progress: a grid of arms and blocks or bars on a terminal, lines for anything else.

    Args:
        plans: What will be trained.
    """
    console = Console(stderr=True, highlight=False)
    todo = left_to_train(plans)
    said = _Said(console, labels(plans), len(todo), on_small_data(plans[0].record.study.arms[0].recipe))
    if not console.is_terminal:
        return _Lines(said)
    compared = todo and all(planned.record.study.factor is not None for planned in plans)
    return Grid(plans, console, said.hear) if compared else _Bars(said)


class _Said:
    """What is said in words, on a terminal or not: the device, the expected time, failures."""

    def __init__(self, console: Console, labels: Mapping[str, str], trials: int, quick: str | None) -> None:
        self.console = console
        self.labels = labels
        self.trials = trials
        self.quick = quick
        self._devices: set[str] = set()
        self._started: dict[str, tuple[Started, float]] = {}

    def line(self, text: str) -> None:
        self.console.print(plain_lines(text), markup=False, soft_wrap=True)

    def hear(self, event: Event) -> None:
        name = self.labels[event.trial]
        match event:
            case Waiting():
                self.line(f"{name}: another process is training this trial; waiting for its result")
            case Started():
                self._begin(event, name)
            case Stepped():
                self._estimate(event)
            case TriedAgain() | SetAside():
                self.line(f"{name}: {event.reason}")
            case FewerAtOnce():
                trials, taken = f"{event.most} trial{'s' * (event.most > 1)}", in_words(event.taken)
                self.line(f"{trials} side by side instead of {event.wanted}: one takes {taken} of the GPU's memory")
            case Failed():
                self.line(f"{name}: failed: {event.reason}")
            case Ended(status="diverged"):
                self.line(f"{name}: diverged (recorded as a result; the study goes on)")
            case _:
                pass

    def _begin(self, event: Started, name: str) -> None:
        self._started[event.trial] = (event, time.monotonic())
        if event.device not in self._devices:
            self._devices.add(event.device)
            self.line(f"device: {event.device} ({event.threads} CPU thread{'s' * (event.threads > 1)} a trial)")
        if event.resumed or event.step:
            self.line(f"{name}: goes on after {Position(event.resumed, event.step)}")
        if event.anew:
            self.line(f"{name}: starts anew: {event.anew}")

    def _estimate(self, event: Stepped) -> None:
        if self.quick is None or event.trial not in self._started:
            return
        started, began = self._started[event.trial]
        seconds = time.monotonic() - began
        if started.device != "cpu" or seconds < ESTIMATE_AFTER_SECONDS:
            return
        before = started.resumed + started.step / event.step.steps
        done = event.epoch - 1 + event.step.step / event.step.steps - before
        left = seconds / done * (started.epochs - before)
        if left > WORTH_SAYING_SECONDS:
            self.line(
                f"expected time on this CPU: {duration(left)} a trial, {self.trials} to train. Quicker: {self.quick}"
            )
        self.quick = None


class _Lines:
    """One line an epoch, for logs."""

    def __init__(self, said: _Said) -> None:
        self._said = said
        self._epochs: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        self._said.hear(event)
        if isinstance(event, Started):
            self._epochs[event.trial] = event.epochs
        elif isinstance(event, EpochEnded):
            epoch = event.epoch
            self._said.line(
                f"{self._said.labels[event.trial]}: epoch {epoch.number}/{self._epochs[event.trial]}  "
                f"train loss {epoch.train.loss:.4f} accuracy {epoch.train.accuracy:.2%}  "
                f"validation loss {epoch.validation.loss:.4f} accuracy {epoch.validation.accuracy:.2%}  "
                f"{event.seconds:.2f} s"
            )


class _Bars:
    """A bar for the study and one for each trial in training."""

    def __init__(self, said: _Said) -> None:
        self._said = said
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[scores]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=said.console,
            transient=True,
            refresh_per_second=8,
        )
        self._study: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._validation: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        if self._said.trials > 1:
            self._study = self._progress.add_task("trials", total=self._said.trials, scores="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        self._said.hear(event)
        match event:
            case Started():
                self._tasks[event.trial] = self._progress.add_task(
                    self._said.labels[event.trial], total=None, scores="", epochs=event.epochs
                )
            case Stepped():
                self._step(event)
            case EpochEnded():
                self._validation[event.trial] = f"validation {event.epoch.validation.accuracy:.2%}"
            case Ended() | Failed() | TriedAgain():
                if event.trial in self._tasks:
                    self._progress.remove_task(self._tasks.pop(event.trial))
                if self._study is not None and not isinstance(event, TriedAgain):
                    self._progress.advance(self._study)
            case _:
                pass

    def _step(self, event: Stepped) -> None:
        task, step = self._tasks[event.trial], event.step
        epochs = self._progress.tasks[self._progress.task_ids.index(task)].fields["epochs"]
        scores = [self._validation.get(event.trial, "")]
        if step.loss is not None and step.accuracy is not None:
            scores.insert(0, f"loss {step.loss:.3f} accuracy {step.accuracy:.1%}")
        self._progress.update(
            task,
            description=f"{self._said.labels[event.trial]}: epoch {event.epoch}/{epochs}",
            total=epochs * step.steps,
            completed=(event.epoch - 1) * step.steps + step.step,
            scores="  ".join(filter(None, scores)),
        )


@contextmanager
def stoppable() -> Iterator[Callable[[], int]]:
    """Turn SIGINT and SIGTERM into a question: the first sets the answer, a second SIGINT ends the program at once.

    Yields:
        A function that gives 0, or the exit code (130 or 143) once a signal has come.
    """
    code = 0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal code
        if code and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        code = 128 + number
        print("\nstopping; press Ctrl-C again to stop at once", file=sys.stderr, flush=True)  # noqa: T201

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: code
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def duration(seconds: float) -> str:
    """Write a time as a person says it.

    >>> [duration(s) for s in (0.4, 61, 3725, 200000)]
    ['less than a second', '1 min 1 s', '1 h 2 min', '2 days 7 h']
    """
    whole = int(seconds)
    if whole < 1:
        return "less than a second"
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} day{'s' * (days > 1)} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
