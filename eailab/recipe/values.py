"""Read the words of YAML 1.2's core schema, and write values that read back the same."""

import json
import math
import re
from collections.abc import Mapping

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
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, str):
        raise TypeError(f"a recipe cannot hold {type(value).__name__}")
    return value if PLAIN.fullmatch(value) and _is_text(value) else json.dumps(value, ensure_ascii=False)


def _is_text(text: str) -> bool:
    """Return whether an unquoted scalar would be read as text."""
    try:
        return isinstance(meaning(text), str)
    except NumberError:
        return False
