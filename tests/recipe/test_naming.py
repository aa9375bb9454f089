"""A recipe is not called after data or a model that it no longer has."""

import pytest

from eailab.recipe.load import Override, load
from eailab.recipe.override import may_have_been


def loaded(name, /, **overrides):
    return load(name, [Override(path.replace("__", "."), value, "-o") for path, value in overrides.items()])


@pytest.mark.parametrize(
    ("name", "overrides", "called"),
    [
        ("digits-mlp", {"data__name": "my scans/mine.npz"}, "mine-mlp"),
        ("resnet18-cifar10", {"data__name": "my-images/"}, "resnet18-my-images"),
        ("resnet18-digits", {"data__name": "mnist"}, "resnet18-mnist"),
        ("mnist-mlp", {"data__name": "fashion-mnist"}, "fashion-mnist-mlp"),
        ("resnet18-fast", {"data__name": "mine.npz"}, "resnet18-fast-mine"),
        ("resnet18-cifar10", {"model__name": "resnet34"}, "resnet34-cifar10"),
        ("resnet18-cifar10", {"model__name": "resnet50", "data__name": "mnist"}, "resnet50-mnist"),
        ("digits-mlp", {"data__name": "數字.npz"}, "數字-mlp"),
        ("digits-mlp", {"data__name": "mine.npz", "name": "mine"}, "mine"),
        ("digits-mlp", {"epochs": 3}, "digits-mlp"),
    ],
)
def test_a_recipes_name_follows_its_data_and_its_model(name, overrides, called):
    assert loaded(name, **overrides).recipe.name == called


def test_the_name_comes_from_where_the_data_come_from():
    assert loaded("digits-mlp", data__name="mine.npz").origins["name"] == "-o"
    assert loaded("digits-mlp").origins["name"].startswith("digits-mlp.yaml:")


@pytest.mark.parametrize(
    ("before", "now", "fits"),
    [
        ("mnist-mlp-lr", "digits-mlp-lr", True),
        ("resnet18-fast-lr", "resnet18-fast-digits-lr", True),
        ("digits-mlp-lr", "digits-mlp-lr", False),
        ("mine-lr", "digits-mlp-lr", False),
        ("mnist-mlp-lr", "digits-mlp-batch-size", False),
    ],
)
def test_only_the_words_for_data_and_model_are_taken_for_an_earlier_name(before, now, fits):
    assert may_have_been(before, now, load("digits-mlp").recipe) is fits
