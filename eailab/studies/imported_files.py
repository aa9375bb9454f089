"""Write, read and check the files of an imported study: its values, and a copy of what they were read from."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter

from eailab import files
from eailab.errors import DamagedError, EailabError, UsageError
from eailab.plain import NOT_UTF8, plain
from eailab.runs import atomic
from eailab.studies.design import Study
from eailab.studies.imported import Imported, PublishedArm, finite_or_none, parse_summary

VALUES, SOURCE = "imported.json", "source"
"""In the folder of an imported study: the values, and the folder of the files that they were read from."""


def kept(paths: Sequence[Path], read: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    """Return which of the files read a study keeps, by path below `source/`, and what stands there for the paths named.

    Raises:
        UsageError: A name cannot be recorded.
    """
    try:
        root = os.path.commonpath([_absolute(path).parent for path in paths])
    except ValueError as error:  # of Windows' drives
        raise UsageError(f"{paths[0]} and {paths[-1]} lie on two drives: copy them into one folder.") from error

    def below(path: Path) -> str:
        name = _absolute(path).relative_to(root).as_posix()
        if NOT_UTF8.search(name):
            raise UsageError(f"{plain(str(path))}: a name that is not UTF-8 cannot be recorded. Rename it.")
        return name

    return {below(file): file for file in read}, [below(path) for path in paths]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - a link is named as it is, not by what it leads to


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return sha256(files.read(file, files.IMPORT)).hexdigest()


def write_imported(folder: Path, imported: Imported, sources: Mapping[str, Path]) -> None:
    """Write the values of an imported study, and copies of the files that they were read from.

    Raises:
        StoreError: Something cannot be written.
        UsageError: A file has changed since it was read.
    """
    atomic.make_folder(folder)
    for name, file in sources.items():
        data = files.read(file, files.IMPORT)
        if sha256(data).hexdigest() != imported.files[name]:
            raise UsageError(f"{file} has changed while it was judged: judge it again.")
        atomic.make_folder((folder / SOURCE / name).parent)
        atomic.write_changed(folder / SOURCE / name, data)
    atomic.write_changed(folder / VALUES, imported.text.encode())


def read_imported(folder: Path, digest: str) -> Imported:
    """Read the values of an imported study.

    Raises:
        DamagedError: They are missing, or not those that the study was judged by.
    """
    file = folder / VALUES
    try:
        text = files.read(file, files.IMPORT_VALUES)
    except FileNotFoundError as error:
        raise DamagedError(f"{file} is missing: judge the source again.") from error
    if sha256(text).hexdigest() != digest:
        raise DamagedError(f"{file} differs from the SHA-256 in study.yaml: it is damaged. Judge the source again.")
    try:
        return _record().validate_json(text, strict=True)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{file} is not the values of an imported study: judge the source again.") from error


@cache
def _record() -> TypeAdapter[Imported]:
    return TypeAdapter(Imported)


def problems(folder: Path, imported: Imported, study: Study) -> Iterator[str]:
    """Yield what the kept source of a study does not say as its values do: changed files, and values read again."""
    for name, digest in imported.files.items():
        kind = files.Kind(files.IMPORT.largest, folders=3 + name.count("/"))
        try:
            if files.sha256(folder / SOURCE / name, kind) != digest:
                yield f"{SOURCE}/{name} is not the file that was judged: its SHA-256 differs"
                return
        except FileNotFoundError:
            yield f"{SOURCE}/{name} is missing"
            return
        except EailabError as error:
            yield f"{SOURCE}/{name} cannot be read as it was judged: {error}"
            return
    try:
        levels, arms, summaries = _read_again(folder / SOURCE, imported)
    except EailabError as error:
        yield f"{SOURCE} cannot be read as it was judged: {error}"
        return
    count = len(imported.arms) - (imported.target is not None)
    if arms != [dict(one) for one in imported.arms[:count]] or summaries != list(imported.summaries[:count]):
        yield f"{SOURCE}, read again, does not give the values that were judged"
    elif len(imported.asked.paths) < 2 and levels != [arm.level for arm in study.arms[:count]]:
        yield f"{SOURCE}, read again, does not give the arms that were judged"


def _read_again(
    root: Path, imported: Imported
) -> tuple[list[str], list[dict[str, float | None]], list[PublishedArm | None]]:
    """Return the level, the values by seed and the summary of each arm, read from files or published texts again."""
    from eailab.existing.assign import assign
    from eailab.existing.read import read_table

    asked = imported.asked
    if asked.summary:
        published = dict(map(parse_summary, asked.summary))
        return list(published), [{} for _ in published], list(published.values())
    levels: list[str] = []
    arms: list[dict[str, float | None]] = []
    for paths in asked.paths:
        observed = assign(read_table([root / path for path in paths]), asked.options)
        for file in observed.table.files:
            if file.relative_to(root).as_posix() not in imported.files:
                raise UsageError(f"{file} was not judged.")
        levels += observed.arms
        arms += map(finite_or_none, observed.arms.values())
    return levels, arms, [None] * len(arms)
