"""Make one checked recipe of a recipe's file and the command line's overrides, with the origin of each value."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eailab import files
from eailab.errors import Correction, RecipeError
from eailab.files import expanded
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import flatten, write
from eailab.recipe.catalogue import shipped, shipped_studies
from eailab.recipe.describe import KeyPath, Located, Problem, closest, nearest, report
from eailab.recipe.factors import own_setting, path_of
from eailab.recipe.networks import ARGS, names_network
from eailab.recipe.override import Switch, change_all, name_after, names_variant, sentence, tells_something
from eailab.recipe.validate import check, value_at
from eailab.recipe.yaml12 import YamlDocument, parse_value, read

OPTION = "-o"
"""Origin of overrides that give way to flags."""
SETTINGS = "settings"
"""Origin of overrides that Python's `settings` give."""
DEFAULT = "default"
"""Origin of a value that nobody wrote."""


@dataclass(frozen=True)
class Override:
    """One setting that the command line gives."""

    path: str
    """A factor's name or a dotted path."""
    value: object
    """As read from YAML; see `parse_value`."""
    origin: str
    """The option it came with: "-o", a flag such as "--lr", or an argument of Python such as "settings"."""

    def __str__(self) -> str:
        """Return the option, or the argument of Python, as it may be typed."""
        if self.origin == SETTINGS:
            return f"settings={ {self.path: self.value}!r}"
        if self.origin.isidentifier():  # another argument of Python
            return f"{self.origin}={self.value!r}"
        value = write(self.value)
        return f"{OPTION} {self.path}={value}" if self.origin == OPTION else f"{self.origin} {value}"


@dataclass(frozen=True)
class Loaded:
    """A checked recipe and where it comes from."""

    recipe: Recipe
    source: str
    """The file, as a person would name it."""
    origins: dict[str, str]
    """Where each value comes from, by dotted path: "digits-mlp.yaml:7", "default", "-o" or a flag such as "--lr"."""
    notes: tuple[str, ...]
    """What changes of variant on the command line brought and dropped, one sentence each."""


def load(recipe: str | Path, overrides: Sequence[Override] = ()) -> Loaded:
    """Read and check a recipe, then change it by the overrides: flags before `-o`, else the last one counts.

    A variant's name is changed before the variant's settings are, whatever their order.

    Args:
        recipe: A shipped recipe's name, or a path (which has a separator, ends in .yaml or .yml, or exists).
        overrides: In the order of the command line.

    Raises:
        RecipeError: No such recipe, or one with problems: all of them, each with its place.
    """
    file, source = _find(recipe)
    try:
        text = files.read(file, files.RECIPE)
    except FileNotFoundError as error:
        raise RecipeError(f"{source}: no such file{_nearest_file(file)}") from error
    document = read(text, source)
    if isinstance(document.value, dict) and "factors" in document.value:
        raise _not_a_recipe(source)
    base = _checked(document)
    origins = {path: _origin(document, path) for path in flatten(base)}
    if not overrides:
        return Loaded(base, source, origins, ())
    return _overridden(document, base, origins, overrides)


def parse_recipe(text: bytes, source: str) -> Recipe:
    """Return the recipe that the content of a file is; messages call it `source`.

    Raises:
        RecipeError: It is not a recipe: all that is wrong with it, each with its place.
    """
    return _checked(read(text, source))


def parse_override(text: str) -> Override:
    """Read the `key=value` of `-o`.

    Raises:
        RecipeError: No key, no "=", or a value that is not YAML.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        key, colon, given = text.partition(":")
        right = f"{key.strip()}={given.strip()}" if colon and key.strip() and given.strip() else "epochs=3"
        raise RecipeError(f"{OPTION} {text}: write {OPTION} key=value without spaces, such as {OPTION} {right}.")
    return Override(path.strip(), parse_given(value, f"{OPTION} {text}"), OPTION)


def parse_given(text: str, source: str) -> object:
    """Read a value of the command line, see `parse_value`; messages call it `source`, such as `--lr 1e-3`.

    Raises:
        RecipeError: It is not YAML.
    """
    try:
        return parse_value(text)
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from error


def shipped_file(name: str) -> Path:
    """Return the file of a shipped recipe.

    Raises:
        RecipeError: None has the name; the message gives the nearest.
    """
    known = shipped()
    if name in known:
        return known[name]
    if name in shipped_studies():
        raise _not_a_recipe(name)
    hint = nearest(name, known) or f"; the shipped ones are {', '.join(known)}."
    raise RecipeError(
        f"there is no recipe {name!r}{hint} "
        "`eailab recipes list` describes them; a file needs its path, such as ./mine.yaml."
    )


def _not_a_recipe(study: str) -> RecipeError:
    return RecipeError(
        f"{study} declares a study and is not a recipe: run it with `eailab ablate --study {study}`.",
        Correction("ablate", arguments=(), without=("--recipe",), options={"--study": study}),
    )


def _find(recipe: str | Path) -> tuple[Path, str]:
    """Return a recipe's file, and what messages call it."""
    if isinstance(recipe, str) and recipe in shipped():
        file = shipped()[recipe]
        return file, file.name
    file = expanded(recipe)
    text = str(recipe)
    is_path = isinstance(recipe, Path) or os.sep in text or "/" in text or file.suffix.lower() in {".yaml", ".yml"}
    if is_path or file.is_file():
        return file, text
    return shipped_file(text), text


def _nearest_file(file: Path) -> str:
    """Say which recipe may have been meant by a path that leads nowhere."""
    near = [one for suffix in (".yaml", ".yml") for one in sorted(file.parent.glob(f"*{suffix}"))]
    close = closest(file.name, [one.name for one in near])
    if close is not None:
        return f"; did you mean {file.parent / close}?"
    if (shipped_one := closest(file.stem, shipped())) is not None:
        return f"; did you mean {shipped_one}, which comes with eailab and is named without a path?"
    return ": `eailab recipes copy digits-mlp` makes one to start from."


def _checked(document: YamlDocument) -> Recipe:
    """Return a document's recipe, or raise with the problems of the YAML and of the settings together."""
    recipe, problems = check(document.value)
    spoilt = [one.path for one in document.problems]
    problems = [one for one in problems if not any(one.path[: len(path)] == path for path in spoilt)]
    problems = [*document.problems, *problems]
    if recipe is None or problems:
        raise document.error(problems)
    return recipe


def _origin(document: YamlDocument, path: str) -> str:
    """Return the line that writes a setting, or "default"."""
    steps: KeyPath = tuple(path.split("."))
    name_alone = steps[-1] == "name" and isinstance(value_at(document.value, steps[:-1]), str)  # augment: cutout
    written = steps in document.marks or name_alone
    return f"{document.source}:{document.mark(steps).line}" if written else DEFAULT


def _overridden(document: YamlDocument, base: Recipe, origins: dict[str, str], overrides: Sequence[Override]) -> Loaded:
    """Return a checked recipe changed by overrides."""
    chosen = _chosen(overrides, base)
    plain, switches = change_all(base, {path: override.value for path, override in chosen.items()})
    for path, switch in switches.items():
        origins = _origins_after(origins, path, chosen[path], switch)
    recipe, problems = check(plain)
    if recipe is None:
        blamed = [_blame(one, chosen, document) for one in problems]
        raise RecipeError(report(blamed, document.source, document.text))
    if "name" not in chosen and (name := name_after(base.name, base, recipe)) != base.name:
        recipe = recipe.model_copy(update={"name": name})
        origins = {**origins, "name": origins["data.name" if "data.name" in chosen else "model.name"]}
    return Loaded(
        recipe,
        document.source,
        {path: origins.get(path, DEFAULT) for path in flatten(recipe)},
        tuple(filter(tells_something, (sentence(one, recipe) for one in switches.values() if one is not None))),
    )


def _chosen(overrides: Sequence[Override], base: Recipe) -> dict[str, Override]:
    """Return the override of each setting that counts, by dotted path, names of variants first."""
    chosen: dict[str, Override] = {}
    unknown = []
    for one in sorted(overrides, key=lambda one: one.origin != OPTION):
        try:
            own = own_setting(one.path, base) or (one.path if _is_of_a_network(one.path, overrides) else None)
            chosen[own or path_of(one.path, base.engine, False, base)] = one
        except RecipeError as error:
            unknown.append(f"{one}: {error}")
    if unknown:
        raise RecipeError("\n".join(unknown))
    return dict(sorted(chosen.items(), key=lambda item: not names_variant(base.engine, item[0])))


def _is_of_a_network(path: str, overrides: Sequence[Override]) -> bool:
    """Return whether a path is an argument of a network that other overrides name, as `net.py:Net`."""
    return path.startswith(ARGS) and any(
        one.path in ("model", "model.name") and isinstance(one.value, str) and names_network(one.value)
        for one in overrides
    )


def _origins_after(origins: dict[str, str], path: str, override: Override, switch: Switch | None) -> dict[str, str]:
    """Return the origins of values after one override."""
    if switch is None:
        return {**origins, (f"{path}.name" if f"{path}.name" in origins else path): override.origin}
    inside = f"{switch.part}."
    stay = {
        one: origin
        for one, origin in origins.items()
        if not one.startswith(inside) or one.removeprefix(inside) in switch.kept
    }
    return {**stay, **{f"{inside}{key}": override.origin for key in {"name", *switch.given}}}


def _blame(problem: Problem, chosen: dict[str, Override], document: YamlDocument) -> Located:
    """Return a problem with the override that brought it; the file alone had none."""
    for path, override in chosen.items():
        steps = (
            tuple(path.removesuffix(".name").split(".")) if isinstance(override.value, dict) else tuple(path.split("."))
        )
        if problem.path[: len(steps)] == steps or (*problem.path, "name") == steps:
            return Located(problem, option=str(override))
    near = [one for path, one in chosen.items() if path.partition(".")[0] == problem.path[0]]
    return replace(document.locate(problem), option=" and ".join(str(one) for one in near or chosen.values()))
