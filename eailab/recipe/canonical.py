"""Write recipes and values: the canonical form, whose digest tells what two recipes share, and the recipe in full."""

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from eailab.recipe.base import Recipe
from eailab.recipe.template import flat

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
    return {**flat(_ordered(recipe))}


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


# --- words and values -------------------------------------------------------------------------------------------------


MAX_DIGITS = 20

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
DECIMAL = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*")
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
PLAIN = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~+-]*(?: [A-Za-z0-9_./~+-]+)*")


class NumberError(ValueError):
    """A number that a recipe cannot hold."""


def meaning(text: str) -> bool | int | float | str | None:
    """Return what an unquoted scalar means."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    for pattern, base in ((DECIMAL, 10), (OCTAL, 8), (HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            digits = text.replace("_", "").lstrip("+-").removeprefix("0o").removeprefix("0x")
            if len(digits) > MAX_DIGITS:
                raise NumberError(f"a whole number of {len(digits)} digits: at most {MAX_DIGITS} are read")
            return -int(digits, base) if text.startswith("-") else int(digits, base)
    if FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise NumberError(f"{text[:40]} is beyond the largest number, about 1.8e308: write a smaller one")
        if number == 0.0 and re.search("[1-9]", re.split("[eE]", text)[0]):
            raise NumberError(f"{text[:40]} is below the smallest number, about 5e-324: write 0 or a larger one")
        return number
    if NOT_FINITE.fullmatch(text):
        raise NumberError(f"{text} is not a finite number: write a number, or null where there is none")
    return text


def write(value: object) -> str:
    """Return a value on one line as a recipe writes it, so that reading it gives the same again.

    >>> write({"a": [True, None, 1e-3, "3x3", "on the way: 3", "on", "010"]})
    '{a: [true, null, 0.001, 3x3, "on the way: 3", on, "010"]}'

    Raises:
        TypeError: For a value that no recipe can hold.
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{write(str(key))}: {write(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(write(one) for one in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if not isinstance(value, str):
        raise TypeError(f"a recipe cannot hold {type(value).__name__}")
    return value if PLAIN.fullmatch(value) and _is_text(value) else json.dumps(value, ensure_ascii=False)


def built_in(value: Any) -> Any:
    """Return a value with Python's own numbers, texts and lists in place of NumPy's, within lists and mappings too."""
    if isinstance(value, Mapping):
        return {built_in(key): built_in(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(built_in, value))
    numpy = sys.modules.get("numpy")  # who has such a value has imported it
    return value.tolist() if numpy is not None and isinstance(value, numpy.generic | numpy.ndarray) else value


def _is_text(text: str) -> bool:
    """Return whether an unquoted scalar would be read as text."""
    try:
        return isinstance(meaning(text), str)
    except NumberError:
        return False
