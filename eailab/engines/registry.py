"""List the engines: one line for each, and the only place that knows which there are."""

from eailab.data.dataset import TrialData
from eailab.engines.base import DeviceName, Engine
from eailab.engines.numpy_mlp.spec import NUMPY_MLP
from eailab.engines.spec import EngineSpec
from eailab.engines.torch_resnet.spec import TORCH_RESNET
from eailab.errors import RecipeError
from eailab.metrics import Metric
from eailab.recipe.describe import found, nearest
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


def metrics_of(recipe: BaseRecipe) -> tuple[Metric, ...]:
    """Return what trials of a recipe record, in the order of their records."""
    return engine_of(recipe).metrics(recipe)


def metric_of(recipe: BaseRecipe, name: str) -> Metric:
    """Return the metric of a name that studies of a recipe may rest on.

    Raises:
        RecipeError: The recipe's engine does not declare it.
    """
    known = {metric.name: metric for metric in metrics_of(recipe) if metric.is_judged}
    if name in known:
        return known[name]
    asked = name.lower().replace("-", "_")
    meant = next((metric.name for metric in known.values() if asked in metric.aliases), name)
    raise RecipeError(
        f"the engine {recipe.engine} does not record the metric {found(name)}: "
        f"choose one of {', '.join(known)}{nearest(meant, known)}"
    )


def headline_of(recipe: BaseRecipe) -> Metric:
    """Return what a trial is followed by: what studies of its engine rest on by default, or else its own study."""
    default = type(recipe).model_fields["study"].default
    declared = {metric.name: metric for metric in metrics_of(recipe)}
    return declared.get(default.metric) or metric_of(recipe, recipe.study.metric)
