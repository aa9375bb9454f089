"""Write files of the store, in one way: whole, or not at all, and never through a link.

Every call that changes the disk goes through `os`, one function each, so that the fault suite can stop at any of them.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from eailab.errors import StoreError
from eailab.files import WRITTEN, Kind, opened, read, unreadable

TEMPORARY = ".*.tmp"
"""Pattern of the names of temporary files; one that is left over belongs to a process that died."""

AT_ONCE = 16
"""Files that are flushed side by side, at most."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe in place of a file must not make us wait
_BINARY = getattr(os, "O_BINARY", 0)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a machine that lost its power, finds the old content or the new, never a part.

    A temporary file in the same folder is written and flushed to the disk, then renamed; then the folder is flushed.
    The folder is made where it is missing. A link in the file's place is replaced, not followed.

    Raises:
        StoreError: The disk is full, the folder cannot be written, or the like; the old content is untouched.
    """
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write files of one folder, each as `write_bytes` does; a crash may leave some of them new and others old.

    They are flushed side by side: a disk takes several in the time of one.

    Raises:
        StoreError: As `write_bytes`.
    """
    if not contents:
        return
    temporaries = {path: path.with_name(f".{path.name}.{uuid4().hex[:12]}.tmp") for path in contents}
    first, *_ = contents
    with writing(first):
        make_folder(first.parent)
        try:
            if len(contents) == 1:
                _write_new(temporaries[first], contents[first])
            else:
                with ThreadPoolExecutor(min(len(contents), AT_ONCE)) as writers:
                    list(writers.map(_write_new, temporaries.values(), contents.values()))
            for path, temporary in temporaries.items():
                with writing(path):
                    temporary.replace(path)
        except BaseException:
            for temporary in temporaries.values():
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
            raise
        flush_folder(first.parent)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_changed(path: Path, data: bytes) -> None:
    """Write a file, as `write_bytes` does, unless it holds these bytes already.

    Raises:
        StoreError: Something else than a plain file is in its place, or it cannot be read or written.
    """
    write_changed_together({path: data})


def write_changed_together(contents: Mapping[Path, bytes]) -> None:
    """Write those files that do not hold these bytes already, the files of each folder together.

    Raises:
        StoreError: As `write_changed`.
    """
    by_folder: dict[Path, dict[Path, bytes]] = defaultdict(dict)
    for path, data in contents.items():
        with suppress(FileNotFoundError):
            if read(path, WRITTEN) == data:
                continue
        by_folder[path.parent][path] = data
    for changed in by_folder.values():
        write_together(changed)


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file, which is made where it is missing; what could not be written whole is cut off again.

    See `flush` for a loss of power.

    Raises:
        StoreError: The disk is full, the file cannot be written, or the like; the file has its old length.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK | _NO_WAIT | _BINARY
    with writing(path), _opened(path, flags) as descriptor:
        length = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, data)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, length)
            raise


def flush(path: Path) -> None:
    """Flush what was appended to a file to the disk, so that it outlives a loss of power.

    Raises:
        StoreError: It cannot be opened, or flushed.
    """
    flags = os.O_WRONLY | os.O_APPEND | _NO_LINK | _NO_WAIT | _BINARY
    with writing(path), _opened(path, flags) as descriptor:
        os.fsync(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and flush the list of names that each is entered in.

    Raises:
        OSError: It cannot be made, or a file is in its place.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    flush_folder(folder.parent)


def refuse_links(*folders: Path) -> None:
    """Refuse a link in place of a folder of the store: what is written, renamed or removed there lies elsewhere.

    Raises:
        StoreError: One of them is a link.
    """
    for folder in folders:
        if folder.is_symlink():
            raise StoreError(f"{folder} is a link: eailab writes into folders of its own only. Move the link away.")


def flush_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, where the system lets folders be opened."""
    if os.name == "nt":  # Windows has no handle for this, and renames are journalled
        return
    with _opened(folder, os.O_RDONLY) as descriptor:
        os.fsync(descriptor)


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder for good.

    Raises:
        StoreError: It cannot be renamed.
    """
    with writing(path):
        path.replace(target)
        flush_folder(target.parent)


def set_aside(path: Path, why: str = "damaged") -> Path:
    """Rename a file so that it is never read as truth, and return its new name, such as `result.json.damaged-1`.

    Raises:
        StoreError: It cannot be renamed.
    """
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.{why}-{number}")):
        number += 1
    rename(path, aside)
    return aside


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        StoreError: It cannot be removed.
    """
    with writing(path):
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of the system's errors in the block that it does not let us write a path.

    Raises:
        StoreError: In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} could not be written: {error.strerror or error}. Earlier results are untouched. "
            "Make room or give the folder write permission, or choose another with --runs or --out, "
            "then run the same command."
        ) from error


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file or folder by its descriptor."""
    descriptor = os.open(path, flags, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and flush it."""
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY) as descriptor:
        _write_all(descriptor, data)
        os.fsync(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def after_a_torn_line(file: Path, kind: Kind) -> bytes:
    """Return the line break that keeps a new line apart from one that was cut short, or nothing."""
    try:
        with opened(file, kind) as written:
            written.seek(max(0, written.seek(0, os.SEEK_END) - 1))
            return b"" if written.read(1) in (b"", b"\n") else b"\n"
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise unreadable(file, error) from error
