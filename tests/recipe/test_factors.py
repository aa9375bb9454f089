"""A factor is found by the name that people give it, or its name is explained."""

import pytest

from eailab.errors import RecipeError
from eailab.recipe.factors import engines_with, level_of, resolve
from eailab.recipe.load import load

MLP = load("mnist-mlp").recipe
RESNET = load("resnet18-cifar10").recipe


@pytest.mark.parametrize(
    ("factor", "path"),
    {
        "batch-size": "batch_size",
        "batch_size": "batch_size",
        "lr": "optimizer.lr",
        "optimizer.lr": "optimizer.lr",
        "optimizer": "optimizer.name",
        "sched": "schedule.name",
        "schedule": "schedule.name",
        "model": "model.name",
        "stem": "model.stem",
        "augment": "data.augment",
        "data.augment": "data.augment",
        "data.augment.name": "data.augment",
        "data": "data.name",
        "gamma": "schedule.gamma",
        "schedule.step-size": "schedule.step_size",
        "split": "data.split",
    }.items(),
)
def test_a_factor_is_found_by_its_short_name_or_its_path(factor, path):
    assert resolve(factor, RESNET) == path


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (
            "activation",
            "of the engine numpy-mlp, and the recipe is for torch-resnet: choose another recipe, such as digits-mlp",
        ),
        ("rotation", "a factor of the engine numpy-mlp"),
        ("batchsize", "did you mean 'batch-size'?"),
        ("learning-rate", "did you mean 'lr'?"),
        ("name", "may be data.name or data.augment or optimizer.name or schedule.name or model.name"),
        ("margin", "is not a factor"),
        ("study.metric", "is not a factor"),
        ("engine", "the engine of a recipe stays"),
        ("qqq", "choose augment, optimizer, schedule, model"),
        ("", "choose augment"),
    ],
)
def test_a_word_that_is_no_factor_says_what_would_be(factor, said):
    with pytest.raises(RecipeError) as caught:
        resolve(factor, RESNET)
    assert said in str(caught.value)


def test_a_factor_says_which_engines_have_it():
    assert engines_with("activation") == {"numpy-mlp"}
    assert engines_with("hidden") == {"numpy-mlp"}
    assert engines_with("stem") == {"torch-resnet"}
    assert engines_with("batch-size") == {"numpy-mlp", "torch-resnet"}
    assert engines_with("margin") == engines_with("engine") == engines_with("qqq") == set()


def test_the_recipes_own_level_is_its_value():
    assert level_of(RESNET, "batch_size") == 32
    assert level_of(RESNET, "data.augment") == "crop-flip"
    assert level_of(MLP, "model.hidden") == [128, 256]
