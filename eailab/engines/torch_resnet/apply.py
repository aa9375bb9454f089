"""A trained network on images, without the engine that trained it; always on the CPU and in 32 bits."""

import numpy as np
import torch
from numpy.typing import NDArray

from eailab.engines.base import Arrays, View
from eailab.engines.torch_resnet import augment, models
from eailab.recipe.schema import ResNetRecipe


def logits(recipe: ResNetRecipe, weights: Arrays, view: View) -> NDArray[np.float32]:
    """Return the scores of each class, `[N, K]`, before the softmax.

    Args:
        recipe: Of the trial that left the weights.
        weights: By torchvision's names, as `ResNetEngine.weights` gives them.
        view: The images, and the scale that the network was trained with.
    """
    cpu = torch.device("cpu")
    model = models.build(recipe.model, len(view.classes), block=0)
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    mean, std = (torch.tensor(values)[:, None, None] for values in (view.mean, view.std))
    height, width = view.pixels.shape[1:3]
    way = augment.build(recipe.data.augment, height, width, mean)
    with torch.inference_mode():
        seen = way.evaluate(augment.PixelTable(view.pixels, cpu), torch.arange(len(view.pixels)))
        scores: NDArray[np.float32] = model.eval()(((seen - mean) / std).expand(-1, 3, -1, -1)).numpy()
    return scores
