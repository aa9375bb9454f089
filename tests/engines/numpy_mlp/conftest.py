"""Small made data and recipes for the numpy engine."""

from collections.abc import Callable

import numpy as np
import pytest

from eailab.data.dataset import Images, TrialData
from eailab.recipe.schema import MlpRecipe
from eailab.recipe.validate import recipe_from


def made_data(count: int = 60) -> TrialData:
    """Images of 4x3 pixels in 4 classes, at random but for a class's own pixel."""
    chance = np.random.default_rng(5)

    def images(number: int) -> Images:
        labels = chance.integers(0, 4, number)
        pixels = chance.integers(0, 200, (number, 4, 3, 1))
        pixels[np.arange(number), labels, 0, 0] += 55
        return Images(pixels.astype(np.uint8), labels)

    train = images(count)
    mean, std = (np.array([value], np.float32) for value in (train.pixels.mean(), train.pixels.std()))
    return TrialData(train, images(20), images(20), mean, std, ("a", "b", "c", "d"))


def made_recipe(**changes: object) -> MlpRecipe:
    """A small recipe with some fields changed."""
    plain = {
        "name": "test",
        "engine": "numpy-mlp",
        "data": {"name": "made"},
        "model": {"name": "mlp", "hidden": [9, 7], "activation": "relu"},
        "optimizer": {"name": "adam", "lr": 0.003},
        "epochs": 25,
        "batch_size": 8,
    }
    recipe = recipe_from(plain | changes)
    assert isinstance(recipe, MlpRecipe)
    return recipe


@pytest.fixture(scope="session")
def trial_data() -> Callable[..., TrialData]:
    """How to make data of so many training images."""
    return made_data


@pytest.fixture(scope="session")
def recipe() -> Callable[..., MlpRecipe]:
    """How to make a recipe with some fields changed."""
    return made_recipe
