"""Load a data set by its name, and check its files."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import platformdirs

from eailab.data import npz, published
from eailab.data.dataset import Content, Dataset, fingerprint
from eailab.data.published import PublishedFile, Source
from eailab.errors import DataError
from eailab.files import expanded
from eailab.plain import closest

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (published.DIGITS, published.DIGITS32, published.MNIST, published.FASHION_MNIST, published.CIFAR10)
}
"""A new data set: one function in `published`, one entry."""


def data_dir(option: Path | None = None) -> Path:
    """Return the data folder: the option, else `EAILAB_DATA`, else the platform's folder for a user's data."""
    named = option or os.environ.get("EAILAB_DATA")
    return expanded(named) if named else platformdirs.user_data_path("eailab")


def load(name: str, data_dir: Path | None = None, download: bool = True) -> Dataset:
    """Return a data set; one that was read before in this process, and whose files have not changed, is not read again.

    Args:
        name: One of `SOURCES`, or the path of an `.npz` file or of a folder of images by class.
        data_dir: The data folder, as for the function `data_dir`.
        download: Whether files that are missing are downloaded.

    Raises:
        DataError: There is no such data set, or its files are missing, damaged or impossible.
    """
    if name in SOURCES:
        return _published(SOURCES[name], data_dir, download)
    try:
        path = Path(name).expanduser().resolve()
        if path.is_dir():
            from eailab.data import image_files  # Pillow takes a while to import, and few data sets need it

            return _read(path.name, image_files.read_folder, path, _stamp(image_files.image_files(path)))
        if path.suffix == ".npz" and path.is_file():
            return _read(path.stem, npz.read, path, _stamp([path]))
        found = path.exists()
    except (OSError, RuntimeError) as error:  # a name too long, a folder that may not be looked into, no such user
        raise DataError(f"the data set {name!r} cannot be read: {error}.") from error
    raise _unknown(name, path, found)


def shape_of(name: str, data_dir: Path | None = None) -> tuple[tuple[int, int, int], int]:
    """Return rows, columns and channels of a data set's images, and its number of classes; nothing is downloaded.

    Raises:
        DataError: As for `load`, of a data set of a person's own.
    """
    if name in SOURCES:
        return SOURCES[name].shape, SOURCES[name].classes
    dataset = load(name, data_dir, download=False)
    height, width, channels = dataset.train.pixels.shape[1:]
    return (height, width, channels), len(dataset.classes)


def own_data(datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Return the fingerprints of those data sets that are a person's own, by the path that names each."""
    return {name: dataset.fingerprint for name, dataset in datasets.items() if name not in SOURCES}


def _published(source: Source, option: Path | None, download: bool) -> Dataset:
    where = data_dir(option).absolute()
    if source.missing(where):
        from eailab.data import fetch  # the network's modules take a tenth of a second, and few commands need them

        if not download:
            raise fetch.missing_files(source, where, "nothing was to be downloaded")
        fetch.fetch(source, where)
    paths = [path for file in source.files if (path := file.find(where)) is not None]
    return _read(source.name, source.read, where, _stamp(paths))


def _stamp(paths: list[Path]) -> tuple[tuple[Path, int, int], ...]:
    """Return what changes when a file is written again."""
    return tuple((path, status.st_mtime_ns, status.st_size) for path in paths for status in [path.stat()])


@lru_cache(maxsize=1)
def _read(name: str, read: Callable[[Path], Content], where: Path, _: tuple[tuple[Path, int, int], ...]) -> Dataset:
    train, test, classes = read(where)
    return Dataset(name, train, test, classes, fingerprint(train, test, classes))


def _unknown(name: str, path: Path, found: bool) -> DataError:
    known = ", ".join(SOURCES)
    if found:
        return DataError(
            f"{name} is not a data set: give a folder of images by class, an .npz file, or one of {known}."
        )
    if path.suffix == ".npz" or {"/", os.sep} & set(name):
        base = "" if expanded(name).is_absolute() else f" ({name}, from the folder that you are in)"
        return DataError(f"there is no data set at {path}{base}: correct the path, or give one of {known}.")
    near = closest(name, SOURCES)
    meant = f" Did you mean {near}?" if near else ""
    return DataError(f"there is no data set {name!r}.{meant} Known are {known}; or give a folder or an .npz file.")


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
    """Check a data set's files against their published checksums and read it, as `load`; nothing is downloaded.

    Raises:
        DataError: There is no such data set, or a user's own has impossible content.
    """
    folder = data_dir(option)
    files = tuple(_file_check(file, folder) for file in SOURCES[name].files) if name in SOURCES else ()
    whole = all(file.state == "ok" for file in files)
    return DataCheck(files, load(name, option, download=False) if whole else None)


def _file_check(file: PublishedFile, folder: Path) -> FileCheck:
    path = file.find(folder)
    if path is None:
        return FileCheck(folder / file.wanted, "missing", "downloaded when a command first needs it")
    try:
        file.read(folder)
    except DataError as error:
        return FileCheck(path, "damaged", str(error))
    return FileCheck(path, "ok", "")
