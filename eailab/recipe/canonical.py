"""What makes two recipes the same: the canonical form, its digest, and the recipe written out in full."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from eailab.recipe.schema import Recipe
from eailab.recipe.values import write

NO_IDENTITY = frozenset({"name", "study"})
"""Keys that cannot change what is trained."""

FIRST = ("name", "engine", "data", "model", "optimizer", "schedule", "epochs", "batch_size")
LAST = ("threads", "study")
STORED = (
    *("name", "engine", "data", "optimizer", "schedule"),
    *("epochs", "batch_size", "label_smoothing", "ema", "study"),
)


def canonical(recipe: Recipe, data: Mapping[str, str] = MappingProxyType({})) -> dict[str, object]:
    """Return all that can change a trial's result, every default written out, ready for JSON.

    Numbers of a float field are floats, and zero has no sign, so that `1` and `1.0`, `0.0` and `-0.0` agree.

    Args:
        recipe: Left as it is.
        data: What to write in place of a data set's name, by that name: images are the same by another path to them.
    """
    plain = recipe.identity()
    if (name := recipe.data_name) is not None:
        plain["data"]["name"] = data.get(name, name)
    return {key: _unsigned_zero(value) for key, value in plain.items() if key not in NO_IDENTITY}


def as_stored(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as a study's file holds it, its keys in the order in which every version has written them."""
    plain = recipe.model_dump(mode="json")
    order = [key for key in STORED if key in plain]
    return {
        key: plain[key] for key in [*order, *(key for key in plain if key not in order and key != "threads"), "threads"]
    }


def digest(value: object) -> str:
    """Return the first 20 hexadecimal digits of the SHA-256 of a value's JSON: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: A number that is not finite.
        TypeError: A value that JSON does not have.
    """
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:20]


def flatten(recipe: Recipe) -> dict[str, object]:
    """Return every setting by its dotted path, defaults included; lists are values."""

    def walk(part: dict[str, object], prefix: str) -> Iterator[tuple[str, object]]:
        for key, value in part.items():
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    return dict(walk(_ordered(recipe), ""))


def to_yaml(recipe: Recipe) -> str:
    """Return a recipe with every default written out, in reading order; loading the text gives an equal recipe."""
    return "".join(f"{line}\n" for _, line in yaml_lines(recipe))


def yaml_lines(recipe: Recipe) -> Iterator[tuple[str | None, str]]:
    """Yield the lines of `to_yaml`, each with the dotted path of the setting in it, or None for the head of a part."""

    def walk(part: dict[str, object], prefix: str, indent: str) -> Iterator[tuple[str | None, str]]:
        for key, value in part.items():
            if isinstance(value, dict) and value:
                yield None, f"{indent}{key}:"
                yield from walk(value, f"{prefix}{key}.", f"{indent}  ")
            else:
                yield f"{prefix}{key}", f"{indent}{key}: {write(value)}"

    return walk(_ordered(recipe), "", "")


def _ordered(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as plain mappings in reading order, the `name` of each part first."""
    dump = recipe.model_dump()
    middle = [key for key in dump if key not in FIRST and key not in LAST]
    return {key: _name_first(dump[key]) for key in (*FIRST, *middle, *LAST) if key in dump}


def _name_first(value: object) -> object:
    if not isinstance(value, dict):
        return value
    named = {"name": value["name"], **value} if "name" in value else value
    return {key: _name_first(one) for key, one in named.items()}


def _unsigned_zero(value: object) -> object:
    if isinstance(value, dict):
        return {key: _unsigned_zero(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_unsigned_zero(one) for one in value]
    return value + 0.0 if isinstance(value, float) else value
