"""Find damage in the files of a trial, and set damaged files aside before it is trained again."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eailab import files
from eailab.engines.registry import ENGINES
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
        StoreError: It is of a newer version or an unknown engine, the system does not let us read it, or the folder
            is a link.
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
    if isinstance(engine := record.get("engine"), str) and engine not in ENGINES:
        raise _unknown_engine(folder, engine)
    try:
        records.check_result(record, folder.metrics())
        trial = record["trial"]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{folder.result_file} is not a result of eailab: {error!r}.") from error
    if trial != folder.path.name:
        raise DamagedError(f"{folder.result_file} belongs to another trial, {trial!s:.40}.")
    wanted = vouched(record["engine"], record["status"])
    if set(record["files"]) != set(wanted):
        raise DamagedError(f"{folder.result_file} vouches for other files than {', '.join(sorted(wanted))}.")
    return record


def broken_files(folder: "TrialFolder", record: dict[str, Any], *, thorough: bool = True) -> Iterator[tuple[Path, str]]:
    """Yield the files that a result vouches for and that are not as it says, and what is wrong with each."""
    whole, kinds = thorough, vouched(record["engine"], record["status"])
    unread = {artifact.name for artifact in ENGINES[record["engine"]].artifacts if not artifact.is_reported}
    for name, expected in record["files"].items():
        file, found = folder.path / name, None
        try:
            with suppress(FileNotFoundError):
                if thorough or name not in unread:
                    found = files.sha256(file, kinds[name])
                else:
                    with files.opened(file, kinds[name]):
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


def _unknown_engine(folder: "TrialFolder", engine: str) -> StoreError:
    """Return what to say of a result of an engine that is not here: its recipe must be of the same."""
    with suppress(FileNotFoundError):
        if f"\nengine: {engine}\n".encode() in files.read(folder.recipe_file, files.TRIAL_RECIPE):
            return StoreError(f"{folder.path} was trained by the engine {engine:.40}: install what that comes with.")
    return DamagedError(f"{folder.result_file} contradicts its recipe: the engine is {engine:.40}.")


def vouched(engine: str, status: str) -> dict[str, files.Kind]:
    """Return the files whose checksums a result holds, by name, and what may be read as each."""
    left = (one for one in ENGINES[engine].artifacts if status == "finished" or one.of_diverged)
    return {"recipe.yaml": files.TRIAL_RECIPE, "epochs.jsonl": files.EPOCHS} | {one.name: one.kind for one in left}


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
