"""Networks of every kind that a trial can leave, without training them."""

from pathlib import Path

import numpy as np
import pytest

from eailab.engines.base import Expected
from eailab.engines.numpy_mlp.network import Design
from eailab.inference.predict import TrainedNetwork
from eailab.recipe.load import Override, load
from eailab.recipe.schema import MlpRecipe
from eailab.runs.trial_folder import TrialFolder


def parameters(recipe, inputs, classes):
    """Return the names and shapes of the arrays that the recipe's engine leaves."""
    if isinstance(recipe, MlpRecipe):
        design = Design(recipe.model, inputs, classes)
        parts = {**design.trained.parts, **design.running.parts}
        return {name: shape[::-1] for name, (_, shape) in parts.items()}
    from eailab.engines.torch_resnet import models

    return {name: tuple(array.shape) for name, array in models.ResNet(recipe.model, classes).state_dict().items()}


@pytest.fixture
def network(tmp_path):
    """Make a network of a recipe whose weights, shifts and running statistics are all drawn, none left at 0 or 1."""

    def make(name, image, classes=10, **settings):
        recipe = load(name, [Override(key.replace("__", "."), value, "-o") for key, value in settings.items()]).recipe
        random = np.random.default_rng(1)
        weights = {}
        for part, shape in parameters(recipe, int(np.prod(image)), classes).items():
            if part.endswith("num_batches_tracked"):
                weights[part] = np.array(7, np.int64)
            elif len(shape) > 1:
                weights[part] = random.standard_normal(shape, np.float32) * np.float32(
                    np.sqrt(2.0 / np.prod(shape[1:]))
                )
            else:
                weights[part] = random.uniform(0.5, 1.5, shape).astype(np.float32)
        scale = random.uniform(50.0, 150.0, (2, image[2])).astype(np.float32)
        expected = Expected(image, scale[0], scale[1], tuple(f"class {number}" for number in range(classes)))
        return TrainedNetwork(TrialFolder(Path(tmp_path / ("0" * 20))), recipe, 3, "d" * 64, weights, expected)

    return make


@pytest.fixture
def pixels():
    """Draw images `[count, H, W, C]`."""

    def draw(image, count):
        return np.random.default_rng(2).integers(0, 256, (count, *image), dtype=np.uint8)

    return draw
