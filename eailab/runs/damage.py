"""Find damage in the files of a trial, and set damaged files aside before it is trained again."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eailab import files
from eailab.errors import DamagedError, StoreError
from eailab.runs import atomic, records

if TYPE_CHECKING:
    from eailab.runs.trial_folder import TrialFolder

SCHEMA_VERSION = 1
"""Of every file that the store writes; a newer one is refused, an older one is read."""

SET_ASIDE = re.compile(r"\.(damaged|replaced)-\d+$")
"""What ends the name of a file that was set aside."""

TRAINED_AGAIN = "The trial is trained again."


def read_result(folder: "TrialFolder") -> dict[str, Any] | None:
    """Return what `result.json` says, checked by its own checksum only, or None while there is none.

    Raises:
        DamagedError: It is not a whole result of this trial.
        StoreError: It is of a newer version, the system does not let us read it, or the folder is a link.
    """
    try:
        text = files.read(folder.result_file, files.RESULT)
    except FileNotFoundError:
        return None
    try:
        record = records.parse(text)
        seal = record.pop("checksum")
        version = record["schema_version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{folder.result_file} is damaged: it is not a whole result.") from error
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{folder.result_file} has schema version {version}, this eailab knows {SCHEMA_VERSION}: "
            "install a newer eailab."
        )
    if seal != records.seal(record):
        raise DamagedError(f"{folder.result_file} differs from its own checksum: it is damaged.")
    try:
        records.check_result(record, folder.metrics())
        trial, vouched = record["trial"], record["files"]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{folder.result_file} is not a result of eailab: {error!r}.") from error
    if trial != folder.path.name:
        raise DamagedError(f"{folder.result_file} belongs to another trial, {trial!s:.40}.")
    wanted = {file.name for file in folder.vouched(record["status"])}
    if set(vouched) != wanted:
        raise DamagedError(f"{folder.result_file} vouches for other files than {', '.join(sorted(wanted))}.")
    return record


def broken_files(folder: "TrialFolder", record: dict[str, Any], *, thorough: bool = True) -> Iterator[tuple[Path, str]]:
    """Yield the files that a result vouches for and that are not as it says, and what is wrong with each."""
    whole = thorough
    for name, expected in record["files"].items():
        file, found = folder.path / name, None
        try:
            if thorough or file != folder.weights_file:
                found = sha256(folder, name)
            else:
                with suppress(FileNotFoundError), files.opened(file, files.WEIGHTS):
                    continue
        except DamagedError as error:
            whole = False
            yield file, str(error)
            continue
        if found != expected:
            whole = False
            differs = f"differs from the checksum in {folder.result_file.name}"
            yield file, f"{file} {'is missing' if found is None else differs}."
    if whole:  # the checksums hold, and say nothing of what was sealed
        try:
            planned = folder.recipe().epochs if record["status"] == "finished" else record["epochs"]
        except DamagedError as error:
            yield folder.recipe_file, str(error)
            return
        try:
            folder.check_epochs(planned)
        except DamagedError as error:
            yield folder.epochs_file, str(error)


def sha256(folder: "TrialFolder", name: str) -> str | None:
    """Return the checksum of one of the files that a result vouches for; None where it is missing."""
    kinds = {folder.recipe_file: files.TRIAL_RECIPE, folder.epochs_file: files.EPOCHS}
    kinds |= {folder.weights_file: files.WEIGHTS, folder.predictions_file: files.PREDICTIONS}
    try:
        return files.sha256(folder.path / name, kinds[folder.path / name])
    except FileNotFoundError:
        return None


def set_damage_aside(folder: "TrialFolder") -> list[str]:
    """Rename what is damaged in a trial that is not finished, before it is trained, and say what of each file.

    A whole result that vouches for a damaged file is kept under another name too: it holds no longer.

    Raises:
        StoreError: It cannot be renamed, or a result is of a newer version.
    """
    try:
        record = folder.record()
    except DamagedError as error:
        return [_set_aside(folder.result_file, str(error)), TRAINED_AGAIN]
    if record is not None:
        said = [_set_aside(file, damage) for file, damage in broken_files(folder, record)]
        kept = atomic.set_aside(folder.result_file, "replaced")
        return [*said, f"{folder.result_file.name} was kept as {kept.name}.", TRAINED_AGAIN]
    said = []
    for file, read in ((folder.epochs_file, folder.epochs), (folder.identity_file, folder.identity)):
        try:
            if os.path.lexists(file):
                read()
        except DamagedError as error:
            said.append(_set_aside(file, str(error)))
    return said


def _set_aside(file: Path, damage: str) -> str:
    """Rename a damaged file, if it is there, and say what is wrong with it and what it is called now."""
    if not os.path.lexists(file):
        return damage
    return f"{damage} It was set aside as {atomic.set_aside(file).name}."
