"""Small recipes and data for the torch engine."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from eailab.data.dataset import Images, TrialData
from eailab.recipe.schema import ResNetRecipe
from eailab.recipe.validate import recipe_from


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep sums in one order, and leave torch as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def double() -> Iterator[None]:
    """Compute in float64, whose rounding stays far below any tolerance on every processor.

    In float32 a rectifier whose input is nearly 0 lets a sum's last bits decide whether a gradient passes, and two
    right programs drift apart by 1e-3 within 50 steps.
    """
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def make_recipe() -> Callable[..., ResNetRecipe]:
    """Return a maker of recipes: an eighth of ResNet-18's width, three epochs, whatever else is given."""

    def make(*, augment: Any = "crop-flip", model: Any = (), optimizer: Any = (), **settings: Any) -> ResNetRecipe:
        recipe = recipe_from(
            {
                "name": "small",
                "engine": "torch-resnet",
                "data": {"name": "made", "augment": augment},
                "model": {"name": "resnet18", "width": 0.125} | dict(model),
                "optimizer": {"name": "sgd", "lr": 0.05} | dict(optimizer),
                "epochs": 3,
                "batch_size": 16,
            }
            | settings
        )
        assert isinstance(recipe, ResNetRecipe)
        return recipe

    return make


@pytest.fixture
def make_data() -> Callable[..., TrialData]:
    """Return a maker of data: four classes told apart by the place of a bright square."""

    def make(count: int = 40, side: int = 32, channels: int = 3) -> TrialData:
        def images(seed: int, number: int) -> Images:
            random = np.random.default_rng(seed)
            labels = random.integers(0, 4, number)
            pixels = random.integers(0, 120, (number, side, side, channels))
            half = side // 2
            for image, label in zip(pixels, labels, strict=True):
                row, column = divmod(int(label), 2)
                image[row * half : (row + 1) * half, column * half : (column + 1) * half] += 100
            return Images(pixels.astype(np.uint8), labels.astype(np.int64))

        train = images(0, count)
        mean = train.pixels.mean((0, 1, 2)).astype(np.float32)
        std = train.pixels.std((0, 1, 2)).astype(np.float32)
        return TrialData(train, images(1, 24), images(2, 24), mean, std, ("a", "b", "c", "d"))

    return make
