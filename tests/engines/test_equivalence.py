"""Recipes that are said to train the same do so, bit for bit, in both engines, and others are not said to."""

import pytest
import torch

from eailab.data.registry import load as load_data
from eailab.data.split import trial_data
from eailab.engines import equivalence
from eailab.engines.equivalence import train_the_same
from eailab.engines.registry import build
from eailab.recipe.load import Override, load

SMALL = {
    "digits-mlp": {"epochs": 2, "model.hidden": [6, 5], "data.limit": 100, "threads": 1},
    "resnet18-digits": {"epochs": 2, "model.width": 0.125, "data.limit": 48, "batch_size": 16, "threads": 1},
}
MLP, RESNET = SMALL
STILL = {"rotation": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.0, "elastic": 0.0}
EQUAL = [
    (MLP, {}, {"model.activation": ["relu", "relu"]}),
    (MLP, {"data.limit": None}, {"data.limit": 1149}),
    (MLP, {"data.val_fraction": 0.2}, {"data.val_fraction": 0.20001}),
    (MLP, {"data.split": "per-block"}, {"data.split": "per-block", "data.split_seed": 7}),
    (MLP, {}, {"data.augment": {"name": "deform", **STILL}}),
    (MLP, {"optimizer": {"name": "adam"}}, {"optimizer": {"name": "adamw", "lr": 0.001, "weight_decay": 0.0}}),
    (MLP, {}, {"schedule": {"name": "steplr", "step_size": 2}}),
    (MLP, {}, {"schedule": {"name": "multistep", "milestones": [2, 9]}}),
    (MLP, {}, {"schedule": {"name": "cosine", "final": 1.0}}),
    (MLP, {}, {"schedule": {"name": "constant", "warmup_epochs": 0.2}}),
    (RESNET, {}, {"model.width": 0.1251}),
    (RESNET, {"optimizer": {"name": "adam"}}, {"optimizer": {"name": "adamw", "lr": 0.001, "weight_decay": 0.0}}),
    (RESNET, {"schedule": "constant"}, {"schedule": {"name": "exponential", "gamma": 1.0}}),
]
DIFFERENT = [
    (MLP, {}, {"model.activation": ["relu", "tanh"]}),
    (MLP, {}, {"data.limit": 99}),
    (MLP, {}, {"data.val_fraction": 0.21}),
    (MLP, {}, {"data.split_seed": 7}),
    (MLP, {}, {"data.augment": {"name": "deform", **STILL, "shift": 0.1}}),
    (MLP, {"optimizer": {"name": "adam"}}, {"optimizer": {"name": "adamw", "lr": 0.001}}),
    (MLP, *({"optimizer": {"name": name, "lr": 0.001, "weight_decay": 0.01}} for name in ("adam", "adamw"))),
    (MLP, {}, {"schedule": {"name": "steplr", "step_size": 1}}),
    (MLP, {}, {"schedule": {"name": "constant", "warmup_epochs": 0.5}}),
    (MLP, {}, {"epochs": 1}),
    (RESNET, {}, {"model.width": 0.13}),
    (RESNET, {}, {"data.augment": {"name": "crop-flip", "padding": 0}}),
]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made(name, changes):
    return load(name, [Override(path, value, "-o") for path, value in (SMALL[name] | changes).items()]).recipe


def bits(recipe):
    engine = build(recipe, trial_data(load_data(recipe.data.name), recipe.data, 3), 3, "cpu")
    scores = [engine.train_epoch(number, lambda _: None) for number in range(1, recipe.epochs + 1)]
    weights = {name: array.tobytes() for name, array in engine.weights().items()}
    return scores, weights, engine.evaluate("validation").scores


@pytest.mark.parametrize(("name", "first", "second"), EQUAL)
def test_recipes_that_are_said_to_train_the_same_do(name, first, second):
    one, other = made(name, first), made(name, second)
    assert one != other
    assert train_the_same(one, other, len(load_data(one.data.name).train))
    assert bits(one) == bits(other)


@pytest.mark.parametrize(("name", "first", "second"), DIFFERENT)
def test_recipes_that_differ_are_not_said_to_train_the_same(name, first, second):
    one, other = made(name, first), made(name, second)
    assert not train_the_same(one, other, len(load_data(one.data.name).train))


def test_schedules_of_very_many_steps_are_not_compared(monkeypatch):
    """A plan must not take the memory of a rate for each of them."""
    one, other = made(MLP, {}), made(MLP, {"schedule": {"name": "steplr", "step_size": 2}})
    assert train_the_same(one, other, 1436)
    monkeypatch.setattr(equivalence, "MOST_STEPS", 2)
    assert not train_the_same(one, other, 1436)
