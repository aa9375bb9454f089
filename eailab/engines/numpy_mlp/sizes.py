"""Count an MLP's parameters and check its batches, from its recipe alone: numba is not imported."""

from itertools import pairwise
from math import prod

from eailab.engines.spec import check_batches
from eailab.recipe.schema import MlpRecipe


def check_fit(recipe: MlpRecipe, images: tuple[int, ...]) -> None:
    """Refuse batches that the training split cannot fill; see `EngineSpec.check_fit`."""

    def is_one_alone(size: int) -> bool:  # the engine passes over a last batch of one
        return recipe.model.norm == "batch" and size == 1

    check_batches(recipe.batch_size, images[0], is_one_alone, "model.norm none")


def parameters(recipe: MlpRecipe, image: tuple[int, int, int], classes: int) -> int:
    """Count the trained parameters.

    Examples:
        >>> from eailab.recipe.load import load
        >>> parameters(load("mnist-mlp").recipe, (28, 28, 1), 10)
        136074
    """
    model = recipe.model
    widths = [prod(image), *model.hidden, classes]
    scales = 2 * sum(model.hidden) if model.norm == "batch" else 0
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths)) + scales
