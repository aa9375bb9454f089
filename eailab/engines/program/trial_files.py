"""Name the files that a trial of a program leaves, besides those of every trial."""

import json
from pathlib import Path
from typing import BinaryIO

from eailab import files
from eailab.engines.program.reading import Reading
from eailab.engines.spec import OwnCurves, Points
from eailab.errors import DamagedError, StoreError
from eailab.plain import plain
from eailab.recipe.template import Places

OUT = "out"
"""The folder that `{out}` names: the program's own."""
PARAMS = "params.json"
"""What `{params}` names: the settings and the seed."""
REPORTED = "metrics.jsonl"
"""What `EAILAB_METRICS` names: the program may report its metrics there."""
STDOUT = "stdout.txt"
STDERR = "stderr.txt"
CURVES = "curves.json"
"""The values that the program reported step by step, as they were read."""


def curves_text(reading: Reading) -> bytes:
    """Return what `reported` reads, of what a trial has reported."""
    record = {"schema_version": 1, "way": reading.way, "curves": reading.curves, "axes": reading.axes}
    return json.dumps(record).encode()


def reported(folder: Path) -> OwnCurves:
    """Return what a finished trial has reported step by step.

    Raises:
        DamagedError: Its file is missing, or is not one that eailab has written.
    """
    file = folder / CURVES
    try:
        record = json.loads(files.read(file, files.CURVES))
        curves, axes = record["curves"], {str(key): str(axis) for key, axis in record.get("axes", {}).items()}
        found: dict[str, Points] = {
            str(key): tuple((step, float(value)) for step, value in points) for key, points in curves.items()
        }
        steps = {key: [step for step, _ in points] for key, points in found.items()}
        if any(type(step) is not int for one in steps.values() for step in one) or any(
            one != sorted(set(one)) for one in steps.values()
        ):
            raise ValueError("its steps do not rise")
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{file} is not what a program has reported: {plain(str(error))}.") from error
    axis = axes.get(next(iter(found), ""), "")
    return OwnCurves({key: one for key, one in found.items() if axes.get(key, "") == axis}, axis)


def places_of(block: int, folder: Path) -> Places:
    """Return what the placeholders of a trial's command stand for, by its block and folder."""
    return Places(block, folder.absolute() / OUT, folder.absolute() / PARAMS)


def own_folder(path: Path) -> Path:
    """Make a folder for a program, or return it as an earlier attempt has left it.

    Raises:
        StoreError: It cannot be made, or a link or a file is in its place.
    """
    try:
        if not path.is_symlink():
            path.mkdir(parents=True, exist_ok=True)
            return path
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from error
    raise StoreError(f"{path} is a link: eailab did not put it there. Remove it, and run the same command again.")


def new_file(path: Path) -> BinaryIO:
    """Open a new file to write, in place of what an earlier attempt, or a stranger, has put there.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        path.unlink(missing_ok=True)
        return path.open("xb")  # follows no link
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
