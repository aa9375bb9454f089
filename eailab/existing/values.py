"""Turn what files say into the values of a table: numbers from text, columns from nested settings."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from eailab.existing.table import Value
from eailab.plain import plain

_WITH_SPREAD = re.compile(r"(.+?)\s*(?:±|\+/-|\+-)\s*.+")
MAX_DEPTH = 32


def value_of(cell: str, *, decimal_comma: bool = False) -> Value:
    """Return what a cell says: a number without its percent sign or spread, None for nothing, else its text.

    >>> [value_of(cell, decimal_comma=True) for cell in ("93,5 %", "1e-3", "adam", " ", "93.5±0.2")]
    [93.5, 0.001, 'adam', None, 93.5]
    """
    text = cell.strip()
    if not text:
        return None
    if (found := _number(text)) is not None:
        return found
    number = _WITH_SPREAD.sub(r"\1", text) if "±" in text or "+-" in text or "+/-" in text else text
    number = number.removesuffix("%").rstrip()
    if decimal_comma:
        number = number.replace(",", ".", 1)
    return plain(text) if (found := _number(number)) is None else found


def _number(text: str) -> float | None:
    if "_" in text:  # Python reads 1_000, and tables do not mean it
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of 400 digits
        return math.inf if number > 0 else -math.inf


def flat(content: Mapping[Any, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Value]]:
    """Yield the members of nested settings as columns; a list is one text.

    >>> dict(flat({"lr": 1, "model": {"name": "mlp", "sizes": [3, 4]}}))
    {'lr': 1.0, 'model.name': 'mlp', 'model.sizes': '[3, 4]'}
    """
    for key, one in content.items():
        name = plain(f"{before}{key}")
        match one:
            case dict() if one and depth < MAX_DEPTH:
                yield from flat(one, f"{name}.", depth + 1)
            case bool() | None:
                yield name, one
            case int() | float():
                yield name, _float(one)
            case str():
                yield name, value_of(one)
            case _:
                yield name, plain(json.dumps(one, default=str))
