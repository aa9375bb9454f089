"""Estimate the time that trials, or a stage of the work after them, will take yet."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from statistics import median_low

from eailab.runs.context import Compiling, Ended, EpochEnded, Event, Failed, Started, Stepped, TriedAgain
from eailab.runs.trial import Trial
from eailab.studies.forecast import recipe_key

INTERVAL_SECONDS = 0.5
"""Least time between two reports whose distance is counted."""
LEAST_INTERVALS = 5
"""Before a time left is named."""
REMEMBERED = 600
"""Intervals, and epochs, of which a median is taken: the last ones, so that a machine that became slower is noticed."""


@dataclass
class _Pace:
    """The time that an epoch of one recipe takes, from its reports while it runs and from epochs that have ended."""

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
        """Start with nothing known of some trials, in their order; the clock gives seconds, and never goes back."""
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
        """Return the seconds until all trials have ended; None while too little is known."""
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
        return max(places)

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
