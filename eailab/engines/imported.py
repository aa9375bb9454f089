"""Describe trials that eailab did not run, so that their studies are read and reported like all others."""

from typing import NoReturn

from eailab.engines.named_metrics import declare
from eailab.engines.spec import EngineSpec
from eailab.errors import RecipeError
from eailab.metrics import Metric
from eailab.recipe.own import ImportedRecipe
from eailab.translation import tr


def _metrics(recipe: ImportedRecipe) -> tuple[Metric, ...]:
    return (declare(recipe.metric, recipe.goal, recipe.unit),)


def _refuse(*_: object) -> NoReturn:
    raise RecipeError(
        "imported trials cannot be trained: eailab did not run them and does not know how. Run their program with "
        "`eailab ablate --run`, which repeats it in every block."
    )


IMPORTED = EngineSpec(
    "imported",
    version=1,
    recipe=ImportedRecipe,
    metrics=_metrics,
    build=_refuse,
    inputs=_refuse,
    counted=lambda _: tr("the value in the source"),
)
