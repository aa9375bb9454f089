"""A recipe becomes another by a change of one setting: what that drops and brings, and how settings are named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eailab.errors import RecipeError
from eailab.recipe.catalogue import names
from eailab.recipe.checking import check, value_at
from eailab.recipe.fields import settings, variants
from eailab.recipe.identity import flatten
from eailab.recipe.problems import Located, Problem, report
from eailab.recipe.schema import ENGINES, Recipe
from eailab.recipe.wording import nearest
from eailab.recipe.yaml12 import write

KEPT = frozenset({"lr", "betas", "warmup_epochs", "padding"})
"""Settings that mean the same in every variant that has them, and so outlive a change of the variant's name.

`weight_decay` is none of them: it is an L2 penalty in sgd and adam and decoupled in adamw, each with its own default.
"""

SHORT = {"sched": "schedule"}
"""Further words for parts on the command line."""


@dataclass(frozen=True)
class Varied:
    """A recipe after a change."""

    recipe: Recipe
    brought: tuple[str, ...] = ()
    """What a change of variant brings and drops besides, one sentence each."""


@dataclass(frozen=True)
class Switch:
    """A part that became another variant."""

    part: str
    name: str
    dropped: Mapping[str, object]
    """The old variant's own settings."""
    kept: frozenset[str]
    """Settings that both variants have and that stay."""
    given: frozenset[str]
    """Settings that come with the name; all others have the new variant's defaults."""


def vary(recipe: Recipe, path: str, value: object) -> Varied:
    """Return a recipe with one setting changed, checked as a whole.

    A new name of an optimizer, schedule or augmentation drops the old variant's settings, except those in `KEPT` that
    both have, and takes the new one's defaults. Such a part may also be a mapping, `{name: sgd, momentum: 0.8}`.

    Args:
        recipe: Left as it is.
        path: Dotted path, as `resolve` gives it.
        value: As read from YAML.

    Raises:
        RecipeError: The value does not fit; the message lists every problem.
    """
    engine = recipe.engine
    plain, switch = change(engine, recipe.model_dump(), path, value)
    varied, problems = check(plain)
    if varied is None:
        here = tuple(path.split("."))
        said = [Problem((), one.message) if one.path in (here, (*here, "name")) else one for one in problems]
        raise RecipeError(report([Located(one, option=f"{path}={write(value)}") for one in said], "", ""))
    return Varied(varied, () if switch is None else (sentence(switch, varied),))


def change(engine: str, plain: dict[str, Any], path: str, value: object) -> tuple[dict[str, Any], Switch | None]:
    """Return a copy of a resolved recipe's mapping with one setting changed, not checked, and what switched."""
    part = path.removesuffix(".name")
    choices = variants(engine).get(part)
    if choices is None:
        return _put(plain, tuple(path.split(".")), value), None
    steps = tuple(part.split("."))
    old = value_at(plain, steps)
    given = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = given.get("name")
    if not isinstance(name, str) or name not in choices:
        return _put(plain, steps, given), None
    if choices[name] is choices[old["name"]] and not isinstance(value, Mapping):
        return _put(plain, steps, {**old, **given}), None
    kept = {key: old[key] for key in KEPT if key in old and key in choices[name].model_fields}
    dropped = {key: one for key, one in old.items() if key != "name" and key not in {**kept, **given}}
    return _put(plain, steps, {**kept, **given}), Switch(
        part, name, dropped, frozenset(kept) - frozenset(given), frozenset(given)
    )


def sentence(switch: Switch, recipe: Recipe) -> str:
    """Say what a switch changes besides the name, such as "schedule steplr brings gamma 0.1, step_size 20"."""
    now = value_at(recipe.model_dump(), tuple(switch.part.split(".")))
    brings = [
        f"{key} {write(one)}" + (f" (was {write(switch.dropped[key])})" if key in switch.dropped else "")
        for key, one in now.items()
        if key not in switch.kept | switch.given and one != switch.dropped.get(key)
    ]
    drops = [f"{key} {write(one)}" for key, one in switch.dropped.items() if key not in now]
    said = [f"{verb} {', '.join(those)}" for verb, those in (("brings", brings), ("drops", drops)) if those]
    return f"{switch.part.rpartition('.')[2]} {switch.name} {' and '.join(said) or 'brings nothing else'}"


def names_variant(engine: str, path: str) -> bool:
    """Return whether a path, as `resolve` gives it, says which variant a part is."""
    return path.removesuffix(".name") in variants(engine)


def level_of(recipe: Recipe, path: str) -> object:
    """Return the recipe's own value of a factor; of `data.augment` it is the name."""
    value = value_at(recipe.model_dump(), tuple(path.split(".")))
    return value["name"] if isinstance(value, dict) else value


def differences(a: Recipe, b: Recipe) -> dict[str, tuple[object, object]]:
    """Return the settings in which two recipes differ, by dotted path, with the value of each.

    None stands for a setting that only the other has, since it belongs to a variant; no setting of a variant can
    itself be None. `name` and `study` count like any other setting.
    """
    one, other = flatten(a), flatten(b)
    paths = [*one, *(path for path in other if path not in one)]
    return {path: (one.get(path), other.get(path)) for path in paths if one.get(path) != other.get(path)}


# --- names of factors -------------------------------------------------------------------------------------------------


def resolve(factor: str, recipe: Recipe) -> str:
    """Return the dotted path of a factor.

    Args:
        factor: A setting's own name (`batch-size`, `lr`), a part's (`optimizer`, `sched`, `augment`) for the name in
            it, or a dotted path; `-` and `_` are alike.
        recipe: Its engine says which settings there are.

    Raises:
        RecipeError: No factor has the name, or several have.
    """
    return path_of(factor, recipe.engine)


def path_of(word: str, engine: str, factors_only: bool = True) -> str:
    """Return the dotted path of a setting of an engine; like `resolve`, but labels and `study` too if asked.

    Raises:
        RecipeError: No setting has the name, or several have.
    """
    plain = _plain(word)
    paths = matches(plain, engine, factors_only) if plain != "engine" else []
    if len(paths) == 1:
        return paths[0]
    if paths:
        raise RecipeError(f"{word!r} may be {' or '.join(paths)}: write the whole path.")
    if plain == "engine":
        raise RecipeError("the engine of a recipe stays: choose a recipe of the other engine, with --recipe.")
    if factors_only and matches(plain, engine, factors_only=False):
        raise RecipeError(f"{word!r} is no factor: it does not change what is trained, and can only be set with -o.")
    for other in sorted(engines_with(word)):
        examples = " or ".join(names(other))
        raise RecipeError(f"{word!r} is a factor of the engine {other}, not of {engine}: add --recipe {examples}.")
    table = [one for one in settings(engine).values() if one.is_factor or not factors_only]
    known = {known.replace("_", "-") for one in table for known in (one.leaf, one.path)} | set(_parts(engine))
    raise RecipeError(f"there is no setting {word!r}{nearest(plain, known) or f'; choose {_some(engine)}.'}")


def engines_with(factor: str) -> set[str]:
    """Return the engines whose recipes have a factor of that name; none for a word that is no factor."""
    return {engine for engine in ENGINES if matches(_plain(factor), engine)}


def matches(word: str, engine: str, factors_only: bool = True) -> list[str]:
    """Return the dotted paths that a word may mean: a path, a part with a name, or the last word of a path."""
    table = {path: one for path, one in settings(engine).items() if one.is_factor or not factors_only}
    part = _parts(engine).get(SHORT.get(word, word))
    if part is not None:
        return [part]
    if word in table:
        return [_short_augment(word)]
    return [_short_augment(path) for path, one in table.items() if one.leaf == word]


def _parts(engine: str) -> dict[str, str]:
    """Return what a part's own name and path stand for: the setting that names its variant."""
    found = {"data": "data.name"}
    for part in variants(engine):
        for word in (part, part.rpartition(".")[2]):
            found[word] = _short_augment(f"{part}.name")
    return found


def _short_augment(path: str) -> str:
    """A recipe writes `augment: cutout`, so the factor is `data.augment`."""
    return "data.augment" if path == "data.augment.name" else path


def _plain(word: str) -> str:
    return word.strip().replace("-", "_")


def _some(engine: str) -> str:
    """Return the shortest names of an engine's factors, as a list for people."""
    leaves = [one.leaf for one in settings(engine).values() if one.is_factor]
    plain = [leaf for leaf in leaves if leaf != "name" and leaves.count(leaf) == 1]
    return ", ".join(
        leaf.replace("_", "-") for leaf in [*(part.rpartition(".")[2] for part in variants(engine)), *plain]
    )


def _put(plain: Mapping[str, Any], steps: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return a copy of nested mappings with one value replaced or added."""
    first, *rest = steps
    return {**plain, first: _put(plain.get(first, {}), tuple(rest), value) if rest else value}
