"""Trials side by side in this process, on a device that works through a queue for each: all are served in turn.

The trials are those of the one loop (`training.trial_in_turns`), which gives way where a device would be waited for.
How many fit is measured: the first trial has the device to itself for an epoch, and what it took says how many more
there is memory for.
"""

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from eailab.engines.base import Turns
from eailab.engines.torch_resnet import devices, population
from eailab.engines.torch_resnet.population import Slot
from eailab.errors import StoppedError, StoreError
from eailab.recipe.schema import ResNetRecipe
from eailab.runs.events import EpochEnded, Event, FewerAtOnce, TriedAgain
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.local import Outcome, free_memory, judge, outcome_of
from eailab.runs.store import Trial
from eailab.runs.training import limited_threads, trial_in_turns

USED_SHARE = 0.9
"""Of the memory that is free, as far as further trials are planned on it; the rest is for what differs between them."""


def run_in_slots(
    make_slot: Callable[[], Slot],
    most: int,
    trials: Sequence[Trial],
    surroundings: Surroundings,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> None:
    """Bring trials of the torch engine to an end; see `Executor.run`.

    Threads are the process's, so trials with other threads have their turn after the first ones.

    Args:
        make_slot: What makes a slot on the device.
        most: Trials side by side.
        trials: What to train.
        surroundings: Where.
        on_event: Told what happens in the trials.
        should_stop: Asked again and again.
    """

    def threads(trial: Trial) -> int:
        return trial.recipe.threads

    for _, alike in groupby(sorted(trials, key=threads), key=threads):
        group = list(alike)
        with limited_threads(group[0].recipe):
            _Slots(make_slot, most, surroundings, on_event, should_stop).run(group)
        free_memory()  # so that the next group's is measured from nothing


@dataclass
class _Seat:
    """A slot, and the trial in it."""

    slot: Slot
    trial: Trial
    turns: Turns[None]


class _Slots:
    """Some trials on one device."""

    def __init__(
        self,
        make_slot: Callable[[], Slot],
        most: int,
        surroundings: Surroundings,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._make_slot, self._most, self._surroundings = make_slot, most, surroundings
        self._on_event, self._should_stop = on_event, should_stop
        self._free_at_first = devices.free_bytes(surroundings.device)
        self._limit = most if self._free_at_first is None else 1
        """Trials side by side; 1 on a GPU until the first has ended an epoch."""
        self._programs: dict[str, Hashable] = {}
        """By the trial's fingerprint."""
        self._waiting: deque[Trial] = deque()
        self._alone: deque[Trial] = deque()
        """Trials that ran out of memory; their turn comes when nothing else is left."""
        self._second_attempts: set[str] = set()
        self._seats: list[_Seat] = []
        self._idle: list[Slot] = []
        self._broken: str | None = None
        """Why the store cannot be written."""

    def run(self, trials: Sequence[Trial]) -> None:
        """Train the trials, each in the first slot that is free for it.

        Raises:
            StoppedError: `should_stop` said so.
            StoreError: The store cannot be written.
        """
        self._waiting.extend(trials)
        self._programs = {trial.fingerprint: _program(trial) for trial in trials}
        try:
            while self._fill():
                rest = min([self._go_on(seat) for seat in list(self._seats)])
                if rest > 0.0:
                    time.sleep(rest)
        finally:
            for seat in self._seats:
                seat.turns.close()  # frees its lock
        if self._broken is not None:
            raise StoreError(self._broken)
        if self._should_stop():
            raise StoppedError("stopped between trials.")

    def _is_ending(self) -> bool:
        return self._broken is not None or self._should_stop()

    def _fill(self) -> bool:
        """Begin trials in what slots there may be; say whether any is in training."""
        if self._is_ending():
            self._waiting.clear()
            self._alone.clear()
        if not self._waiting and not self._seats and self._alone:
            self._idle.clear()  # a fresh slot for each of them, and nothing beside it
            free_memory()
            self._limit = 1
            self._waiting.append(self._alone.popleft())
        while self._waiting and len(self._seats) < self._limit:
            self._begin(self._idle.pop() if self._idle else self._make_slot())
        return bool(self._seats)

    def _begin(self, slot: Slot) -> None:
        waiting = [self._programs[trial.fingerprint] for trial in self._waiting]
        beside = [self._programs[seat.trial.fingerprint] for seat in self._seats]
        place = population.choose(slot.program, waiting, beside)
        trial = self._waiting[place]
        del self._waiting[place]
        at_once = self._limit if self._free_at_first is None else self._most  # until it is known how many fit
        beside_it = min(at_once - 1, len(self._seats) + len(self._waiting))
        turns = trial_in_turns(
            trial,
            self._surroundings.store,
            self._hear,
            self._is_ending,
            self._surroundings.data_dir,
            self._surroundings.device,
            replace(self._surroundings.cadence, trials=1 + beside_it),
            slot.build,
        )
        self._seats.append(_Seat(slot, trial, turns))

    def _go_on(self, seat: _Seat) -> float:
        """Let a trial go on until it gives way; return after how many seconds it can go on again."""
        try:
            return next(seat.turns)
        except StopIteration:
            self._seats.remove(seat)
            self._idle.append(seat.slot)
        except StoppedError:
            self._seats.remove(seat)
        except Exception as error:  # noqa: BLE001 - a bug in one trial must not take the study along
            self._seats.remove(seat)
            self._take(seat.trial, outcome_of(error))
        return 0.0

    def _take(self, trial: Trial, outcome: Outcome) -> None:
        """Decide what becomes of a trial that ended without a result; its slot, in whatever state, is given up."""
        if outcome.problem == "store":
            self._broken = outcome.reason
        elif outcome.problem == "memory" and trial.fingerprint not in self._second_attempts:
            self._second_attempts.add(trial.fingerprint)
            self._alone.append(trial)
            self._limit = max(1, len(self._seats))
            again = "It is tried once more, alone, at the end"
            beside = f"; {self._limit} side by side until then" if self._seats else ""
            self._on_event(TriedAgain(trial.fingerprint, f"{outcome.reason} {again}{beside}."))
        else:
            judge(trial, outcome, self._on_event)

    def _hear(self, event: Event) -> None:
        """Pass an event on; the first epoch that ends says how many trials there is memory for."""
        self._on_event(event)
        if self._free_at_first is None or not isinstance(event, EpochEnded):
            return
        free = devices.free_bytes(self._surroundings.device) or 0
        taken = max(1, self._free_at_first - free)
        self._free_at_first = None
        wanted = min(self._most, len(self._waiting) + len(self._seats))
        self._limit = min(self._most, 1 + int(USED_SHARE * free / taken))
        if self._limit < wanted:
            self._on_event(FewerAtOnce(event.trial, self._limit, wanted, taken))


def _program(trial: Trial) -> Hashable:
    assert isinstance(trial.recipe, ResNetRecipe)  # noqa: S101 - the executor gives no others
    return population.program(trial.recipe, trial.block)
