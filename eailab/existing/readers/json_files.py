"""Read JSON and JSON lines, and what hyperfine exports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eailab.errors import UsageError
from eailab.existing.readers.common import Run, json_of, table_of, text_of
from eailab.existing.table import ResultsTable
from eailab.existing.values import flat
from eailab.plain import plain
from eailab.translation import trn


def recognises(path: Path) -> bool:
    """Tell whether a path is called as JSON is."""
    return path.suffix.lower() in (".json", ".jsonl", ".ndjson")


def read(path: Path) -> ResultsTable:
    """Read a list of runs, lists by column, a run a line, or hyperfine's times.

    Raises:
        UsageError: It holds none of these.
    """
    text = text_of(path)
    if not text.strip():
        raise UsageError(f"{path} is empty: expected a list of runs, each a mapping of names to values.")
    if path.suffix.lower() != ".json":
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        found: list[Any] = [json_of(line, f"{path}:{number}") for number, line in lines]
        return _table(found, path, [f"{path.name}:{number}" for number, _ in lines], "JSON lines")
    content: Any = json_of(text, str(path))
    match content:
        case {"results": [{"command": str(), "times": [*_]}, *_] as results}:
            return _hyperfine(results, path)
        case {**columns} if columns and all(isinstance(one, list) for one in columns.values()):
            lengths = {len(one) for one in columns.values() if isinstance(one, list)}
            if len(lengths) > 1:
                raise UsageError(f"{path} has lists of unequal lengths, {min(lengths)} to {max(lengths)}.")
            content = [dict(zip(columns, values, strict=True)) for values in zip(*content.values(), strict=True)]
        case {**one_run}:
            content = [one_run]
    if not isinstance(content, list) or not content:
        raise UsageError(f"{path} holds no runs: expected a list of mappings of names to values.")
    return _table(content, path, [f"{path.name}[{number}]" for number in range(len(content))], "JSON")


def _table(found: list[Any], path: Path, places: list[str], reader: str) -> ResultsTable:
    runs = []
    for one, place in zip(found, places, strict=True):
        if not isinstance(one, dict):
            raise UsageError(f"{place} is not a mapping of names to values, as a run is.")
        runs.append(Run(dict(flat(one)), {}, place))
    return table_of(runs, reader, [path], role="unknown")


def _hyperfine(results: list[Mapping[str, Any]], path: Path) -> ResultsTable:
    runs, notes = [], []
    for one in results:
        if failed := sum(code != 0 for code in one.get("exit_codes", [])):
            notes.append(
                trn(
                    "{command}: {n} of its runs ended with an error, and its time counts",
                    "{command}: {n} of its runs ended with an error, and their times count",
                    failed,
                    command=plain(one["command"]),
                )
            )
        runs += [
            Run(dict(flat({"command": one["command"]})), dict(flat({"seconds": time})), f"{path.name}, run {number}")
            for number, time in enumerate(one["times"], 1)
        ]
    return table_of(runs, "hyperfine", [path], notes)
