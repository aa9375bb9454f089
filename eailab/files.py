"""Read files, for all of eailab: plain ones of a known kind, no larger than a file of that kind can be.

A runs folder may come from a stranger. There, a link would lead out of the folder, a pipe would never end, a device
would never stop, and a sparse file would fill the memory: each is refused by name before a byte is read.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from eailab.errors import (
    DamagedError,
    DataError,
    EailabError,
    RecipeError,
    StoreError,
    TrialFailedError,
    UsageError,
    shortage_of,
)

MB = 2**20
GB = 2**30


@dataclass(frozen=True)
class Kind:
    """Files that are read for one purpose."""

    largest: int
    """Bytes that such a file has at most."""
    folders: int | None = None
    """How many of the folders above it are eailab's own: neither they nor the file may be links. None for a file that a
    person names, which may be one."""
    refusal: type[EailabError] = DamagedError
    """Raised for what is not such a file."""


RESULT = Kind(MB, folders=2)
TRIAL_RECIPE = Kind(MB, folders=2)
EPOCHS = Kind(256 * MB, folders=2)
"""The largest recipe has a million epochs, and a line fewer than 256 bytes."""
TIMINGS = Kind(GB, folders=2)
"""An epoch that was trained several times has several lines."""
PREDICTIONS = Kind(GB, folders=2)
"""Half a thousand million images, packed or not."""
WEIGHTS = Kind(32 * GB, folders=2)
"""Also a checkpoint, which has their moving average and the optimizer's moments next to them."""
KEPT_OUTPUT = Kind(16 * MB, folders=2)
"""What a person's program printed in a trial, without its middle where it is long."""
CURVES = Kind(256 * MB, folders=2)
"""What it reported step by step."""
PROGRAM = Kind(16 * MB, folders=1)
STUDY = Kind(64 * MB, folders=2)
IMPORT = Kind(GB, refusal=UsageError)
"""Results of others that are judged."""
IMPORT_VALUES = Kind(GB, folders=2)
TABLE = Kind(256 * MB, folders=2)
FIGURE = Kind(64 * MB, folders=3)
PLAN = Kind(16 * MB, folders=1)
LEASE = Kind(4096, folders=0)
WORD = Kind(1000, folders=0)
"""With which the machines of a cluster show that they see one folder."""
WRITTEN = Kind(256 * MB, folders=0)
"""A report, table or figure that is written again where it has changed."""
DATABASE = Kind(1024 * GB, folders=0)
"""MLflow's."""

OUTPUT = Kind(256 * MB, refusal=TrialFailedError)
"""Of a person's program: what it printed, and its files of metrics."""
CODE = Kind(16 * MB, refusal=DataError)
"""Of a person's program."""

RECIPE = Kind(64 * 1024, refusal=RecipeError)
"""Also a study file."""
REPORT = Kind(64 * MB, refusal=UsageError)
STUDENTS_REPORT = Kind(4 * MB, folders=0, refusal=UsageError)
"""And other texts of a submission, which may come from a stranger."""
SPLIT = Kind(GB, refusal=DataError)
IMAGE = Kind(256 * MB, refusal=DataError)
ARRAYS = Kind(256 * GB, refusal=DataError)
"""A person's own `.npz` file."""
DOWNLOADED = Kind(GB, refusal=DataError)
"""A file of a published data set."""

_NAMES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not make us wait


def read(path: Path, kind: Kind) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: There is none.
        StoreError: A folder of eailab above it is a link, or the system does not let us read a file of eailab.
        EailabError: The kind's refusal: it is not a plain file, or too large; or, for a file that a person names, the
            system does not let us read it.
    """
    with opened(path, kind) as file:
        try:
            return file.read()
        except OSError as error:
            raise _unreadable(path, kind, error) from error


def sha256(path: Path, kind: Kind) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits, without holding the file in memory.

    Raises:
        FileNotFoundError: There is none.
        EailabError: As `read` says.
    """
    import hashlib  # slow to import, and not needed by most commands

    with opened(path, kind) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(path, kind, error) from error


def lines_of(file: Path, kind: Kind) -> list[bytes]:
    """Return the lines of a file, as `read` reads it; none of one that is not there."""
    try:
        return read(file, kind).splitlines()
    except FileNotFoundError:
        return []


@contextmanager
def opened(path: Path, kind: Kind) -> Iterator[BufferedReader]:
    """Open a file, known to be a plain one of a sensible size, for a reader of its format.

    Raises:
        FileNotFoundError: There is none.
        EailabError: As `read` says.
    """
    folder = os.fspath(path)
    for _ in range(kind.folders or 0):
        folder = os.path.dirname(folder)  # noqa: PTH120 - three times as quick as a Path's, which lists of trials notice
        if os.path.islink(folder):  # noqa: PTH114
            raise StoreError(f"{folder} is a link, and none is followed in a runs folder: move it away.")
    try:
        descriptor = os.open(path, _FLAGS if kind.folders is None else _FLAGS | _NO_LINK)
    except (FileNotFoundError, NotADirectoryError) as error:  # the latter where a file is in place of a folder
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except (OSError, ValueError) as error:
        raise _unopened(path, kind, error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, kind, status.st_mode)
        if status.st_size > kind.largest:
            raise kind.refusal(
                f"{path} has {status.st_size:,} bytes, and such a file has at most {kind.largest:,}: {_advice(kind)}"
            )
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


class Within:
    """A file in the folder that an object's `path` names; its own path is made when it is asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, _: object = None) -> Path:
        """Return its path."""
        file: Path = owner.path / self.name
        return file


def unreadable(path: Path, error: OSError) -> EailabError:
    """Return what to say of a file or folder of the store that the system does not let us read."""
    return _shortage(error) or StoreError(
        f"{path} cannot be read: {error.strerror or error}. "
        "Give yourself permission to read it, or choose another folder with --runs."
    )


def _unopened(path: Path, kind: Kind, error: OSError | ValueError) -> EailabError:
    """Return what to say of a file that could not be opened: what it is, if that is the reason."""
    if isinstance(error, ValueError):
        return kind.refusal(f"{str(path)!r:.80} cannot be the name of a file: {error}.")
    with suppress(OSError):
        mode = path.stat(follow_symlinks=kind.folders is None).st_mode
        if not stat.S_ISREG(mode):
            return _refused(path, kind, mode)
    return _unreadable(path, kind, error)


def _refused(path: Path, kind: Kind, mode: int) -> EailabError:
    what = _NAMES.get(stat.S_IFMT(mode), "something else")
    return kind.refusal(f"{path} is {what}, and only plain files are read: {_advice(kind)}")


def _shortage(error: OSError) -> EailabError | None:
    return None if error.errno == errno.EAGAIN else shortage_of(error)  # of a file that says nothing of threads


def _unreadable(path: Path, kind: Kind, error: OSError) -> EailabError:
    if kind.folders is not None:
        return unreadable(path, error)
    return _shortage(error) or kind.refusal(f"{path} cannot be read: {error.strerror or error}.")


def _advice(kind: Kind) -> str:
    return "name another file." if kind.folders is None else "move it away, and run the same command."


def write_new(file: Path, text: str) -> None:
    """Write a file of the user's own that is not there yet.

    Raises:
        UsageError: It is there.
        EailabError: It cannot be written.
    """
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{file} exists already and was not changed: give another name.") from error
    except OSError as error:
        raise EailabError(f"{file} cannot be written: {error.strerror}.") from error


def expanded(path: str | Path) -> Path:
    """Return a path whose `~` or `~user` at the beginning is the home folder.

    Raises:
        UsageError: There is no such user, or nothing says where the home folder is.
        OSError: The system takes no name so long, as the command line explains.
    """
    try:
        full = Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path}: the home folder is not known ({error}): write the path in full.") from error
    try:
        os.lstat(full)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
    except ValueError:  # a NUL, which whoever opens the file refuses
        pass
    return full


def safe_name(name: str) -> str:
    """Return a name that any file system takes, `study` where nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "study"


def folder_name(name: str, fingerprint: str) -> str:
    """Return what the folder of a study, a path ablation or a report is called."""
    return f"{safe_name(name)}-{fingerprint}"


def name_and_fingerprint(folder: str) -> tuple[str, str]:
    """Take a folder's name apart: what `folder_name` was given, as far as the name was safe."""
    name, _, fingerprint = folder.rpartition("-")
    return name, fingerprint


def path_name(names: tuple[str, str]) -> str:
    """Return what a path ablation between two recipes is called."""
    return "-to-".join(names)
