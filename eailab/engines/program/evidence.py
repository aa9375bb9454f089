"""Collect what a finished run of a program has left: every number that it reported, and its configuration files."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eailab import files
from eailab.engines.named_metrics import tokens
from eailab.engines.program.parsing import Row, json_lines, lines_of_output, metrics_file, number
from eailab.engines.program.reading import Sources
from eailab.errors import TrialFailedError

CONFIGURATIONS = {
    f"{name}.{suffix}"
    for name in ("config", "hparams", "args", "params", "settings")
    for suffix in ("yaml", "yml", "json")
}
"""Names of files in which programs leave their settings: Hydra, Lightning, Weights & Biases, and by hand."""
CONFIGURATION = files.Kind(files.MB, refusal=TrialFailedError)
DEEPEST = 3
"""Folders below `{out}` in which these files are looked for."""
MOST = 200
"""Entries of folders that are looked at."""

UNSTEADY = frozenset(
    "seed seeds block time times sec secs second seconds ms min mins minutes hour hours eta speed elapsed duration s "
    "it its throughput pid date timestamp host hostname port memory mem gb mb dir path file folder out output log logs "
    "cwd run id uuid version".split()
)
"""Words of names whose values differ between runs whatever a program learns."""


@dataclass(frozen=True)
class Evidence:
    """One finished run of a program."""

    arm: str
    block: int
    values: Mapping[str, float]
    """Of the study's metrics, by `Metric.key`; the judged one first."""
    numbers: Mapping[str, tuple[str, ...]]
    """All numbers that it reported, in order, by name; without times, seeds and paths."""
    settings: Mapping[str, str]
    """What its configuration files say, by dotted key; without seeds and paths."""


def evidence(arm: str, block: int, values: Mapping[str, float], sources: Sources, out: Path) -> Evidence:
    """Return what a finished run has left in its own folder; links out of it are not followed, since it may be foreign.

    `out` is the folder that `{out}` names, in the trial's own.
    """
    return Evidence(arm, block, values, _numbers(sources, out.parent), dict(_settings(out)))


def _numbers(sources: Sources, folder: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[object, str]] = {}
    for file, parse in (
        (sources.log, json_lines),
        (sources.file, metrics_file),
        (sources.stdout, lines_of_output),
        (sources.stderr, lines_of_output),
    ):
        for row in _rows(file, folder, parse):
            # A program that goes on from its own checkpoint may report an epoch again.
            is_counted = file == sources.log and row.steps
            place = (file, *sorted(row.steps.items())) if is_counted else (file, row.line)
            for value in row.values:
                if file is not None and not UNSTEADY & set(tokens(value.name)):
                    found.setdefault(value.name, {})[place] = value.text  # of a progress bar, the last
    return {name: tuple(texts.values()) for name, texts in found.items()}


def _rows(file: Path | None, folder: Path, parse: Callable[[str], list[Row]]) -> list[Row]:
    with suppress(FileNotFoundError, TrialFailedError, ValueError):
        if file is not None and file.resolve().is_relative_to(folder.resolve()):
            return parse(files.read(file, files.OUTPUT).decode(errors="replace"))
    return []


def _settings(out: Path) -> Iterator[tuple[str, str]]:
    """Return the settings in the configuration files of a folder."""
    for file in sorted(_below(out, DEEPEST)):
        content = None
        with suppress(FileNotFoundError, TrialFailedError, ValueError, yaml.YAMLError, RecursionError):
            text = files.read(file, CONFIGURATION)
            if file.suffix == ".json":
                content = json.loads(text)
            elif not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):  # they may grow without end
                content = yaml.safe_load(text)
        for key, value in _flat(content):
            if not UNSTEADY & set(tokens(key)) and str(out) not in value and str(out.parent) not in value:
                yield key, value


def _below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())[:MOST]
    except OSError:
        return
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink() and depth:
            yield from _below(entry, depth - 1)
        elif entry.name in CONFIGURATIONS and not entry.is_symlink():
            yield entry


def _flat(content: Any, before: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{before}{key}.")
    elif before:
        yield before.rstrip("."), _written(content)


def _written(value: Any) -> str:
    """Return a value as text in which equal numbers are equal: 0.001 and 1e-3."""
    text = json.dumps(value, sort_keys=True, default=str) if not isinstance(value, str) else value
    return same_number(text)


def same_number(text: str) -> str:
    """Return a number in one form, whatever the form in which it was written.

    >>> same_number("1e-3"), same_number("0.0010"), same_number("adam")
    ('0.001', '0.001', 'adam')
    """
    try:
        return repr(number(text)).removesuffix(".0")
    except ValueError:
        return text
