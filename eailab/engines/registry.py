"""List the engines: one line for each, and the only place that knows which there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eailab.engines.base import DeviceName, Engine, Setup
from eailab.engines.function.spec import FUNCTION
from eailab.engines.imported import IMPORTED
from eailab.engines.numpy_mlp.spec import NUMPY_MLP
from eailab.engines.program.spec import PROGRAM
from eailab.engines.spec import EngineSpec, ImageClassification
from eailab.engines.torch_resnet.spec import TORCH_RESNET
from eailab.errors import RecipeError
from eailab.metrics import Metric
from eailab.recipe.base import ImageRecipe, Recipe
from eailab.recipe.describe import found, nearest
from eailab.recipe.schema import RECIPES

if TYPE_CHECKING:
    from eailab.data.dataset import TrialData

ENGINES: dict[str, EngineSpec] = {spec.name: spec for spec in (NUMPY_MLP, TORCH_RESNET, PROGRAM, FUNCTION, IMPORTED)}
"""Those that come with eailab, and those that `register` has added."""


def register(spec: EngineSpec) -> None:
    """Add an engine that does not come with eailab, such as a plug-in's or a test's, to this process.

    A trial's processes import the module that has the class of its recipe, so the call belongs there.
    """
    if (spec.images is not None) != issubclass(spec.recipe, ImageRecipe):
        raise TypeError(f"the recipes of {spec.name} are of images, or its EngineSpec.images is set: both, or neither")
    ENGINES[spec.name] = spec
    RECIPES[spec.name] = spec.recipe


def engine_of(recipe: Recipe) -> EngineSpec:
    """Return the engine of a recipe.

    Raises:
        RecipeError: There is no such engine.
    """
    if recipe.engine not in ENGINES:
        raise RecipeError(f"there is no engine {recipe.engine}: choose one of {', '.join(ENGINES)}.")
    return ENGINES[recipe.engine]


def images_of(recipe: ImageRecipe) -> ImageClassification:
    """Return what the engine of a recipe declares of its images."""
    images = engine_of(recipe).images
    assert images is not None  # noqa: S101 - `register` holds the engine to it
    return images


def build(
    recipe: Recipe, data: TrialData | None, block: int, device: DeviceName = "auto", folder: Path = Path()
) -> Engine:
    """Return the engine of a recipe, initialised for one block; see `Setup` and `EngineSpec.build`."""
    engine = engine_of(recipe)
    if engine.images is not None and data is not None:
        engine.images.check_fit(recipe, data.train.pixels.shape)
    return engine.build(recipe, Setup(block, device, data, folder))


def metrics_of(recipe: Recipe) -> tuple[Metric, ...]:
    """Return what trials of a recipe record, in the order of their records."""
    return engine_of(recipe).metrics(recipe)


def metric_of(recipe: Recipe, name: str) -> Metric:
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


def headline_of(recipe: Recipe) -> Metric:
    """Return what a trial is followed by: what studies of its engine rest on by default, or else its own study."""
    default = type(recipe).model_fields["study"].default
    declared = {metric.name: metric for metric in metrics_of(recipe)}
    return declared.get(default.metric) or metric_of(recipe, recipe.study.metric)
