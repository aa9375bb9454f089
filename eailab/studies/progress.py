"""Follow trials while they are trained, and estimate the time that is left; `cli/grid.py` draws both."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from statistics import median_low
from typing import Literal

from eailab.engines.base import Reported
from eailab.engines.registry import engine_of, headline_of, metrics_of
from eailab.errors import StoreError
from eailab.metrics import TRAIN, VALIDATION, Metric, behind, recorded
from eailab.runs.context import Compiling, Ended, EpochEnded, Event, Failed, Started, Stepped, TriedAgain, Waiting
from eailab.runs.records import Epoch
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.studies.forecast import recipe_key
from eailab.studies.plan import labels, left_to_train
from eailab.studies.storage import Plan
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
            case _:
                pass

    @property
    def score(self) -> str:
        """Where and how good it last was, by its headline; empty before there is one."""
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
        """The epoch or step that a person's own training has reported last, and of how many; empty where not known."""
        if self.reported is None or self.reported.number is None:
            return ""
        return f"{self.reported.number}/{self.reported.total}" if self.reported.total else str(self.reported.number)

    @property
    def progress(self) -> str:
        """How far a trial in training has come."""
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
        """Start from what the store has.

        Args:
            plans: What is trained.
            clock: Gives seconds, and never goes back.
        """
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
        store = Store(planned.folder.parent.parent)
        for name in planned.record.trials.values():
            cell = self.cells[name]
            if name in self.todo or cell.state != "waiting":
                continue
            try:
                result = store.folder(name).result(thorough=False)
            except StoreError:
                continue
            if result is None:
                continue
            cell.state = result.status
            if result.status == "finished":
                cell.last = Epoch(result.epochs, {key: one for key, one in result.values.items() if one is not None})
                cell.value = _value(planned, result.values)


def _value(planned: Plan, values: Mapping[str, float | None]) -> float:
    """Return the study's metric of a trial that has ended; NaN where it has none."""
    value = planned.record.study.measure.value(values)
    return float("nan") if value is None else value


# --- the time that is left -------------------------------------------------------------------------------------------


INTERVAL_SECONDS = 0.5
"""Least time between two reports whose distance is counted."""
LEAST_INTERVALS = 5
"""Before a time left is named."""
REMEMBERED = 600
"""Intervals, and epochs, of which a median is taken: the last ones, so that a machine that became slower is noticed."""
DRAWING_SECONDS = 0.2
"""Of the curves of one trial, until they are drawn and timed."""


@dataclass
class _Pace:
    """What an epoch of one recipe takes, from its reports while it runs and from epochs that have ended."""

    within: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """Seconds an epoch, each from two reports within one."""
    whole: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """Seconds of epochs with their validation."""
    tails: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """Seconds from the last report of an epoch to its end: its validation."""

    def seconds(self) -> float | None:
        """Return the seconds of an epoch; None while too little is known: one epoch alone may have compiled code."""
        if len(self.whole) > 1 or (self.whole and len(self.within) >= LEAST_INTERVALS):
            return median_low(self.whole)
        return median_low(self.within) if len(self.within) >= LEAST_INTERVALS else None


@dataclass
class _Run:
    """A trial in training."""

    position: float
    """Epochs done, with the share of the one in progress."""
    reported: float
    """When that was reported."""
    counted: tuple[float, float] | None = None
    """Time and position of the last report of this epoch that was counted; None before the first."""
    intervals: int = 0
    """Counted in this epoch."""
    has_compiled: bool = False
    """In this epoch, whose seconds leave that out."""


class TimeLeft:
    """Says how long some trials will take yet, from their events.

    An epoch of a recipe takes the (lower) median of what it took before; so does what a trial takes after its
    epochs, and the pause before the next one. So neither compiling at the start nor a moment in which the machine does
    something else is assumed for all trials. What is left is then divided among as many trials as ran at once.
    """

    def __init__(self, trials: Sequence[Trial], clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing known.

        Args:
            trials: What is to be trained, in its order.
            clock: Gives seconds, and never goes back.
        """
        self._clock = clock
        self._kinds = {trial.fingerprint: recipe_key(trial.recipe) for trial in trials}
        self._epochs = {trial.fingerprint: trial.recipe.epochs for trial in trials}
        self._paces = {kind: _Pace() for kind in self._kinds.values()}
        self._left = dict.fromkeys(self._kinds)
        """Trials without an end, in their order."""
        self._runs: dict[str, _Run] = {}
        self._most = 1
        """Trials that were seen side by side."""
        self._freed: deque[float] = deque()
        """When places became free that no trial has taken yet."""
        self._pauses: deque[float] = deque(maxlen=REMEMBERED)
        self._extras: deque[float] = deque(maxlen=REMEMBERED)
        """Seconds of ended trials after their last epoch."""

    def update(self, event: Event) -> None:
        """Update the state by what happened in a trial."""
        now = self._clock()
        run = self._runs.get(event.trial)
        match event:
            case Started():
                if self._freed:
                    self._pauses.append(now - self._freed.popleft())
                self._runs[event.trial] = _Run(float(event.resumed), now)
                self._most = max(self._most, len(self._runs))
            case Compiling() if run is not None:
                run.counted, run.has_compiled = None, True
            case Stepped() if run is not None:
                self._step(self._paces[self._kinds[event.trial]], run, event, now)
            case EpochEnded() if run is not None:
                self._end_epoch(self._paces[self._kinds[event.trial]], run, event, now)
            case Ended():
                self._left.pop(event.trial, None)
                if run is not None:
                    self._extras.append(now - run.reported)
                self._free(event.trial, now)
            case Failed():
                self._left.pop(event.trial, None)
                self._free(event.trial, now)
            case TriedAgain():
                self._free(event.trial, now)
                self._most = max(1, len(self._runs))
            case _:
                pass

    def seconds(self) -> float | None:
        """Return the seconds until all trials have ended and are drawn; None while too little is known."""
        known = {kind: seconds for kind, pace in self._paces.items() if (seconds := pace.seconds()) is not None}
        if not known:
            return None
        now, guess, extra = self._clock(), median_low(known.values()), self._extra()
        busy = [
            self._rest(run, known.get(self._kinds[name], guess), self._epochs[name], extra, now)
            for name, run in self._runs.items()
        ]
        places = busy + [0.0] * (self._most - len(busy))
        heapify(places)
        pause = median_low(self._pauses) if self._pauses else 0.0
        for name in self._left:
            if name not in self._runs:
                takes = pause + known.get(self._kinds[name], guess) * self._epochs[name] + extra
                heapreplace(places, places[0] + takes)
        return max(places) + DRAWING_SECONDS * len(self._kinds)

    def _free(self, trial: str, now: float) -> None:
        if self._runs.pop(trial, None) is not None:
            self._freed.append(now)

    def _extra(self) -> float:
        """Return what a trial takes after its epochs; before one has ended, two more passes like the validation."""
        if self._extras:
            return median_low(self._extras)
        tails = [seconds for pace in self._paces.values() for seconds in pace.tails]
        return 2.0 * median_low(tails) if tails else 0.0

    @staticmethod
    def _step(pace: _Pace, run: _Run, event: Stepped, now: float) -> None:
        position = event.epoch - 1 + event.step.step / event.step.steps
        if run.counted is None:
            run.counted = now, position
        elif now - run.counted[0] >= INTERVAL_SECONDS and position > run.counted[1]:
            pace.within.append((now - run.counted[0]) / (position - run.counted[1]))
            run.intervals += 1
            run.counted = now, position
        run.position, run.reported = position, now

    @staticmethod
    def _end_epoch(pace: _Pace, run: _Run, event: EpochEnded, now: float) -> None:
        if event.seconds > 0.0:
            tail = now - run.reported
            # the first steps of a trial may have compiled something: count by the others where there are enough
            is_long = run.intervals >= LEAST_INTERVALS and not run.has_compiled
            pace.whole.append(median_low(pace.within) + tail if is_long else event.seconds)
            if run.counted is not None and not run.has_compiled:
                pace.tails.append(tail)
        run.position, run.reported = float(event.epoch.number), now
        run.counted, run.intervals, run.has_compiled = None, 0, False

    @staticmethod
    def _rest(run: _Run, pace: float, epochs: int, extra: float, now: float) -> float:
        """Return the seconds that a trial in training has left, guessing what it did not report yet."""
        silent = now - run.reported
        if run.position >= epochs:
            return max(0.0, extra - silent)
        done = min(run.position + silent / pace, float(int(run.position) + 1))
        return (epochs - done) * pace + extra


class Stage:
    """Work that follows the training, such as figures to draw, with a progress of its own."""

    def __init__(self, text: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.text, self.total, self.done = text, total, 0
        self._clock, self._last = clock, clock()
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    def advance(self) -> None:
        """Count one more as done."""
        now = self._clock()
        self._took.append(now - self._last)
        self._last, self.done = now, self.done + 1

    def count(self) -> str:
        """Return what is done, in words."""
        return f"{self.text}: {self.done} done" if self.total > 1 else self.text

    def seconds(self) -> float | None:
        """Return the seconds left; None while nothing is known."""
        return median_low(self._took) * (self.total - self.done) if len(self._took) > 1 else None
