"""Count the trained parameters of a recipe's network, without making the network or importing its library."""

from collections.abc import Iterator
from itertools import pairwise
from math import prod

from eailab.engines.geometry import BLOCKS, STEMS, scaled_channels
from eailab.recipe.schema import Mlp, Recipe, ResNet


def parameters(recipe: Recipe, image: tuple[int, int, int], classes: int) -> int:
    """Return the number of trained parameters.

    Args:
        recipe: Names the model.
        image: Rows, columns and channels.
        classes: Outputs of the model.

    Examples:
        >>> from eailab.recipe.load import load
        >>> parameters(load("mnist-mlp").recipe, (28, 28, 1), 10)
        136074
    """
    model = recipe.model
    if isinstance(model, Mlp):
        widths = [prod(image), *model.hidden, classes]
        scales = 2 * sum(model.hidden) if model.norm == "batch" else 0
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths)) + scales
    return sum(kernel * inputs * outputs + 2 * outputs for kernel, inputs, outputs in _convolutions(model)) + (
        (scaled_channels(model.width)[-1] * (4 if model.name == "resnet50" else 1) + 1) * classes
    )


def _convolutions(model: ResNet) -> Iterator[tuple[int, int, int]]:
    """Yield the taps, inputs and outputs of each convolution, which a normalisation follows."""
    inputs, *_ = channels = scaled_channels(model.width)
    yield STEMS[model.stem].kernel ** 2, 3, inputs
    for stage, (width, blocks) in enumerate(zip(channels, BLOCKS[model.name], strict=True)):
        for block in range(blocks):
            if model.name == "resnet50":
                outputs = 4 * width
                yield from ((1, inputs, width), (9, width, width), (1, width, outputs))
            else:
                outputs = width
                yield from ((9, inputs, width), (9, width, width))
            if inputs != outputs or (stage > 0 and block == 0):  # the projection beside the block
                yield 1, inputs, outputs
            inputs = outputs
