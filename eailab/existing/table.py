"""The one table that readers of existing results give: its rows, with where each was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Value = str | float | bool | None
Role = Literal["setting", "metric", "seed", "ignored", "unknown"]


@dataclass(frozen=True)
class Row:
    """One line of a table, or one run."""

    values: Mapping[str, Value]
    """By column; numbers as such, text as it is, None for an empty cell."""
    place: str
    """Where it was found, for messages, such as `results.csv:17`."""


@dataclass(frozen=True)
class Table:
    """What was read."""

    rows: tuple[Row, ...]
    roles: Mapping[str, Role]
    """What the format says of each column, in their order."""
    reader: str
    """What it was read as, such as "CSV"."""
    files: tuple[Path, ...]
    """All that was read."""
    notes: tuple[str, ...] = ()
    """What was left out, or found odd, a sentence each."""
