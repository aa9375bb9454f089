"""Make a plain mapping a recipe, or a list of everything that is wrong with it in plain words."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from eailab.recipe.base import Recipe
from eailab.recipe.describe import (
    KeyPath,
    Problem,
    advice,
    choices,
    closest,
    dotted,
    expected,
    found,
    list_meant,
    nearest,
    type_of,
)
from eailab.recipe.networks import ARGS, Foreign
from eailab.recipe.parts import Settings
from eailab.recipe.schema import RECIPES, members, offered, parts, settings, variant_names, variants

TAG_ERRORS = ("union_tag_invalid", "union_tag_not_found")


def check(value: Mapping[str, object]) -> tuple[Recipe | None, list[Problem]]:
    """Return the recipe that a mapping makes and no problems, or None and all problems found.

    What stands next to an unknown engine or variant is checked too, as far as all variants agree on it, or all engines
    that have most of its keys.
    """
    engine = value.get("engine")
    if isinstance(engine, str) and engine in RECIPES:
        return _check_engine(engine, value)
    if engine is None:
        problem = Problem(("engine",), f"missing: write one of {', '.join(offered())}", at_key=True)
    else:
        problem = Problem(
            ("engine",), f"expected one of {', '.join(offered())}, found {found(engine)}{nearest(engine, offered())}"
        )
    known = {one: len(value.keys() & kind.model_fields.keys()) for one, kind in RECIPES.items()}
    meant = [one for one in RECIPES if known[one] == max(known.values())]
    return None, [problem, *_agreed(_check_engine(one, {**value, "engine": one})[1] for one in meant)]


def recipe_from(value: Mapping[str, object]) -> Recipe:
    """Return the recipe that a mapping makes.

    Raises:
        ValueError: It makes none; the message lists every problem.
    """
    recipe, problems = check(value)
    if recipe is None:
        raise ValueError("; ".join(f"{dotted(one.path)}: {one.message}" for one in problems))
    return recipe


def value_at(value: Any, path: KeyPath) -> Any:
    """Return what lies at a path of nested mappings and lists, or None where nothing does."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _agreed(lists: Iterable[list[Problem]]) -> list[Problem]:
    """Return the problems of the first list whose places are in every other list."""
    first, *others = lists
    places = [{(one.path, one.at_key) for one in other} for other in others]
    return [one for one in first if all((one.path, one.at_key) in other for other in places)]


def _check_engine(engine: str, value: Mapping[str, object]) -> tuple[Recipe | None, list[Problem]]:
    try:
        return RECIPES[engine].model_validate(value), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    meant = {_meant(engine, detail) for detail in details if detail["type"] == "extra_forbidden"}
    problems: list[Problem] = []
    for detail in details:
        if detail["type"] == "missing" and _place(engine, detail["loc"])[0] in meant:
            continue  # the key is there, with a slip in it
        problems += _explain(engine, value, detail)
        if detail["type"] in TAG_ERRORS:
            path = _place(engine, detail["loc"])[0]
            names = variants(engine)[_join(path)]
            problems += _agreed(_with_variant(engine, value, path, name) for name in names)
    return None, problems


def _meant(engine: str, detail: ErrorDetails) -> KeyPath:
    """Return the path that an unknown key was probably meant to have."""
    path, owner, _ = _place(engine, detail["loc"])
    return (*path[:-1], closest(path[-1], owner.model_fields) or path[-1])


def _with_variant(engine: str, value: Mapping[str, object], path: KeyPath, name: str) -> list[Problem]:
    """Return the problems inside a part, were its name the given one."""
    part = value_at(value, path)
    changed: dict[Any, Any] = {**(part if isinstance(part, Mapping) else {}), "name": name}
    for length in range(len(path) - 1, -1, -1):
        above = value_at(value, path[:length])
        changed = {**(above if isinstance(above, Mapping) else {}), path[length]: changed}
    return [one for one in _check_engine(engine, changed)[1] if one.path[: len(path)] == path]


def _place(engine: str, loc: tuple[int | str, ...]) -> tuple[KeyPath, type[Settings], str | None]:
    """Return the path that pydantic's `loc` means, the class that owns its last key, and the member of a plain union.

    A `loc` names the tags of unions among the keys, such as ("optimizer", "adam", "lr").
    """
    owner: type[Settings] = RECIPES[engine]
    inside: type[Settings] | None = owner
    path: list[int | str] = []
    member = None
    steps = iter(loc)
    for step in steps:
        if inside is None:
            if isinstance(step, int):
                path.append(step)
            else:
                member = step
            continue
        owner = inside
        path.append(step)
        if step not in owner.model_fields:
            break
        below = parts(owner, str(step))
        if len(below) > 1:
            tag = next(steps, None)
            inside = next((one for one in below if tag in variant_names(one)), None)
        else:
            inside = below[0] if below else None
    return tuple(path), owner, member


def _explain(engine: str, value: Mapping[str, object], detail: ErrorDetails) -> list[Problem]:
    """Say one of pydantic's errors in plain words; nothing for a member of a union that was not meant."""
    path, owner, member = _place(engine, detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        return [Problem(path, _unknown_key(engine, path, owner), at_key=True)]
    key, items = _field_of(path)
    if kind == "missing":
        return [Problem(path, f"missing: give {key} {expected(owner.model_fields[key])}", at_key=True)]
    given = value_at(value, path)
    if kind in TAG_ERRORS:
        return [_wrong_variant(engine, path, given)]
    if kind == "value_error":
        return [Problem(path, str(detail["ctx"]["error"]))]
    whole = value_at(value, path[: len(path) - items])
    if member is not None and isinstance(whole, list) != member.startswith("list["):
        return []
    item: Any = owner.model_fields[key]
    for _ in range(items):
        item = next(get_args(one)[0] for one in members(type_of(item)) if get_origin(one) is list)
    if kind == "literal_error" and isinstance(given, str):
        said = list_meant(item, given) or _unknown_name(engine, path, given, choices(item))
        return [Problem(path, said)]
    return [Problem(path, f"expected {expected(item)}, found {found(given)}{advice(item, given)}")]


def _field_of(path: KeyPath) -> tuple[str, int]:
    """Return the last key of a path, and how many positions in lists follow it."""
    items = next(index for index, step in enumerate(reversed(path)) if isinstance(step, str))
    return str(path[len(path) - 1 - items]), items


def _wrong_variant(engine: str, path: KeyPath, given: object) -> Problem:
    """Say that a part has no name, or one that does not exist."""
    names = list(variants(engine)[_join(path)])
    if not isinstance(given, Mapping):  # data.augment may be a name alone
        return Problem(path, _unknown_name(engine, path, given, names))
    path = (*path, "name")
    if "name" not in given:
        return Problem(path, f"missing: give name one of {', '.join(names)}", at_key=True)
    return Problem(path, _unknown_name(engine, path, given["name"], names))


def _unknown_name(engine: str, path: KeyPath, given: object, names: Iterable[str]) -> str:
    """Say that a text is none of the names that may stand here."""
    names = list(names)
    part = _join(path).removesuffix(".name")
    for other in RECIPES:
        if other != engine and isinstance(given, str) and given in variants(other).get(part, {}):
            return (
                f"{given} is for the engine {other}, and {engine} has {', '.join(names)}: "
                f"take one of these{_or_start_from(other)}"
            )
    return f"expected one of {', '.join(names)}, found {found(given)}{nearest(given, names)}"


def _unknown_key(engine: str, path: KeyPath, owner: type[Settings]) -> str:
    """Say that a key does not exist here, and where it does."""
    key, dotted = str(path[-1]), _join(path)
    keys = ", ".join(owner.model_fields)
    to_args = f"write {ARGS}{key} if the network takes it" if issubclass(owner, get_args(Foreign)) else ""
    if dotted in settings(engine):
        having = [name for one in settings(engine)[dotted].owners for name in variant_names(one)]
        mine, have = " and ".join(variant_names(owner)), "has" if len(having) == 1 else "have"
        return (
            f"{mine} has no {key} ({', '.join(having)} {have}): {to_args and f'{to_args}, '}remove it, "
            f"or change the name; the keys here are {keys}"
        )
    for other in RECIPES:
        if other != engine and dotted in {*settings(other), *variants(other)}:
            return f"a key of the engine {other}, not of {engine}: remove it{_or_start_from(other)}"
    close = nearest(key, owner.model_fields)
    elsewhere = [one.path.rpartition(".")[0] for one in settings(engine).values() if one.leaf == key]
    if elsewhere and not close:
        return f"this key belongs to {' or '.join(one or 'the top level' for one in elsewhere)}: move it there"
    return f"unknown key{close}" if close else f"unknown key; {to_args and f'{to_args}; '}the keys here are {keys}"


def _or_start_from(engine: str) -> str:
    example = RECIPES[engine].example
    return f", or start from a recipe such as {example}" if example else ""


def _join(path: KeyPath) -> str:
    return ".".join(str(step) for step in path)
