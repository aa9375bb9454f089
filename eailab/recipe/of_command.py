"""Make the recipe of a training program from a command, as `--run` gives it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, cast

from eailab.errors import RecipeError
from eailab.recipe.describe import Located, Problem, report
from eailab.recipe.factors import path_of
from eailab.recipe.load import Override
from eailab.recipe.override import put
from eailab.recipe.own import ProgramRecipe
from eailab.recipe.schema import settings
from eailab.recipe.template import PLACES, Template, Value, nested, plain
from eailab.recipe.validate import check

ENGINE = "program"
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]{1,3})?")
_SCRIPT = re.compile(r"(?:[\w.-]+/)*([\w-]+)\.(?:py|sh|jl|r|lua|pl|rb|js)$", re.IGNORECASE)


def read_level(text: str) -> Value:
    """Return the value of a setting that a program is given: a number where the text is one, else the text.

    >>> [read_level(text) for text in ("1e-3", "16", "007", "True", "", "--mixup 0.2")]
    [0.001, 16, '007', 'True', '', '--mixup 0.2']
    """
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and abs(number := float(text)) != float("inf"):
        return number
    return text


def recipe_of_command(
    run: str, fields: Mapping[str, object], varied: Mapping[str, Value], overrides: Sequence[Override] = ()
) -> ProgramRecipe:
    """Return the recipe of a command.

    Args:
        run: The command; see `template.Template`.
        fields: Other fields of the recipe.
        varied: The baseline's value of each factor, by name; one that is a field of the recipe is not a setting.
        overrides: Of `-o` and flags: settings by their names, and fields.

    Raises:
        RecipeError: All that is wrong with them.
    """
    template = _template(run, bool(fields.get("shell")))
    placeholders = {plain(name) for name in template.placeholders}
    known = settings(ENGINE)
    own: dict[str, Any] = {name: one for name, one in varied.items() if _is_setting(name, placeholders, known)}
    value: dict[str, Any] = {"name": name_of_command(template), "engine": ENGINE, "run": run, **fields}
    origins: dict[tuple[str, ...], str] = {("run",): "--run"}
    for one in overrides:
        word = one.path.removeprefix("settings.")
        is_in_group = word != one.path and "." in word
        if is_in_group or _is_setting(word, placeholders, known):
            own[name := _spelt(word, template)] = one.value
            path = ("settings", *name.split("."))
        else:
            path = tuple(path_of(one.path, ENGINE, factors_only=False).split("."))
            value = put(value, path, one.value)
        origins[path] = str(one)
    try:
        value["settings"] = nested(own)
    except ValueError as error:
        raise RecipeError(f"--run: {error}.") from error
    recipe, problems = check(value)
    if recipe is None:
        raise RecipeError(report([_located(one, origins) for one in problems], "", ""))
    return cast("ProgramRecipe", recipe)


def name_of_command(template: Template) -> str:
    """Return what a study of a command is called: the script that it runs, without folder and suffix, or the program.

    >>> name_of_command(Template("uv run src/train.py --lr {lr}"))
    'train'
    """
    for word in template.words:
        if found := _SCRIPT.fullmatch(word):
            return found[1]
    return PurePath(template.program).name[:200] or ENGINE


def _template(run: str, shell: bool) -> Template:
    try:
        return Template(run, shell)
    except ValueError as error:
        raise RecipeError(f"--run: {error}.") from error


def _is_setting(name: str, placeholders: set[str], known: Mapping[str, object]) -> bool:
    if plain(name) in placeholders - set(PLACES):
        return True
    fields = {path.partition(".")[0] for path in known}
    return plain(name) not in known and plain(name).partition(".")[0] not in fields


def _spelt(name: str, template: Template) -> str:
    """Return a setting's name as the command spells it."""
    return next((one for one in template.placeholders if plain(one) == plain(name)), name)


def _located(problem: Problem, origins: Mapping[tuple[str, ...], str]) -> Located:
    steps = tuple(map(str, problem.path))
    for length in range(len(steps), 0, -1):
        if steps[:length] in origins:
            return Located(Problem((), problem.message), option=origins[steps[:length]])
    return Located(problem)
