"""Describe trials that eailab did not run, so that their studies are read and reported like all others."""

from pathlib import Path
from typing import NoReturn

from eailab.engines.base import Setup
from eailab.engines.spec import EngineSpec
from eailab.errors import RecipeError
from eailab.metrics import Metric
from eailab.recipe.own import ImportedRecipe
from eailab.translation import Text, tr


def _metrics(recipe: ImportedRecipe) -> tuple[Metric, ...]:
    from eailab.engines.named_metrics import declare

    return (declare(recipe.metric, recipe.goal, recipe.unit),)


def _refuse(*_: object) -> NoReturn:
    raise RecipeError(
        "imported trials cannot be trained: eailab did not run them and does not know how. Run their program with "
        "`eailab ablate --run`, which repeats it in every block."
    )


def _inputs(recipe: ImportedRecipe, data_dir: Path | None, runs_dir: Path) -> str:
    _refuse(recipe, data_dir, runs_dir)


def _build(recipe: ImportedRecipe, setup: Setup) -> NoReturn:
    _refuse(recipe, setup)


def _counted(_: ImportedRecipe) -> Text:
    return tr("the value in the source")


IMPORTED = EngineSpec(
    "imported", version=1, recipe=ImportedRecipe, metrics=_metrics, build=_build, inputs=_inputs, counted=_counted
)
