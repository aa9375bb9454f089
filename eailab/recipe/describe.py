"""Say in plain words what is wrong with a recipe and where: values, types, names, and lists of problems."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

from annotated_types import MaxLen, MinLen
from pydantic.fields import FieldInfo

from eailab import plain
from eailab.recipe.canonical import write
from eailab.recipe.schema import is_settings, members

KINDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
"""Attributes of `annotated_types`' limits, and how they read."""
SHOWN = 60  # characters of a value in a message
USUAL = {
    "learning_rate": "lr",
    "scheduler": "schedule",
    "augmentation": "augment",
    "bs": "batch_size",
    "wd": "weight_decay",
    "none": "constant",
    "gpu": "cuda",
}
"""What other programs call some settings, and some of their values."""
NONE = frozenset({"none", "nil", "off", "no", "false", "null", "na", "n/a", "-"})
"""Words for nothing."""
PERCENT = re.compile(r"[0-9]+(?:\.[0-9]+)?%")
DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]+")
TRUTH = {"on": "true", "yes": "true", "off": "false", "no": "false"}


def found(value: object) -> str:
    """Return a value for the words "found …": as a recipe writes it, text in quotes, cut when long."""
    if value is None:
        return "nothing (null)"
    text = repr(value) if isinstance(value, str) else write(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def in_words(value: object, between: str = ", ") -> str:
    """Return a value as tables and sentences say it: a list without brackets, a variant by its name.

    A text of nothing but spaces, or an empty list, is written as in a recipe, so that it is seen.

    >>> in_words(["relu", "sigmoid"])
    'relu, sigmoid'
    >>> in_words({"name": "multistep", "gamma": 0.5, "milestones": [30, 60]})
    'multistep (gamma 0.5, milestones 30 and 60)'
    >>> in_words(["", []])
    '"", []'
    """
    if value is None:
        return "none"
    if isinstance(value, list | tuple) and value:
        return between.join(map(in_words, value))
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} {in_words(one, ' and ')}" for key, one in value.items() if key != "name")
        return " ".join(part for part in (value.get("name", ""), inside and f"({inside})") if part)
    return value if isinstance(value, str) and value.strip() else json.dumps(value)


def closest(word: object, known: Iterable[str], alike: float = plain.ALIKE_ENOUGH) -> str | None:
    """Return the known word that is most like one, by what other programs call it too; see `eailab.plain.closest`."""
    return plain.closest(word, known, USUAL, alike)


def nearest(word: object, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest known word, or nothing; see `closest`."""
    return plain.nearest(word, known, USUAL)


def expected(item: Any) -> str:
    """Return in words what may stand at a field, or at a place of the given type.

    >>> from eailab.recipe.optimization import Sgd
    >>> expected(Sgd.model_fields["momentum"])
    'a number at least 0 and below 1'
    """
    kinds = members(type_of(item))
    words = ["a mapping of settings"] if all(map(is_settings, kinds)) else [_kind(one, _limits(item)) for one in kinds]
    if type(None) in get_args(type_of(item)):
        words.append("null")
    return " or ".join(words)


def advice(item: Any, given: object) -> str:
    """Return what to do about a value of the wrong kind, such as ": remove the quotes", or nothing."""
    kinds = members(type_of(item))
    if isinstance(given, str):
        return _advice_on_text(item, given)
    if given is None:
        return ": write none" if "none" in choices(item) else ""
    if given is False and type(None) in get_args(type_of(item)):
        return ": write null"
    if int in kinds and isinstance(given, float) and given.is_integer():
        return f": write {int(given)}"
    if isinstance(given, list):
        return ": write it without the brackets" if len(given) == 1 and {int, float, str} & set(kinds) else ""
    if isinstance(given, Mapping):
        return ""
    if str in kinds:
        return ": put it in quotes"
    one = write(given)
    return f": write [{one}], or several in one list, [{one}, {one}]" if _is_listed(item) else ""


def _advice_on_text(item: Any, given: str) -> str:
    """Return what to do about a text where something else is meant."""
    kinds = members(type_of(item))
    numbers = {int, float} & set(kinds)
    if given.lower() in NONE and type(None) in get_args(type_of(item)):
        return ": write null"
    if given.lower() in NONE and numbers and any(getattr(limit, "ge", None) == 0 for limit in _limits(item)):
        return ": write 0"
    if numbers and given.isascii() and given.replace(".", "", 1).isdigit():
        return ": remove the quotes"
    if numbers and DECIMAL_COMMA.fullmatch(given):
        return f": write {given.replace(',', '.')}, with a point"
    if float in numbers and PERCENT.fullmatch(given):
        return f": write {float(given[:-1]) / 100:g}"
    if _is_listed(item) and "," in given:
        return f": write [{', '.join(part.strip() for part in given.split(','))}]"
    if bool in kinds and given.lower() in TRUTH:
        return f": write {TRUTH[given.lower()]}"
    return f": write {{name: {write(given)}}}" if any(map(is_settings, kinds)) else ""


def _is_listed(item: Any) -> bool:
    """Return whether a list of anything but names may stand at a field."""
    return any(get_origin(one) is list for one in members(type_of(item))) and not choices(item)


def choices(item: Any) -> list[str]:
    """Return the words that may stand at a field, or at a place of the given type."""
    return [str(name) for one in members(type_of(item)) if get_origin(one) is Literal for name in get_args(one)]


def list_meant(item: Any, given: str) -> str | None:
    """Say how a list is written where a text names several of a field's words; None where it does not.

    >>> from eailab.recipe.parts import Mlp
    >>> list_meant(Mlp.model_fields["activation"], "relu,tanh")
    "expected one of relu, sigmoid, tanh, gelu or a list of them, found 'relu,tanh': write [relu, tanh]"
    """
    names, words = choices(item), [word.strip() for word in given.split(",")]
    listed = any(get_origin(one) is list for one in members(type_of(item)))
    if not listed or len(words) < 2 or not set(words) <= set(names):
        return None
    return f"expected one of {', '.join(names)} or a list of them, found {found(given)}: write [{', '.join(words)}]"


def type_of(item: Any) -> Any:
    """Return the type of a field; a type is its own."""
    return item.annotation if isinstance(item, FieldInfo) else item


def _kind(one: Any, limits: list[Any]) -> str:
    least = next((limit.min_length for limit in limits if isinstance(limit, MinLen)), 0)
    most = next((limit.max_length for limit in limits if isinstance(limit, MaxLen)), None)
    if get_origin(one) is Literal:
        return f"one of {', '.join(choices(one))}"
    if get_origin(one) is list:
        (inside,) = get_args(one)
        each = "" if inside is Any else f", each {expected(inside)}"
        return f"a list{_count(least, most)}{each}"
    if get_origin(one) is dict:
        return "a mapping of names to values"
    if one is str:
        return f"text of {least} to {most} printable characters" if most else "text"
    bounds = {word: getattr(limit, word) for limit in limits for word in BOUNDS if hasattr(limit, word)}
    if {"ge", "le"} <= set(bounds):
        return f"{KINDS[one]} from {_number(bounds['ge'])} to {_number(bounds['le'])}"
    said = " and ".join(f"{BOUNDS[word]} {_number(bound)}" for word, bound in bounds.items())
    return f"{KINDS[one]} {said}" if said else KINDS[one]


def _count(least: int, most: int | None) -> str:
    """Return how many items a list may have; nothing where any number will do."""
    if most is not None:
        return f" of {least} items" if least == most else f" of {least} to {most} items"
    return f" of {least} or more" if least else ""


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _limits(item: Any) -> list[Any]:
    """Return the limits of a field or type, those of the members of a union included."""
    if isinstance(item, FieldInfo):
        return [*item.metadata, *_limits(item.annotation)]
    if get_origin(item) is Annotated:
        base, *extra = get_args(item)
        limits = [limit for one in extra for limit in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return [*limits, *_limits(base)]
    if get_origin(item) in (list, Literal):
        return []
    return [limit for one in get_args(item) for limit in _limits(one)]


# --- problems and their places ----------------------------------------------------------------------------------------


KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value lies: the keys and list positions that lead to it from the top."""

LINE_BREAK = re.compile("\r\n|\r|\n")
COMMENT = re.compile(r"(?:^|\s)#.*")
SHOWN_WIDTH = 100  # characters of a source line that are shown around the caret
SHOWN_PROBLEMS = 50
SHOWN_PATH = 120  # characters of a path


@dataclass(frozen=True, order=True)
class Mark:
    """A place in a text; both numbers count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what was found, what would be right, and what to do."""

    path: KeyPath
    message: str
    at_key: bool = False
    """Whether the key is wrong (unknown, written twice), not its value."""


@dataclass(frozen=True)
class Located:
    """A problem with its place: a mark in the text, or the option of the command line that brought it."""

    problem: Problem
    mark: Mark | None = None
    option: str | None = None


def dotted(path: KeyPath) -> str:
    """Return a path as people write it.

    >>> dotted(("model", "hidden", 1))
    'model.hidden[1]'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def caret(text: str, mark: Mark) -> str:
    """Return the line of a mark, cut to a readable width, and a caret under its column."""
    lines = LINE_BREAK.split(text)
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    start = max(0, mark.column - 1 - SHOWN_WIDTH // 2) if len(line) > SHOWN_WIDTH else 0
    shown = line[start : start + SHOWN_WIDTH]
    pad = "".join("\t" if letter == "\t" else " " for letter in shown[: mark.column - 1 - start])
    return f"    {shown}\n    {pad}^"


def report(found: Sequence[Located], source: str, text: str) -> str:
    """Return the message of a `RecipeError` that lists every problem, in the order of the text.

    Args:
        found: At least one problem; those of the command line come last.
        source: What the text is called, such as its path; nothing for a value of the command line.
        text: The text that the marks point into.
    """
    unique = list({(one.mark, one.option, one.problem): one for one in found}.values())
    unique.sort(key=lambda one: (one.mark is None, one.mark or Mark(0, 0)))
    entries = [_entry(one, source, text) for one in unique[:SHOWN_PROBLEMS]]
    if len(unique) == 1:
        return entries[0]
    if len(unique) > SHOWN_PROBLEMS:
        entries.append(f"and {len(unique) - SHOWN_PROBLEMS} more")
    return "\n".join([f"{len(unique)} problems:", *entries])


def _entry(one: Located, source: str, text: str) -> str:
    path = dotted(one.problem.path)[:SHOWN_PATH]
    what = f"{path}: {one.problem.message}" if path else one.problem.message
    if one.mark is None:
        return (f"{one.option}: {what}" if one.option else what) + _lookalike(one.option or "", what)
    by = f" (because of {one.option})" if one.option else ""
    place = f"{source}:{one.mark.line}:{one.mark.column}: " if source else ""
    lines = dict(enumerate(LINE_BREAK.split(text), start=1))
    strange = _lookalike(lines.get(one.mark.line, ""), what)
    if not strange and (before := _lookalike(lines.get(one.mark.line - 1, ""), what)):
        strange = f"{before}, on line {one.mark.line - 1}"
    return f"{place}{what}{by}{strange}\n{caret(text, one.mark)}"


def _lookalike(line: str, said: str) -> str:
    """Name the first character of a line that is not what it looks like, since a problem may come from it."""
    name = plain.lookalike(COMMENT.sub("", line))
    return f"; {name}" if name and name not in said else ""
