"""Slots: what can take whose place, and who gets which. Neighbours change no bit: `tests/runs/test_slots.py`.

On a GPU the same slots have lanes of captured steps; `benchmarks/gpu.py` checks them there.
"""

import numpy as np
import pytest
import torch

from eailab.engines.torch_resnet import build, cuda_graphs, population
from eailab.engines.torch_resnet.cuda_graphs import EagerLane
from eailab.engines.torch_resnet.population import Slot
from eailab.errors import UsageError


def test_a_slots_next_trial_of_the_same_program_takes_up_the_engine(make_recipe, make_data):
    """On a GPU that saves the capture; one of another program gets an engine of its own."""
    slot, data = Slot(EagerLane), make_data()
    first = slot.build(make_recipe(), data, 0, "cpu")
    assert slot.build(make_recipe(optimizer={"lr": 0.1}, epochs=1), data, 5, "cpu") is first
    fresh = Slot(EagerLane).build(make_recipe(), data, 5, "cpu")
    assert all(np.array_equal(fresh.weights()[name], values) for name, values in first.weights().items())
    assert slot.build(make_recipe(batch_size=8), data, 0, "cpu") is not first


def test_programs_differ_in_all_but_rates_length_and_block(make_recipe):
    def key(block=0, **settings):
        return population.program(make_recipe(**settings), block)

    same = [key(block=3), key(optimizer={"lr": 0.5}), key(schedule={"name": "onecycle"}), key(epochs=9), key(name="n")]
    assert set(same) == {key()}
    anew = {"data": {"name": "made", "split": "per-block"}}
    other = [
        key(optimizer={"momentum": 0.5}),
        key(batch_size=8),
        key(model={"stem": "3x3"}),
        key(augment="none"),
        key(mixup=0.2),
        key(precision="bf16"),
        key(label_smoothing=0.1),
        key(ema=0.9),
        key(data={"name": "made", "limit": 20}),
        key(**anew),
        key(block=1, **anew),
    ]
    assert len({key(), *other}) == len(other) + 1


def test_a_free_slot_stays_with_its_program_and_else_goes_where_most_is_left():
    assert population.choose("a", ["b", "b", "b", "a"], [None, None]) == 3
    assert population.choose(None, ["b", "b", "b", "a"], ["a", None]) == 0
    assert population.choose(None, ["a", "b", "b"], ["a", "b"]) == 1, "two a slot of b's against one of a's"
    assert population.choose(None, ["b", "a", "a"], ["a"]) == 0, "one a slot of either: the first that was asked for"


@pytest.mark.parametrize(
    ("value", "kind", "given"),
    [(None, "cuda", False), ("plain", "cuda", False), ("captured", "cuda", True), ("captured", "cpu", False)],
)
def test_steps_are_captured_on_cuda_alone_and_where_the_setting_asks_for_it(monkeypatch, value, kind, given):
    """Until the checks of `benchmarks/gpu.py` have passed on a GPU, nobody gets captured steps unasked."""
    monkeypatch.delenv(cuda_graphs.SETTING, raising=False)
    if value is not None:
        monkeypatch.setenv(cuda_graphs.SETTING, value)
    assert (cuda_graphs.maker(torch.device(kind)) is cuda_graphs.CudaLane) == given


def test_a_setting_that_is_not_known_is_refused(monkeypatch):
    monkeypatch.setenv(cuda_graphs.SETTING, "graphs")
    with pytest.raises(UsageError, match="plain \\(the default\\) or captured"):
        cuda_graphs.maker(torch.device("cpu"))


def test_a_single_trial_follows_the_same_switch(make_recipe, make_data, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "maker", lambda _: EagerLane)
    engine = build.build(make_recipe(epochs=1), make_data(), 0, "cpu")
    steps = []
    engine.train_epoch(1, steps.append)
    assert {step.loss for step in steps} == {None}, "with a lane the loss is not read within an epoch"
