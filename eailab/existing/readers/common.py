"""Share what readers need: files as text, JSON and YAML, and one table of runs whose columns differ."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eailab import files
from eailab.errors import UsageError
from eailab.existing.table import Role, Row, Table, Value
from eailab.recipe import yaml12


@dataclass(frozen=True)
class Run:
    """One run that was found."""

    settings: Mapping[str, Value]
    metrics: Mapping[str, Value]
    place: str
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def text_of(path: Path) -> str:
    """Return a file's text.

    Raises:
        UsageError: It is missing, not a plain file, or not in UTF-8.
    """
    try:
        return files.read(path, files.IMPORT).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8.") from error


def json_of(text: str, place: str) -> Any:
    """Return what a JSON text holds.

    Raises:
        UsageError: It is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} is not JSON: {error!s:.100}.") from error


def mapping_of(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON or YAML file, empty for an empty file.

    Raises:
        UsageError: It holds something else.
    """
    text = text_of(path)
    if path.suffix != ".json":
        return yaml12.parse(text, str(path)).value if text.strip() else {}
    found = json_of(text, str(path))
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds {type(found).__name__}, and a mapping of names to values was expected.")
    return found


def table_of(runs: Iterable[Run], reader: str, read: Iterable[Path] = (), notes: Iterable[str] = ()) -> Table:
    """Return runs as one table, with None where a run lacks a column.

    A metric that is called as a setting stands behind `metric.`.
    """
    runs = tuple(runs)
    settings = dict.fromkeys(name for run in runs for name in run.settings)
    metrics = {name: f"metric.{name}" if name in settings else name for run in runs for name in run.metrics}
    roles: dict[str, Role] = {**dict.fromkeys(settings, "setting"), **dict.fromkeys(metrics.values(), "metric")}
    empty: dict[str, Value] = dict.fromkeys(roles)
    rows = tuple(
        Row({**empty, **run.settings, **{metrics[name]: value for name, value in run.metrics.items()}}, run.place)
        for run in runs
    )
    own = (note for run in runs for note in run.notes)
    paths = dict.fromkeys([*read, *(file for run in runs for file in run.files)])
    return Table(rows, roles, reader, tuple(paths), (*notes, *own))
