"""Define the one table that readers of existing results give: its columns, with where each row was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eailab.translation import Text

Value = str | float | bool | None
Role = Literal["setting", "metric", "seed", "ignored", "unknown"]


@dataclass(frozen=True)
class ResultsTable:
    """Results as they were read."""

    columns: Mapping[str, Sequence[Value]]
    """By name, with a value for each row: numbers as such, text as it is, None for an empty cell."""
    places: Sequence[str]
    """Where each row was found, for messages, such as `results.csv:17`."""
    roles: Mapping[str, Role]
    """What the format says of each column, in their order."""
    reader: str
    """What it was read as, such as "CSV"."""
    files: tuple[Path, ...]
    """All that was read."""
    notes: tuple[Text, ...] = ()
    """What was left out, or found odd, a sentence each."""


def joined(tables: Sequence[ResultsTable]) -> ResultsTable:
    """Return several tables as one, with None where one lacks a column."""
    roles = {name: role for table in tables for name, role in table.roles.items()}
    return ResultsTable(
        columns={
            name: [value for table in tables for value in table.columns.get(name, [None] * len(table.places))]
            for name in roles
        },
        places=[place for table in tables for place in table.places],
        roles=roles,
        reader=" and ".join(dict.fromkeys(table.reader for table in tables)),
        files=tuple(path for table in tables for path in table.files),
        notes=tuple(note for table in tables for note in table.notes),
    )
