"""Planned steps on the eager lane: the same bits as steps taken from Python, and the same end of a diverging trial.

Captured steps run this very code on a GPU; what the tests here cannot show is the capture itself.
"""

from contextlib import contextmanager

import numpy as np
import pytest

from eailab.engines.torch_resnet import graph_steps
from eailab.engines.torch_resnet.cuda_graphs import EagerLane
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.errors import DivergedError, StoppedError


def quiet(_):
    """Take note of nothing."""


def same(first, second):
    """Whether two states are equal to the bit."""
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


class StrictLane(EagerLane):
    """An eager lane that warms work up as a capture does, and refuses work outside `entered`."""

    def __init__(self):
        self.inside = False
        self.launches = 0
        self.waited = 0

    def wait(self):
        self.waited = self.launches

    @contextmanager
    def entered(self):
        assert not self.inside
        self.inside = True
        yield
        self.inside = False

    def program(self, work, altered):
        assert self.inside
        kept = [tensor.detach().clone() for tensor in altered]
        work()
        for tensor, value in zip(altered, kept, strict=True):
            tensor.detach().copy_(value)
        return work

    def launch(self, program):
        self.launches += 1
        program()


VARIANTS = [
    {"augment": "crop-flip", "schedule": {"name": "onecycle"}, "ema": 0.9},
    {"augment": "cutout", "mixup": 0.4, "optimizer": {"name": "adam", "lr": 0.01}, "label_smoothing": 0.1},
    {"augment": "trivial-augment", "optimizer": {"name": "adamw"}, "precision": "bf16", "schedule": {"name": "cosine"}},
    {"augment": "resize-224", "optimizer": {"momentum": 0.0}, "batch_size": 30, "epochs": 1},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_planned_steps_give_the_bits_of_plain_ones(variant, make_recipe, make_data, monkeypatch):
    """With a long program, single steps and a smaller last batch in each epoch; a warm-up leaves nothing behind."""
    monkeypatch.setattr(graph_steps, "STEPS_A_PROGRAM", 3)
    recipe = make_recipe(**{"batch_size": 8, "epochs": 2} | variant)
    data = make_data(45)
    plain, lane = ResNetEngine(recipe, data, 3, "cpu"), StrictLane()
    fast = ResNetEngine(recipe, data, 3, "cpu", lane=lane)
    for number in range(1, recipe.epochs + 1):
        assert fast.train_epoch(number, quiet) == plain.train_epoch(number, quiet)
    assert same(fast.state(), plain.state())
    assert same(fast.weights(), plain.weights())
    assert fast.evaluate("test").scores == plain.evaluate("test").scores
    a_short_epoch = {8: 1 + 2 + 1, 30: 1 + 1}
    assert lane.launches == recipe.epochs * a_short_epoch[recipe.batch_size]


def test_a_resumed_trial_on_a_lane_ends_with_the_same_bits(make_recipe, make_data):
    recipe, data = make_recipe(optimizer={"name": "adam"}), make_data()
    whole = ResNetEngine(recipe, data, 3, "cpu", lane=StrictLane())
    whole.train_epoch(1, quiet)
    kept = whole.state()
    expected = whole.train_epoch(2, quiet)
    resumed = ResNetEngine(recipe, data, 3, "cpu", lane=StrictLane())
    resumed.load_state(kept)
    assert resumed.train_epoch(2, quiet) == expected
    assert same(resumed.state(), whole.state())


@pytest.mark.parametrize("begun_on_a_lane", [True, False])
def test_a_trial_stopped_within_an_epoch_goes_on_on_a_lane(begun_on_a_lane, make_recipe, make_data, monkeypatch):
    """From wherever it was: a state of plain steps may lie between the starts of two long programs."""
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    monkeypatch.setattr(graph_steps, "STEPS_A_PROGRAM", 3)
    recipe, data, states = make_recipe(batch_size=8, ema=0.9, mixup=0.4), make_data(60), []
    whole = ResNetEngine(recipe, data, 3, "cpu", lane=StrictLane() if begun_on_a_lane else None)
    whole.train_epoch(1, quiet)
    expected = whole.train_epoch(2, lambda _: states.append(whole.state()))
    assert len(states) == (4 if begun_on_a_lane else 8)
    for state in states:
        resumed = ResNetEngine(recipe, data, 3, "cpu", lane=StrictLane())
        resumed.load_state(state)
        assert resumed.train_epoch(2, quiet) == expected
        assert same(resumed.state(), whole.state())


def test_a_divergence_is_found_at_the_epochs_end_with_its_step(make_recipe, make_data):
    """The flag on the device has kept the optimizer from acting since that step."""
    recipe, data = make_recipe(optimizer={"lr": 1e30, "momentum": 0.0}, batch_size=4), make_data()
    plain, fast = ResNetEngine(recipe, data, 0, "cpu"), ResNetEngine(recipe, data, 0, "cpu", lane=EagerLane())
    raised = []
    for engine in (plain, fast):
        with pytest.raises(DivergedError) as error:
            engine.train_epoch(1, quiet)
        raised.append(error.value)
    assert (raised[0].epoch, raised[0].step) == (raised[1].epoch, raised[1].step)
    assert not np.isfinite(raised[1].loss)
    trained = [name for name, _ in plain._model.named_parameters()]
    assert all(np.array_equal(plain.weights()[name], fast.weights()[name]) for name in trained)


def test_another_trial_takes_an_engines_place_with_the_bits_of_its_own(make_recipe, make_data):
    """Other block, rate, schedule and length; the 7x7 stem's dead taps keep the new one's initial values."""
    data, settings = make_data(), {"optimizer": {"name": "adam"}, "ema": 0.9}
    engine = ResNetEngine(make_recipe(**settings), data, 0, "cpu", lane=StrictLane())
    engine.train_epoch(1, quiet)
    next(engine.train_in_turns(2, quiet))  # as a trial that diverges leaves it
    other = make_recipe(**settings | {"optimizer": {"name": "adam", "lr": 0.01}}, schedule={"name": "cosine"}, epochs=2)
    engine.begin(other, 7)
    fresh = ResNetEngine(other, data, 7, "cpu")
    assert same(engine.weights(), fresh.weights())
    for number in (1, 2):
        assert engine.train_epoch(number, quiet) == fresh.train_epoch(number, quiet)
    assert same(engine.state(), fresh.state())
    assert same(engine.weights(), fresh.weights())


def test_on_a_lane_progress_has_no_loss(make_recipe, make_data, monkeypatch):
    """Reading it would make the host wait for the device."""
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    steps = []
    ResNetEngine(make_recipe(), make_data(40), 0, "cpu", lane=EagerLane()).train_epoch(1, steps.append)
    assert [(step.step, step.steps, step.loss) for step in steps] == [(1, 3, None), (2, 3, None), (3, 3, None)]


def test_an_epoch_that_is_given_up_is_waited_for(make_recipe, make_data, monkeypatch):
    """Its launches may still run on memory that is given to the next trial once the engine is gone."""
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    lane = StrictLane()
    engine = ResNetEngine(make_recipe(), make_data(40), 0, "cpu", lane=lane)

    def stop(_):
        raise StoppedError("stopped.")

    with pytest.raises(StoppedError):
        engine.train_epoch(1, stop)
    assert lane.waited == lane.launches == 1
    turns = engine.train_in_turns(2, quiet)
    next(turns)
    turns.close()
    assert lane.waited == lane.launches == 2
