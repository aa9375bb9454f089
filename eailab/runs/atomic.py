"""The one way that files are written: whole, or not at all."""

import os
from pathlib import Path
from uuid import uuid4

from eailab.errors import StoreError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a machine that lost its power, finds the old content or the new, never a part.

    A temporary file in the same folder is written and flushed to the disk, then renamed; then the folder is flushed.
    The folder is made where it is missing.

    Raises:
        StoreError: The disk is full, the folder cannot be written, or the like; the old content is untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:12]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode())


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file and flush it to the disk; what could not be written whole is cut off again.

    Raises:
        StoreError: The disk is full, the file cannot be written, or the like; the file has its old length.
    """
    try:
        with path.open("ab") as file:
            length = file.tell()
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(length)
                raise
    except OSError as error:
        raise _unwritable(path, error) from error


def flush_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, where the system lets folders be opened."""
    if os.name == "nt":  # Windows has no handle for this, and renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} could not be written: {error.strerror or error}. Earlier results are untouched. "
        "Make room or give the folder write permission, or choose another with --runs, then run the same command."
    )
