"""The schema as a table: every setting's dotted path, the classes that have it, and which paths can be factors."""

from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from eailab.recipe.parts import Settings
from eailab.recipe.schema import RECIPES

NO_FACTORS = ("name", "engine", "study")
"""Top-level keys that are no part of what is trained."""


@dataclass(frozen=True)
class Setting:
    """One setting of an engine's recipes."""

    path: str
    owners: tuple[type[Settings], ...]
    """The class that has it; in a part with variants, each variant that has it."""

    @property
    def leaf(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(".")[2]

    @property
    def is_factor(self) -> bool:
        """Whether it changes what is trained."""
        return self.path.partition(".")[0] not in NO_FACTORS


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union without `None` and `Annotated`, or the type itself alone."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(one for member in get_args(annotation) for one in members(member) if one is not type(None))
    return (annotation,)


def is_settings(one: Any) -> bool:
    """Return whether a type is a class of settings."""
    return isinstance(one, type) and issubclass(one, Settings)


def parts(model: type[Settings], key: str) -> tuple[type[Settings], ...]:
    """Return the classes of settings that may stand at a key: several for variants, none for a plain value."""
    return tuple(one for one in members(model.model_fields[key].annotation) if is_settings(one))


def variant_names(part: type[Settings]) -> tuple[str, ...]:
    """Return the values of `name` that a class of settings stands for; none where `name` is free."""
    field = part.model_fields.get("name")
    return tuple(str(one) for one in get_args(field.annotation)) if field else ()


@cache
def settings(engine: str) -> dict[str, Setting]:
    """Return every setting of an engine's recipes by its dotted path, in the order of the schema."""
    table: dict[str, Setting] = {}

    def walk(model: type[Settings], prefix: str) -> None:
        for key in model.model_fields:
            path = f"{prefix}{key}"
            below = parts(model, key)
            for part in below:
                walk(part, f"{path}.")
            if not below:
                owners = table[path].owners if path in table else ()
                table[path] = Setting(path, (*owners, model))

    walk(RECIPES[engine], "")
    return table


@cache
def variants(engine: str) -> dict[str, dict[str, type[Settings]]]:
    """Return the classes of each part with a choice of `name`, by the part's path (such as `data.augment`) and name."""
    table: dict[str, dict[str, type[Settings]]] = {}
    for setting in settings(engine).values():
        part, _, leaf = setting.path.rpartition(".")
        choices = {name: owner for owner in setting.owners for name in variant_names(owner)} if leaf == "name" else {}
        if part and choices:
            table[part] = choices
    return table
