"""Make a recipe another by a change of one setting: what that drops and brings, how two differ, and the new name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from eailab.errors import EailabError, RecipeError
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import flatten, write
from eailab.recipe.describe import Located, Problem, report
from eailab.recipe.networks import Foreign, LibraryNetwork, Module, names_network, network_of
from eailab.recipe.schema import variants
from eailab.recipe.validate import check, value_at

KEPT = frozenset({"lr", "betas", "warmup_epochs", "padding"})
"""Settings that mean the same in every variant that has them, and so outlive a change of the variant's name.

`weight_decay` is none of them: it is an L2 penalty in sgd and adam and decoupled in adamw, each with its own default.
"""

_FOREIGN = "|".join(kind.model_fields["name"].default for kind in get_args(Foreign))
_OF_ANOTHER_NETWORK = re.compile(rf"model (?:{_FOREIGN}) (?:drops .*|brings nothing else)")
OF_CODE = frozenset({"file", "class", "code", "id", "version"})
"""Settings of a network that is not eailab's that its name says already."""


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
    """Return a recipe with one setting changed, checked as a whole; see `vary_together`."""
    return vary_together(recipe, {path: value})


def vary_together(recipe: Recipe, values: Mapping[str, object]) -> Varied:
    """Return a recipe with some settings changed at once, checked as a whole.

    A new name of an optimizer, schedule or augmentation drops the old variant's settings, except those in `KEPT` that
    both have, and takes the new one's defaults; it is changed before its settings are. Such a part may also be a
    mapping, `{name: sgd, momentum: 0.8}`.

    Args:
        recipe: Left as it is.
        values: As read from YAML, by dotted path, as `factors.resolve` gives it.

    Raises:
        RecipeError: The values do not fit; the message lists every problem.
    """
    plain, switches = change_all(recipe, values)
    varied, problems = check(plain)
    if varied is None:
        raise RecipeError(report([_blame(one, values) for one in problems], "", ""))
    return Varied(varied, tuple(sentence(switch, varied) for switch in switches.values() if switch is not None))


def change_all(recipe: Recipe, values: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, Switch | None]]:
    """Return a recipe's mapping with some settings changed, not checked, and what each path has switched, in turn."""
    plain: dict[str, Any] = recipe.model_dump()
    switches: dict[str, Switch | None] = {}
    for path in sorted(values, key=lambda path: not names_variant(recipe.engine, path)):
        plain, switch = _change(recipe.engine, plain, path, values[path])
        if switch is not None:
            own = {other.rpartition(".")[2] for other in values if other.rpartition(".")[0] == switch.part}
            switch = replace(switch, given=switch.given | own)
        switches[path] = switch
    return plain, switches


def _change(engine: str, plain: dict[str, Any], path: str, value: object) -> tuple[dict[str, Any], Switch | None]:
    """Return a copy of a resolved recipe's mapping with one setting changed, not checked, and what switched."""
    part = path.removesuffix(".name")
    choices = variants(engine).get(part)
    if choices is None:
        changed = put(plain, tuple(path.split(".")), value)
        return (put(changed, ("model", "code"), "") if path == "model.file" else changed), None
    steps = tuple(part.split("."))
    old = value_at(plain, steps)
    given = dict(value) if isinstance(value, Mapping) else _of_a_name(part, value)
    name = given.get("name")
    if not isinstance(name, str) or name not in choices:
        return put(plain, steps, given), None
    if choices[name] is choices[old["name"]] and not isinstance(value, Mapping) and set(given) == {"name"}:
        return put(plain, steps, {**old, **given}), None
    kept = {key: old[key] for key in KEPT if key in old and key in choices[name].model_fields}
    dropped = {key: one for key, one in old.items() if key != "name" and key not in {**kept, **given}}
    return put(plain, steps, {**kept, **given}), Switch(
        part, name, dropped, frozenset(kept) - frozenset(given), frozenset(given)
    )


def _of_a_name(part: str, value: object) -> dict[str, Any]:
    """Return the settings of a variant that is given by its name, or of a network by its file or library."""
    if part == "model" and isinstance(value, str) and names_network(value):
        try:
            return network_of(value)
        except EailabError as error:
            raise RecipeError(str(error)) from error
    return {"name": value}


def sentence(switch: Switch, recipe: Recipe) -> str:
    """Say what a switch changes besides the name, such as "schedule steplr brings gamma 0.1, step_size 20"."""
    now = value_at(recipe.model_dump(), tuple(switch.part.split(".")))
    brings = [
        f"{key} {write(one)}" + (f" (was {write(switch.dropped[key])})" if key in switch.dropped else "")
        for key, one in now.items()
        if key not in {*switch.kept, *switch.given, *OF_CODE} and one not in ({}, switch.dropped.get(key))
    ]
    drops = [f"{key} {write(one)}" for key, one in switch.dropped.items() if key not in {*now, *OF_CODE}]
    said = [f"{verb} {', '.join(those)}" for verb, those in (("brings", brings), ("drops", drops)) if those]
    return f"{switch.part.rpartition('.')[2]} {switch.name} {' and '.join(said) or 'brings nothing else'}"


def tells_something(said: str) -> bool:
    """Return whether a sentence on what a change brings tells a person something.

    That a network from elsewhere lacks the settings of a ResNet goes without saying.

    >>> [tells_something(f"model {one}") for one in ("module drops stem 7x7, width 0.25", "resnet18 brings stem 7x7")]
    [False, True]
    """
    return _OF_ANOTHER_NETWORK.fullmatch(said) is None


def lacking(path: str, recipes: Mapping[str, Recipe]) -> list[str]:
    """Return the keys of the recipes whose network comes from elsewhere, and lacks a setting of the model."""
    return [
        key
        for key, recipe in recipes.items()
        if path.startswith("model.") and recipe.images is not None and recipe.images.has_foreign_network
        if path not in flatten(recipe)
    ]


def names_variant(engine: str, path: str) -> bool:
    """Return whether a path, as `factors.resolve` gives it, says which variant a part is."""
    return path.removesuffix(".name") in variants(engine)


def differences(a: Recipe, b: Recipe) -> dict[str, tuple[object, object]]:
    """Return the settings in which two recipes differ, by dotted path, with the value of each.

    None stands for a setting that only the other has, since it belongs to a variant; no setting of a variant can
    itself be None. `name` and `study` count like any other setting.
    """
    one, other = flatten(a), flatten(b)
    paths = [*one, *(path for path in other if path not in one)]
    return {path: (one.get(path), other.get(path)) for path in paths if one.get(path) != other.get(path)}


def changes_in_words(a: Recipe, b: Recipe) -> dict[str, str]:
    """Say each setting in which two recipes differ, such as "batch_size 32 -> 16", by dotted path."""
    return {
        path: f"{path.removesuffix('.name')} {_in_words(a, path, one)} -> {_in_words(b, path, other)}"
        for path, (one, other) in differences(a, b).items()
    }


def _in_words(recipe: Recipe, path: str, value: object) -> str:
    """Write a setting's value; a network that is not eailab's is called as a person names it."""
    model = recipe.images.model if path == "model.name" and recipe.images is not None else None
    if isinstance(model, Foreign):
        return model.reference
    return "-" if value is None else write(value)


def _blame(problem: Problem, values: Mapping[str, object]) -> Located:
    """Return a problem with the change that brought it; one at the changed setting itself needs no path."""
    for path, value in values.items():
        here = tuple(path.split("."))
        if problem.path in (here, (*here, "name")):
            return Located(Problem((), problem.message), option=f"{path}={write(value)}")
    return Located(problem, option=" and ".join(f"{path}={write(value)}" for path, value in values.items()))


def put(plain: Mapping[str, Any], steps: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return a copy of nested mappings with one value replaced or added."""
    first, *rest = steps
    return {**plain, first: put(plain.get(first, {}), tuple(rest), value) if rest else value}


# --- names ------------------------------------------------------------------------------------------------------------


LONGEST = 200
"""Letters of a recipe's name."""


def data_word(recipe: Recipe) -> str:
    """Return what a recipe's data are called in names and titles: a data set's name, or that of a file or folder.

    Nothing where it has no data set.

    >>> from eailab.recipe.load import Override, load
    >>> data_word(load("digits-mlp", [Override("data.name", "/scans/mine.npz", "-o")]).recipe)
    'mine'
    """
    name = recipe.data_name or ""
    return Path(name).stem or name


def model_word(recipe: Recipe) -> str:
    """Return what a recipe's model is called in names and lists; of an engine without models, what the engine is."""
    if recipe.images is None:
        return recipe.engine
    model = recipe.images.model
    if isinstance(model, LibraryNetwork):
        return model.id
    return model.class_name if isinstance(model, Module) else model.name


def name_after(name: str, before: Recipe, after: Recipe) -> str:
    """Return a recipe's name with the words for its data and its model replaced by those of another recipe.

    A name that has no such word gets the new one at its end.
    """
    for old, new in ((data_word(before), data_word(after)), (model_word(before), model_word(after))):
        if old != new:
            words = name.split("-")
            at = next((place for place, word in enumerate(words) if len(word) > 2 and old.startswith(word)), None)
            if re.search(whole := rf"\b{re.escape(old)}\b", name):
                name = re.sub(whole, new.replace("\\", r"\\"), name, count=1)
            elif at is not None:
                name = "-".join([*words[:at], new, *words[at + 1 :]])
            else:
                name = f"{name}-{new}"
    return name[:LONGEST]


def may_have_been(before: str, now: str, recipe: Recipe) -> bool:
    """Return whether a study was called `before` by versions that named it by its recipe's file alone.

    Only the words for data and model may differ.
    """
    known = "|".join(map(re.escape, filter(None, (data_word(recipe), model_word(recipe)))))
    words, earlier = re.sub(rf"(?<![^-])(?:{known})(?![^-])", "*", now).split("-"), before.split("-")
    if before == now or "*" not in words:
        return False
    replaced = len(words) == len(earlier) and all(one in ("*", old) for one, old in zip(words, earlier, strict=True))
    return replaced or [one for one in words if one != "*"] == earlier
