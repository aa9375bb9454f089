"""A trained network on images, without the engine that trained it."""

import numpy as np

from eailab.engines.base import Arrays, View
from eailab.engines.numpy_mlp.layout import Floats, Layout
from eailab.engines.numpy_mlp.network import Design, Network
from eailab.engines.numpy_mlp.source import Source
from eailab.recipe.schema import MlpRecipe


def logits(recipe: MlpRecipe, weights: Arrays, view: View) -> Floats:
    """Return the scores of each class, `[N, K]`, before the softmax.

    Args:
        recipe: Of the trial that left the weights.
        weights: As `MlpEngine.weights` names them.
        view: The images, and the scale that the network was trained with.
    """
    source = Source(view.pixels, view.mean, view.std, np.float32)
    design = Design(recipe.model, source.pixels.shape[1], len(view.classes))
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
