"""Whether the files of a data set are there and are the published ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eailab.data.dataset import Dataset
from eailab.data.source import PublishedFile
from eailab.data.table import SOURCES, data_dir, load
from eailab.errors import DataError


@dataclass(frozen=True)
class FileCheck:
    """One file of a data set."""

    path: Path
    state: Literal["ok", "missing", "damaged"]
    detail: str
    """What is wrong and what to do; empty when nothing is."""


@dataclass(frozen=True)
class DataCheck:
    """A data set's files, and what they hold if all are in order."""

    files: tuple[FileCheck, ...]
    """None for data that come with the package, and for a user's own."""
    dataset: Dataset | None


def check(name: str, option: Path | None = None) -> DataCheck:
    """Check a data set's files against their published checksums and read it; nothing is downloaded.

    Args:
        name: As for `load`.
        option: The data folder, as for `data_dir`.

    Raises:
        DataError: There is no such data set, or a user's own has impossible content.
    """
    folder = data_dir(option)
    files = tuple(_file(file, folder) for file in SOURCES[name].files) if name in SOURCES else ()
    whole = all(file.state == "ok" for file in files)
    return DataCheck(files, load(name, option, download=False) if whole else None)


def _file(file: PublishedFile, folder: Path) -> FileCheck:
    path = file.find(folder)
    if path is None:
        return FileCheck(folder / file.wanted, "missing", "downloaded when a command first needs it")
    try:
        file.read(folder)
    except DataError as error:
        return FileCheck(path, "damaged", str(error))
    return FileCheck(path, "ok", "")
