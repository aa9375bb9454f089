"""Many trials side by side on one device, each with the bits it has when it is trained alone.

A slot is an engine on a lane of its own. A trial that ends leaves its slot to the next one of the same program, which
is put in its place by copying initial values: its steps are captured once for all of them. Nothing is shared between
slots but images, which nobody writes. One thread serves all slots in turn; on CUDA their launches overlap.

The scheduling is tested on the CPU with eager lanes. **No GPU has run several slots yet**; `benchmarks/gpu.py` checks
that there, too, a trial's bits do not depend on its neighbours.
"""

import gc
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from eailab.data.dataset import TrialData
from eailab.engines.base import Arrays, DeviceName, Evaluation, Scores
from eailab.engines.torch_resnet import devices
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.lanes import CudaLane, EagerLane, Lane
from eailab.errors import DivergedError
from eailab.recipe.identity import canonical, digest
from eailab.recipe.schema import ResNetRecipe

RATES_ONLY = ("schedule", "epochs")
"""Keys of a recipe that change nothing but the learning rates and how many there are."""


@dataclass(frozen=True)
class Entry:
    """One trial of a population. Trials on the same splits are given the same `data` object."""

    recipe: ResNetRecipe
    data: TrialData
    block: int


@dataclass(frozen=True)
class EpochEnded:
    """A trial's epoch was trained and validated."""

    entry: int
    """The trial's place in the sequence that was asked for."""
    number: int
    """The epoch's, from 1."""
    trained: Scores
    validated: Scores


@dataclass(frozen=True)
class Finished:
    """A trial has had its last epoch, and was tested once."""

    entry: int
    validation: Evaluation
    test: Evaluation
    weights: Arrays


@dataclass(frozen=True)
class Diverged:
    """A trial's loss was not finite; it was stopped before the optimizer acted on it."""

    entry: int
    error: DivergedError


@dataclass(frozen=True)
class FewerSlots:
    """The device's memory did not suffice for all slots; the trial that found it starts again later."""

    entry: int
    slots: int
    """Slots that are left."""


Event: TypeAlias = EpochEnded | Finished | Diverged | FewerSlots


def program(entry: Entry) -> Hashable:
    """Return what two trials must share so that one can take the other's place: all but rates, length and block."""
    recipe = canonical(entry.recipe)
    for key in RATES_ONLY:
        del recipe[key]
    optimizer = recipe["optimizer"]
    assert isinstance(optimizer, dict)  # noqa: S101 - every recipe's is one
    recipe["optimizer"] = {key: value for key, value in optimizer.items() if key != "lr"}
    return digest(recipe), id(entry.data)


def train(number: int, entry: Entry, engine: ResNetEngine, lane: Lane) -> Iterator[Event | None]:
    """Train one trial from its beginning, yielding its events, and None whenever other lanes may be served.

    The lines are those of the one loop (`runs.training.train`), cut where a device would be waited for.
    """
    try:
        for epoch in range(1, entry.recipe.epochs + 1):
            for _ in engine.launches(epoch):
                yield None
                while not lane.has_room():
                    yield None
            while not lane.is_drained():
                yield None
            trained = engine.finish_epoch(epoch)
            validation = engine.evaluate("validation")
            if not math.isfinite(validation.scores.loss):
                raise DivergedError(epoch, 0, validation.scores.loss)
            yield EpochEnded(number, epoch, trained, validation.scores)
    except DivergedError as error:
        yield Diverged(number, error)
        return
    yield Finished(number, validation, engine.evaluate("test"), engine.weights())


class Slot:
    """A lane, the engine on it, and the trial that it trains."""

    def __init__(self, lane: Lane, device: DeviceName) -> None:
        self._lane, self._device = lane, device
        self._engine: ResNetEngine | None = None
        self.program: Hashable = None
        """Of the engine; None before the first."""
        self.entry: int | None = None
        """The trial in training; None when the slot is free."""
        self._events: Iterator[Event | None] = iter(())

    def take(self, number: int, entry: Entry) -> None:
        """Begin a trial, in the last one's place if it has the same program."""
        self.entry = number
        if self._engine is None or self.program != program(entry):
            self._engine, self.program = None, None  # its memory first
            self._engine = ResNetEngine(entry.recipe, entry.data, entry.block, self._device, lane=self._lane)
            self.program = program(entry)
        else:
            self._engine.begin(entry.recipe, entry.block)
        self._events = train(number, entry, self._engine, self._lane)

    def go_on(self) -> Event | None:
        """Launch or read one piece of the trial's work, and return what came of it, if anything."""
        event = next(self._events)
        if isinstance(event, Finished | Diverged):
            self.entry = None
        return event


def choose(slot: Slot, waiting: Sequence[int], programs: Sequence[Hashable], slots: Sequence[Slot]) -> int:
    """Return the waiting trial that a free slot takes: of its own program, else of the one with most trials a slot."""
    for number in waiting:
        if programs[number] == slot.program:
            return number
    left = Counter(programs[number] for number in waiting)
    served = Counter(other.program for other in slots if other is not slot)
    return max(waiting, key=lambda number: (left[programs[number]] / (1 + served[programs[number]]), -number))


def run(
    entries: Sequence[Entry],
    slots: int,
    device: DeviceName = "auto",
    make_lane: Callable[[], Lane] | None = None,
) -> Iterator[Event]:
    """Train some trials, as many at once as there are slots, and yield what becomes of them.

    Args:
        entries: The trials, in the order in which they are begun as far as slots allow; see `choose`.
        slots: Trials side by side; on CUDA at most `CudaLane.MOST`.
        device: Where they run; `auto` is CUDA where there is one.
        make_lane: What to queue work on; None for what fits the device.

    Raises:
        DataError: The images do not fit a recipe.
        DeviceError: The device is not here, or has not a recipe's precision.
        torch.OutOfMemoryError: Not one slot fits the device.
    """
    if make_lane is None:
        make_lane = CudaLane if devices.choose(device).type == "cuda" else EagerLane
    programs = [program(entry) for entry in entries]
    waiting = list(range(len(entries)))
    serving = [Slot(make_lane(), device) for _ in range(min(slots, CudaLane.MOST, len(entries)))]
    while waiting or any(slot.entry is not None for slot in serving):
        for slot in list(serving):
            if slot.entry is None:
                if not waiting:
                    continue
                number = choose(slot, waiting, programs, serving)
                waiting.remove(number)
            else:
                number = slot.entry
            try:
                if slot.entry is None:
                    slot.take(number, entries[number])
                event = slot.go_on()
            except torch.OutOfMemoryError:
                if len(serving) == 1:
                    raise
                serving.remove(slot)
                del slot
                _free_memory()
                waiting.insert(0, number)
                yield FewerSlots(number, len(serving))
                continue
            if event is not None:
                yield event


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
