"""Make the recipe of a training function from what a person asks for in Python."""

from collections.abc import Mapping, Sequence
from typing import Any

from eailab.engines.function.lookup import TrainingFunction, announce, is_importable, settings_of
from eailab.errors import RecipeError, UsageError
from eailab.recipe.base import Recipe
from eailab.recipe.describe import Located, report
from eailab.recipe.validate import check
from eailab.studies.factor import FactorLevels


def recipe_of_function(
    function: TrainingFunction,
    asked: FactorLevels | None,
    settings: Mapping[str, Any],
    metric: str | Sequence[str] | None,
    fields: Mapping[str, Any],
    jobs: int | None,
) -> Recipe:
    """Return the recipe of a training function.

    Args:
        function: What is called.
        asked: The factor and its levels; None where nothing varies.
        settings: Other parameters; fields of the recipe that begin with `study.`, and `threads`.
        metric: Names of what it reports.
        fields: Other fields of the recipe.
        jobs: Processes that are to call it.

    Raises:
        UsageError: All that is wrong with them.
    """
    # Refuse what no recipe can be made of.
    if not metric:
        raise UsageError("metric is missing: name what the function returns or yields, as in metric='val_acc'.")
    reference = announce(function)
    for one in (value for level in (asked.levels if asked else ()) for value in level):
        if not isinstance(one, str | bool | int | float):
            raise UsageError(
                f"the level {one!r} is not text, a number, True or False: give a name for it, such as "
                f"{type(one).__name__.lower()!r}, and let {function.__name__} turn that into what it needs."
            )
    if jobs != 1 and not is_importable(function):
        raise UsageError(
            f"jobs={jobs} trains in other processes, which cannot import {function.__name__} from "
            "a notebook, a script or another function: put it into a module, or leave jobs out."
        )
    # Take the settings from the levels, the caller, and the function's own defaults.
    own = {name: value for name, value in settings.items() if not name.startswith("study.") and name != "threads"}
    level = dict(zip(asked.words, asked.baseline or asked.levels[0], strict=True)) if asked else {}
    defaults = settings_of(function, {**level, **own}, unseeded=fields["unseeded"])
    if (
        asked and asked.baseline is None and len(asked.words) == 1
    ):  # the function's own default, where it is among the levels
        usual = settings_of(function, own, unseeded=True, is_whole=False).get(asked.words[0])
        if (usual,) in asked.levels:
            defaults[asked.words[0]] = usual
    # Check the recipe as one from a file is checked.
    value: dict[str, Any] = {
        "name": function.__name__,
        "engine": "function",
        "function": reference,
        "settings": defaults,
        "metric": metric if isinstance(metric, str) else list(metric),
        **fields,
        **{name: settings[name] for name in ("threads",) if name in settings},
        "study": {name.removeprefix("study."): value for name, value in settings.items() if name.startswith("study.")},
    }
    recipe, problems = check(value)
    if recipe is None:
        raise RecipeError(report([Located(one) for one in problems], "", ""))
    return recipe
