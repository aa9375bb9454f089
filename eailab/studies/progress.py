"""Follow trials while they are trained; `cli/grid.py` draws them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from eailab.engines.base import Reported
from eailab.engines.registry import engine_of, headline_of, metrics_of
from eailab.errors import UsageError
from eailab.metrics import TRAIN, VALIDATION, Metric, behind, recorded
from eailab.runs.context import Compiling, Ended, EpochEnded, Event, Failed, Started, Stepped, TriedAgain, Waiting
from eailab.runs.records import Epoch
from eailab.studies.plan import labels, left_to_train
from eailab.studies.storage import Plan
from eailab.studies.time_left import Stage, TimeLeft
from eailab.units import duration, roughly

State = Literal["waiting", "training", "elsewhere", "finished", "diverged", "timed-out", "failed"]
ROUNDING = 1e-6
"""Added before rounding down: 0.29 of 100 are 28.999999999999996."""
ENDED: tuple[State, ...] = ("finished", "diverged", "timed-out", "failed")


@dataclass
class Cell:
    """One trial."""

    label: str
    epochs: int
    """Of the whole trial."""
    state: State = "waiting"
    position: float = 0.0
    """Epochs done, with the share of the one in progress."""
    is_compiling: bool = False
    last: Epoch | None = None
    """The last epoch that ended."""
    metrics: tuple[Metric, ...] = ()
    """What it records."""
    headline: Metric | None = None
    """What it is followed by."""
    is_own: bool = False
    """Whether it runs a person's own training, which counts for itself."""
    reported: Reported | None = None
    """What that has said of itself last."""
    value: float = float("nan")
    """The study's metric in the unit shown; NaN until the trial has finished."""

    def update(self, event: Event) -> None:
        """Update the state by what happened in the trial."""
        self.is_compiling = isinstance(event, Compiling)
        match event:
            case Waiting():
                self.state = "elsewhere"
            case Started():
                self.state, self.epochs, self.position = "training", event.epochs, float(event.resumed)
            case Stepped():
                self.position = event.epoch - 1 + event.step.step / event.step.steps
                if event.step.reported is not None:
                    self.reported = event.step.reported
                    self.last = Epoch(event.epoch, dict(event.step.reported.values))
            case EpochEnded():
                self.position, self.last = float(event.epoch.number), event.epoch
            case Ended():
                self.state = event.status
            case Failed():
                self.state = "failed"
            case TriedAgain():
                self.state, self.position, self.last, self.reported = "waiting", 0.0, None, None

    @property
    def score(self) -> str:
        """Return where and how good it last was, by its headline; empty before there is one."""
        return f"{self.headline.short} {value}" if self.headline and (value := self.last_value()) else ""

    def last_value(self, fewer: int = 0) -> str:
        """Write the last value of its headline, with fewer decimals if asked; empty before there is one."""
        metric = self.headline
        if metric is None or self.last is None:
            return ""
        value = metric.value(self.last.values)
        return "" if value is None else f"{value:.{metric.decimals - fewer}f}{behind(metric.unit)}"

    def scores(self, epoch: Epoch) -> str:
        """Write the scores of an epoch, split by split."""
        texts: dict[str, str] = {}
        for metric in recorded(self.metrics, TRAIN, VALIDATION):
            if (value := metric.value(epoch.values)) is not None:
                word = "" if metric.short == metric.quantity else f" {metric.quantity}"
                texts[metric.short] = f"{texts.get(metric.short, metric.short)}{word} {metric.text(value)}"
        return "".join(f"{text}  " for text in texts.values())

    @property
    def reached(self) -> str:
        """Return the epoch or step that a person's own training reported last, and of how many; empty if unknown."""
        if self.reported is None or self.reported.number is None:
            return ""
        return f"{self.reported.number}/{self.reported.total}" if self.reported.total else str(self.reported.number)

    @property
    def progress(self) -> str:
        """Return how far a trial in training has come."""
        if self.is_compiling:
            return "compiling"
        if self.is_own:
            return f"{self.reported.axis} {self.reached}" if self.reported and self.reached else "running"
        if self.position >= self.epochs:
            return "last evaluation"
        done = int(self.position)
        percent = int(100 * (self.position - done) + ROUNDING)
        return f"epoch {done + 1}/{self.epochs}" + (f", {percent}%" if percent else "")


class Trials:
    """The state of every trial, and how much is left."""

    def __init__(self, plans: Sequence[Plan], clock: Callable[[], float] = time.monotonic) -> None:
        """Start from what the store has; the clock gives seconds, and never goes back."""
        self.plans, self.clock, self.began = plans, clock, clock()
        todo, names = left_to_train(plans), labels(plans)
        self.cells = {
            trial.fingerprint: Cell(
                names[trial.fingerprint],
                trial.recipe.epochs,
                metrics=metrics_of(trial.recipe),
                headline=headline_of(trial.recipe),
                is_own=engine_of(trial.recipe).is_foreign,
            )
            for planned in plans
            for trial in planned.trials
        }
        self.todo = {trial.fingerprint: self.cells[trial.fingerprint] for trial in todo}
        self.stage: Stage | None = None
        """What follows the training."""
        self.is_stopping = False
        self._left = TimeLeft(todo, clock)
        self._failures: dict[str, str] = {}
        for planned in plans:
            self._take_up(planned)

    def update(self, event: Event) -> None:
        """Update the state by what happened in a trial."""
        self._left.update(event)
        cell = self.cells[event.trial]
        cell.update(event)
        if isinstance(event, Ended):
            for planned in self.plans:
                if event.trial in planned.record.trials.values():
                    cell.value = _value(planned, event.values)

    def failure(self, event: Failed) -> str:
        """Return what is said of a failure: its reason, or which trial failed for the same one before it.

        Nothing of a trial that is the only one and was refused: the error that follows says why.
        """
        if len(self.cells) == 1 and event.exit_code == UsageError.exit_code:
            return ""
        label = self.cells[event.trial].label
        before = self._failures.setdefault(event.reason, label)
        return f"{label}: failed: {event.reason if before == label else f'as {before} did'}"

    def training(self) -> list[Cell]:
        """Return the trials in training, in their order."""
        return [cell for cell in self.todo.values() if cell.state == "training"]

    def is_starting(self) -> bool:
        """Return whether nothing trains yet: workers, data or engines are being prepared."""
        states = {cell.state for cell in self.todo.values()}
        return self.stage is None and states == {"waiting"}

    def count(self) -> str:
        """Return how much is done: of the stage at work, or of the trials."""
        if self.stage is not None:
            return self.stage.count()
        ended = sum(cell.state in ENDED for cell in self.todo.values())
        return f"{ended} of {len(self.todo)} trials" if len(self.todo) > 1 else ""

    def time_left(self) -> str:
        """Return how long the rest takes; empty while that is not known, and when next to nothing is left."""
        seconds = self._left.seconds() if self.stage is None else self.stage.seconds()
        words = "" if seconds is None else roughly(seconds)
        return f"about {words} left" if words else ""

    def seconds_left(self) -> float | None:
        """Return the seconds until all trials have ended, as far as that is known."""
        return self._left.seconds()

    def time_spent(self) -> str:
        """Return how long this has taken up to now."""
        return f"{duration(max(1.0, self.clock() - self.began))} so far"

    def _take_up(self, planned: Plan) -> None:
        """Fill in the trials that were finished before."""
        for name, result in planned.found.items():
            cell = self.cells[name]
            if name in self.todo or cell.state != "waiting":
                continue
            cell.state = result.status
            if result.status == "finished":
                cell.last = Epoch(result.epochs, {key: one for key, one in result.values.items() if one is not None})
                cell.value = _value(planned, result.values)


def _value(planned: Plan, values: Mapping[str, float | None]) -> float:
    """Return the study's metric of a trial that has ended; NaN where it has none."""
    value = planned.record.study.measure.value(values)
    return float("nan") if value is None else value
