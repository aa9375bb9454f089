"""Apply a trained network to images, without the engine that trained it."""

from math import prod

import numpy as np

from eailab.data.dataset import Pixels
from eailab.engines.base import Arrays, Expected
from eailab.engines.numpy_mlp.flat_params import Floats, Layout
from eailab.engines.numpy_mlp.input_layer import Source
from eailab.engines.numpy_mlp.network import Design, Network
from eailab.recipe.schema import MlpRecipe


def shapes(recipe: MlpRecipe, expected: Expected) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of the network's weights, by name."""
    design = Design(recipe.model, prod(expected.image), len(expected.classes))
    parts = {**design.trained.parts, **design.running.parts}
    return {name: shape[::-1] for name, (_, shape) in parts.items()}


def logits(recipe: MlpRecipe, weights: Arrays, expected: Expected, pixels: Pixels) -> Floats:
    """Return the scores of each class, `[N, K]`, before the softmax.

    Args:
        recipe: Of the trial that left the weights.
        weights: As `MlpEngine.weights` names them.
        expected: What the trial was trained on.
        pixels: Such images, `[N, H, W, C]`.
    """
    source = Source(pixels, expected.mean, expected.std, np.float32)
    design = Design(recipe.model, source.pixels.shape[1], len(expected.classes))
    trained, running = _filled(design.trained, weights), _filled(design.running, weights)
    network = Network(design, trained, running, design.trained.zeros(np.float32))
    work = network.work(source, len(source), training=False)
    work.take(np.arange(len(source)))
    work.forward()
    return work.logits.value.copy()


def _filled(layout: Layout, weights: Arrays) -> Floats:
    flat = layout.zeros(np.float32)
    for name in layout.parts:
        layout.view(flat, name)[...] = weights[name].T
    return flat
