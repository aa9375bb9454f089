"""Captured steps on a queue that does the work at once: the bits of steps taken from Python, and the same divergence.

A GPU runs this very code; what the tests here cannot show is the capture itself.
"""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from eailab.engines.registry import build
from eailab.engines.torch_resnet import cuda_graphs
from eailab.engines.torch_resnet.cuda_graphs import CapturedEngine
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.errors import DivergedError, StoppedError, UsageError


def captured(recipe, data):
    """Return an engine with captured steps, on a queue that checks how it is used."""
    return CapturedEngine(recipe, data, 3, "cpu", queue=StrictQueue())


def quiet(_):
    """Take note of nothing."""


def same(first, second):
    """Whether two states are equal to the bit."""
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


class StrictQueue:
    """Does work when it is launched, warms it up as a capture does, and refuses work outside `entered`."""

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
        try:
            yield
        finally:
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
def test_captured_steps_give_the_bits_of_plain_ones(variant, make_recipe, make_data, monkeypatch):
    """With a long program, single steps and a smaller last batch in each epoch; a warm-up leaves nothing behind."""
    monkeypatch.setattr(cuda_graphs, "STEPS_A_PROGRAM", 3)
    recipe = make_recipe(**{"batch_size": 8, "epochs": 2} | variant)
    data = make_data(45)
    plain, queue = ResNetEngine(recipe, data, 3, "cpu"), StrictQueue()
    fast = CapturedEngine(recipe, data, 3, "cpu", queue=queue)
    for number in range(1, recipe.epochs + 1):
        assert fast.train_epoch(number, quiet) == plain.train_epoch(number, quiet)
    assert same(fast.state(), plain.state())
    assert same(fast.weights(), plain.weights())
    assert fast.evaluate("test").scores == plain.evaluate("test").scores
    a_short_epoch = {8: 1 + 2 + 1, 30: 1 + 1}
    assert queue.launches == recipe.epochs * a_short_epoch[recipe.batch_size]


def test_a_resumed_trial_with_captured_steps_ends_with_the_same_bits(make_recipe, make_data):
    recipe, data = make_recipe(optimizer={"name": "adam"}), make_data()
    whole = captured(recipe, data)
    whole.train_epoch(1, quiet)
    kept = whole.state()
    expected = whole.train_epoch(2, quiet)
    resumed = captured(recipe, data)
    resumed.load_state(kept)
    assert resumed.train_epoch(2, quiet) == expected
    assert same(resumed.state(), whole.state())


@pytest.mark.parametrize("begun_captured", [True, False])
def test_a_trial_stopped_within_an_epoch_goes_on_captured(begun_captured, make_recipe, make_data, monkeypatch):
    """From wherever it was: a state of plain steps may lie between the starts of two long programs."""
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    monkeypatch.setattr(cuda_graphs, "STEPS_A_PROGRAM", 3)
    recipe, data, states = make_recipe(batch_size=8, ema=0.9, mixup=0.4), make_data(60), []
    whole = captured(recipe, data) if begun_captured else ResNetEngine(recipe, data, 3, "cpu")
    whole.train_epoch(1, quiet)
    expected = whole.train_epoch(2, lambda _: states.append(whole.state()))
    assert len(states) == (4 if begun_captured else 8)
    for state in states:
        resumed = captured(recipe, data)
        resumed.load_state(state)
        assert resumed.train_epoch(2, quiet) == expected
        assert same(resumed.state(), whole.state())


def test_a_divergence_is_found_at_the_epochs_end_with_its_step(make_recipe, make_data):
    """The flag on the device has kept the optimizer from acting since that step."""
    recipe, data = make_recipe(optimizer={"lr": 1e30, "momentum": 0.0}, batch_size=4), make_data()
    plain, fast = ResNetEngine(recipe, data, 0, "cpu"), CapturedEngine(recipe, data, 0, "cpu", queue=StrictQueue())
    raised = []
    for engine in (plain, fast):
        with pytest.raises(DivergedError) as error:
            engine.train_epoch(1, quiet)
        raised.append(error.value)
    assert (raised[0].epoch, raised[0].step) == (raised[1].epoch, raised[1].step)
    assert not np.isfinite(raised[1].value)
    trained = [name for name, _ in plain._model.named_parameters()]
    assert all(np.array_equal(plain.weights()[name], fast.weights()[name]) for name in trained)


def test_progress_of_captured_steps_has_no_loss(make_recipe, make_data, monkeypatch):
    """Reading it would make the host wait for the device."""
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    seen = []
    CapturedEngine(make_recipe(), make_data(40), 0, "cpu", queue=StrictQueue()).train_epoch(1, seen.append)
    assert [(step.step, step.steps, step.loss) for step in seen] == [(1, 3, None), (2, 3, None), (3, 3, None)]


def test_an_epoch_that_is_given_up_is_waited_for(make_recipe, make_data, monkeypatch):
    """Its launches may still run on memory that is given to the next trial once the engine is gone."""
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    queue = StrictQueue()
    engine = CapturedEngine(make_recipe(), make_data(40), 0, "cpu", queue=queue)

    def stop(_):
        raise StoppedError("stopped.")

    with pytest.raises(StoppedError):
        engine.train_epoch(1, stop)
    assert queue.waited == queue.launches == 1


@pytest.mark.parametrize(
    ("value", "kind", "given"),
    [(None, "cuda", False), ("plain", "cuda", False), ("captured", "cuda", True), ("captured", "cpu", False)],
)
def test_steps_are_captured_on_cuda_only_and_where_the_setting_asks_for_it(monkeypatch, value, kind, given):
    """Until the checks of `benchmarks/gpu.py` have passed on a GPU, nobody gets captured steps unasked."""
    monkeypatch.setattr(cuda_graphs, "CudaQueue", lambda: "a queue")
    monkeypatch.delenv(cuda_graphs.SETTING, raising=False)
    if value is not None:
        monkeypatch.setenv(cuda_graphs.SETTING, value)
    assert (cuda_graphs.make_queue(torch.device(kind)) == "a queue") == given


def test_an_unknown_setting_is_refused(monkeypatch):
    monkeypatch.setenv(cuda_graphs.SETTING, "graphs")
    with pytest.raises(UsageError, match="plain \\(the default\\) or captured"):
        cuda_graphs.make_queue(torch.device("cpu"))


def test_the_switch_chooses_the_engine(make_recipe, make_data, monkeypatch):
    assert type(build(make_recipe(), make_data(), 0, "cpu")) is ResNetEngine
    monkeypatch.setattr(cuda_graphs, "make_queue", lambda _: StrictQueue())
    assert type(build(make_recipe(), make_data(), 0, "cpu")) is CapturedEngine
