"""Many trials on one device, here with eager lanes: who gets which slot, and that neighbours change no bit.

On a GPU the same scheduler serves lanes of captured steps; `benchmarks/gpu.py` repeats these checks there.
"""

from collections import Counter

import numpy as np
import pytest
import torch

from eailab.engines.torch_resnet import planned, population
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.lanes import EagerLane
from eailab.engines.torch_resnet.population import Diverged, Entry, EpochEnded, FewerSlots, Finished, Slot


@pytest.fixture(autouse=True)
def short_programs(monkeypatch):
    """Let slots take turns within an epoch, though epochs are short here."""
    monkeypatch.setattr(planned, "STEPS_A_PROGRAM", 2)


def alone(entry):
    """Train a trial by itself, step by step."""
    engine = ResNetEngine(entry.recipe, entry.data, entry.block, "cpu")
    scores = []
    for number in range(1, entry.recipe.epochs + 1):
        trained = engine.train_epoch(number, lambda step: None)
        scores.append((trained, engine.evaluate("validation").scores))
    return scores, engine


def check_equal_to_alone(number, entry, events):
    """Assert that a trial's scores, predictions and weights have the bits of the same trial alone."""
    scores, engine = alone(entry)
    mine = [event for event in events if event.entry == number]
    epochs = [event for event in mine if isinstance(event, EpochEnded)]
    (finished,) = (event for event in mine if isinstance(event, Finished))
    assert [(event.trained, event.validated) for event in epochs] == scores
    assert finished.test.scores == engine.evaluate("test").scores
    weights = engine.weights()
    assert weights.keys() == finished.weights.keys()
    assert all(np.array_equal(weights[name], finished.weights[name]) for name in weights)


@pytest.fixture
def engines(monkeypatch):
    """Count the engines that are made, each of which would capture its steps on a GPU."""
    made = []

    class Counted(ResNetEngine):
        def __init__(self, *arguments, **options):
            made.append(arguments[0])
            super().__init__(*arguments, **options)

    monkeypatch.setattr(population, "ResNetEngine", Counted)
    return made


def test_each_trial_has_the_bits_it_has_alone(make_recipe, make_data, engines):
    """Batch sizes, stems, optimizers and lengths side by side; a diverging trial leaves its neighbours untouched."""
    data = make_data(36)
    recipes = [
        (make_recipe(epochs=2), 0),
        (make_recipe(epochs=2, optimizer={"lr": 1e30, "momentum": 0.0}), 0),
        (make_recipe(epochs=3, batch_size=8, model={"stem": "3x3-pad1"}, optimizer={"name": "adam"}), 1),
        (make_recipe(epochs=1, optimizer={"lr": 0.01}, schedule={"name": "cosine"}), 2),
        (make_recipe(epochs=1, optimizer={"lr": 0.01, "momentum": 0.0}), 4),
    ]
    entries = [Entry(recipe, data, block) for recipe, block in recipes]
    events = list(population.run(entries, slots=3, device="cpu"))
    (diverged,) = (event for event in events if isinstance(event, Diverged))
    assert diverged.entry == 1
    for number in (0, 2, 3, 4):
        check_equal_to_alone(number, entries[number], events)
    assert len(engines) == 3, "trials of one program follow each other in a slot, also after a divergence"


def test_slots_take_turns(make_recipe, make_data):
    """The second trial's first epoch ends before the first trial's second: they are trained side by side."""
    entries = [Entry(make_recipe(epochs=2), make_data(), block) for block in (0, 1)]
    ended = [
        (event.entry, event.number)
        for event in population.run(entries, slots=2, device="cpu")
        if isinstance(event, EpochEnded)
    ]
    assert ended == [(0, 1), (1, 1), (0, 2), (1, 2)]


def test_more_slots_than_trials_change_nothing(make_recipe, make_data, engines):
    entry = Entry(make_recipe(epochs=1), make_data(), 0)
    events = list(population.run([entry], slots=8, device="cpu"))
    check_equal_to_alone(0, entry, events)
    assert len(engines) == 1
    assert list(population.run([], slots=8, device="cpu")) == []


def test_programs_differ_in_all_but_rates_length_and_block(make_recipe, make_data):
    data = make_data()

    def key(block=0, data=data, **settings):
        return population.program(Entry(make_recipe(**settings), data, block))

    same = [key(block=3), key(optimizer={"lr": 0.5}), key(schedule={"name": "onecycle"}), key(epochs=9), key(name="n")]
    assert set(same) == {key()}
    other = [
        key(optimizer={"momentum": 0.5}),
        key(batch_size=8),
        key(model={"stem": "3x3"}),
        key(augment="none"),
        key(mixup=0.2),
        key(precision="bf16"),
        key(label_smoothing=0.1),
        key(ema=0.9),
        key(data=make_data()),
    ]
    assert len({key(), *other}) == len(other) + 1


def test_a_free_slot_stays_with_its_program_and_else_goes_where_most_is_left():
    slots = [Slot(EagerLane(), "cpu") for _ in range(3)]
    programs = ["a", "b", "b", "b", "a"]
    slots[0].program = "a"
    assert population.choose(slots[0], [1, 2, 3, 4], programs, slots) == 4
    assert population.choose(slots[1], [1, 2, 3, 4], programs, slots) == 1
    slots[1].program = "b"
    assert population.choose(slots[2], [2, 3, 4], programs, slots) == 2, "two a slot of b's against one of a's"


class CrampedLane(EagerLane):
    """A lane on a device that has no room for two engines' programs."""

    at_work = 0

    def program(self, work, altered):
        if CrampedLane.at_work == 0:
            CrampedLane.at_work = id(self)
        if CrampedLane.at_work != id(self):
            raise torch.OutOfMemoryError("too small")
        return work


def test_too_little_memory_means_fewer_slots_and_no_lost_trial(make_recipe, make_data, monkeypatch):
    monkeypatch.setattr(CrampedLane, "at_work", 0)
    entries = [Entry(make_recipe(epochs=1), make_data(), block) for block in range(3)]
    events = list(population.run(entries, slots=3, device="cpu", make_lane=CrampedLane))
    assert [event.slots for event in events if isinstance(event, FewerSlots)] == [2, 1]
    assert Counter(event.entry for event in events if isinstance(event, Finished)) == {0: 1, 1: 1, 2: 1}
    for number, entry in enumerate(entries):
        check_equal_to_alone(number, entry, events)


def test_a_device_that_is_too_small_for_one_trial_says_so(make_recipe, make_data, monkeypatch):
    monkeypatch.setattr(CrampedLane, "at_work", -1)
    with pytest.raises(torch.OutOfMemoryError):
        list(population.run([Entry(make_recipe(), make_data(), 0)], 1, "cpu", CrampedLane))
