"""Which bytes a study's figures had when they were drawn, and of which numbers: `figures.json` in its folder.

A figure that was damaged since is so drawn again, and never handed on as if it were whole.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eailab.errors import DamagedError
from eailab.files import FIGURE, TABLE, read
from eailab.report.figures import Drawing, FileKind
from eailab.runs import records
from eailab.runs.atomic import write_changed

SCHEMA_VERSION = 1
"""Of `figures.json`."""

NAME = "figures.json"


def keep(folder: Path, numbers: str, figures: Mapping[str, Drawing]) -> None:
    """Write a study's figures into its folder, and then what they are.

    Args:
        folder: The study's.
        numbers: The text of the numbers that they show.
        figures: By their names.

    Raises:
        StoreError: A file cannot be written.
    """
    files = {f"{name}.{kind}": data for name, drawing in figures.items() for kind, data in drawing.items()}
    for name, data in files.items():
        write_changed(folder / "figures" / name, data)
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "numbers": _sha256(numbers.encode()),
        "figures": {name: _sha256(data) for name, data in files.items()},
    }
    text = json.dumps(record | {"checksum": records.seal(record)}, indent=2)
    write_changed(folder / NAME, f"{text}\n".encode())


def kept(folder: Path, numbers: str, names: Sequence[str], kinds: Sequence[FileKind]) -> Mapping[str, Drawing] | None:
    """Return a study's figures as they lie in its folder, or None where they were not drawn, or of other numbers.

    Raises:
        DamagedError: One has other bytes than were drawn, or there is something else than a file in its place.
        StoreError: The system does not let us read one.
    """
    try:
        record = records.parse(read(folder / NAME, TABLE))
        seal = record.pop("checksum")
        if seal != records.seal(record):
            raise ValueError("it differs from its own checksum")
        figures = dict(record["figures"])
        if record["numbers"] != _sha256(numbers.encode()) or not {f"{n}.{k}" for n in names for k in kinds} <= set(
            figures
        ):
            return None
        return {name: {kind: _whole(folder, f"{name}.{kind}", figures) for kind in kinds} for name in names}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{folder / NAME} is damaged: {error}.") from error


def _whole(folder: Path, name: str, figures: Mapping[str, str]) -> bytes:
    file = folder / "figures" / name
    data = read(file, FIGURE)
    if _sha256(data) != figures[name]:
        raise DamagedError(f"{file} has other bytes than were drawn.")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
