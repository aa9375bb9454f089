"""Apply a trained network to images in 32 bits, without the engine that trained it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eailab.data.dataset import Pixels
from eailab.engines.base import Arrays, Expected
from eailab.engines.torch_resnet import augment, models
from eailab.recipe.schema import ResNetRecipe

AT_ONCE = 64
"""Images that are classified at once."""


class Classifier(nn.Module):
    """A trained network with all that evaluation does to an image before: whole pixel values in, logits out.

    Args:
        recipe: Of the trial that left the weights.
        weights: By torchvision's names, as `ResNetEngine.weights` gives them.
        expected: What the trial was trained on.
    """

    mean: Tensor
    """`[C, 1, 1]`, in pixel values."""
    std: Tensor
    """`[C, 1, 1]`, likewise."""

    def __init__(self, recipe: ResNetRecipe, weights: Arrays, expected: Expected) -> None:
        super().__init__()
        self.model = models.build(recipe.model, len(expected.classes), block=0)
        self.model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        self.register_buffer("mean", torch.tensor(expected.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(expected.std)[:, None, None])
        height, width, _ = expected.image
        self.way = augment.build(recipe.data.augment, height, width, self.mean)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `[N, K]` of images `[N, H, W, C]`, uint8."""
        seen = (self.way.evaluate(images.permute(0, 3, 1, 2)) - self.mean) / self.std
        return self.model(seen.expand(-1, 3, -1, -1))  # type: ignore[no-any-return]


def shapes(recipe: ResNetRecipe, expected: Expected) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of the network's weights, by name."""
    with torch.device("meta"):  # no memory is taken
        network = models.ResNet(recipe.model, len(expected.classes))
    return {name: tuple(values.shape) for name, values in network.state_dict().items()}


def logits(recipe: ResNetRecipe, weights: Arrays, expected: Expected, pixels: Pixels) -> NDArray[np.float32]:
    """Return the scores of each class, `[N, K]`, before the softmax, computed on the CPU.

    Args:
        recipe: As for `Classifier`.
        weights: Likewise.
        expected: Likewise.
        pixels: Images `[N, H, W, C]`.
    """
    classifier = Classifier(recipe, weights, expected)
    with torch.inference_mode():
        scores: NDArray[np.float32] = torch.cat(
            [classifier(torch.tensor(pixels[start : start + AT_ONCE])) for start in range(0, len(pixels), AT_ONCE)]
        ).numpy()
    return scores
