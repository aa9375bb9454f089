"""Share what readers need: files as text, JSON and YAML, and one table of runs whose columns differ."""

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eailab import files
from eailab.errors import UsageError
from eailab.existing.table import ResultsTable, Value
from eailab.recipe import yaml12
from eailab.translation import Text, trn

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Run:
    """One run that was found."""

    settings: Mapping[str, Value]
    """Or all that a file says of it, where settings and metrics are not told apart."""
    metrics: Mapping[str, Value]
    place: str
    files: tuple[Path, ...] = ()
    notes: tuple[Text, ...] = ()


def text_of(path: Path) -> str:
    """Return a file's text, unpacked where it is packed.

    Raises:
        UsageError: It is missing, not a plain file, too large, or not in UTF-8.
    """
    try:
        data = files.read(path, files.IMPORT)
        if data.startswith(_GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(files.IMPORT.largest + 1)
            if len(data) > files.IMPORT.largest:
                raise UsageError(f"{path} is more than {files.IMPORT.largest} bytes when it is unpacked.")
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8: save it as UTF-8.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be unpacked: {error}.") from error


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


def deleted_runs(path: Path, number: int) -> Text:
    """Say how many runs below a path their library counts as deleted."""
    return trn(
        "{file}: {n} run that was deleted is left out",
        "{file}: {n} runs that were deleted are left out",
        number,
        file=path.name,
    )


def table_of(
    runs: Iterable[Run],
    reader: str,
    read: Iterable[Path] = (),
    notes: Iterable[Text] = (),
    *,
    role: Literal["setting", "unknown"] = "setting",
) -> ResultsTable:
    """Return runs as one table, with None where a run lacks a column.

    A metric that is called as a setting stands behind `metric.`.

    Args:
        runs: A row each.
        reader: What they were read as.
        read: Files, next to those of the runs.
        notes: On all of them, before those on the runs.
        role: Of what stands among the settings.
    """
    runs = tuple(runs)
    settings = dict.fromkeys(name for run in runs for name in run.settings)
    metrics = {name: f"metric.{name}" if name in settings else name for run in runs for name in run.metrics}
    return ResultsTable(
        columns={
            **{name: [run.settings.get(name) for run in runs] for name in settings},
            **{column: [run.metrics.get(name) for run in runs] for name, column in metrics.items()},
        },
        places=[run.place for run in runs],
        roles={**dict.fromkeys(settings, role), **dict.fromkeys(metrics.values(), "metric")},
        reader=reader,
        files=tuple(dict.fromkeys([*read, *(file for run in runs for file in run.files)])),
        notes=(*notes, *(note for run in runs for note in run.notes)),
    )
