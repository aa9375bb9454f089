"""List the engines: one line for each, and the only place that knows which there are."""

from eailab.data.dataset import TrialData
from eailab.engines.base import DeviceName, Engine
from eailab.engines.numpy_mlp.spec import NUMPY_MLP
from eailab.engines.spec import EngineSpec
from eailab.engines.torch_resnet.spec import TORCH_RESNET
from eailab.errors import RecipeError
from eailab.metrics import Metric, judged
from eailab.recipe.schema import BaseRecipe

ENGINES: dict[str, EngineSpec] = {spec.name: spec for spec in (NUMPY_MLP, TORCH_RESNET)}


def engine_named(name: str) -> EngineSpec:
    """Return the engine of a name.

    Raises:
        RecipeError: There is none.
    """
    if name not in ENGINES:
        raise RecipeError(f"there is no engine {name}: choose one of {', '.join(ENGINES)}.")
    return ENGINES[name]


def engine_of(recipe: BaseRecipe) -> EngineSpec:
    """Return the engine of a recipe.

    Raises:
        RecipeError: There is no such engine.
    """
    return engine_named(recipe.engine)


def build(recipe: BaseRecipe, data: TrialData, block: int, device: DeviceName = "auto") -> Engine:
    """Return the engine of a recipe, initialised for one block; see `EngineSpec.build`."""
    return engine_of(recipe).build(recipe, data, block, device)


def metric_of(recipe: BaseRecipe, name: str) -> Metric:
    """Return the metric of a name that studies of a recipe may rest on.

    Raises:
        RecipeError: The recipe's engine does not declare it.
    """
    return judged(engine_of(recipe).metrics, name, recipe.engine)
