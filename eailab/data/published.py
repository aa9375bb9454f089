"""What is known about a published data set before its files are read, and the check of its files."""

import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eailab.data.dataset import Content
from eailab.errors import DataError
from eailab.files import DOWNLOADED, read


@dataclass(frozen=True)
class PublishedFile:
    """A file with published checksums, plain or compressed by gzip; checked whole before a byte of it is used."""

    path: str
    """Of the plain file, below the data folder, with slashes."""
    digest: str | None = None
    """`algorithm:hex` of the plain file; None where only that of the compressed one is published."""
    gz_digest: str | None = None
    """`algorithm:hex` of the file with `.gz` after its name; None where there is no such file."""

    def find(self, folder: Path) -> Path | None:
        """Return where the file lies below a data folder, or None; the plain file comes before the compressed one."""
        plain, compressed = folder / self.path, folder / f"{self.path}.gz"
        try:
            if self.digest is not None and plain.is_file():
                return plain
            return compressed if self.gz_digest is not None and compressed.is_file() else None
        except OSError:  # the folder may not be looked into; who writes there next says why
            return None

    @property
    def wanted(self) -> str:
        """The path that a message names when the file is missing."""
        return self.path if self.digest is not None else f"{self.path}.gz"

    def read(self, folder: Path) -> bytes:
        """Return the plain file's bytes.

        Raises:
            DataError: The file is missing, cannot be read, or has not its published checksum.
        """
        path = self.find(folder)
        if path is None:
            raise DataError(f"{folder / self.wanted} is missing.")
        compressed = path.suffix == ".gz"
        expected = self.gz_digest if compressed else self.digest
        assert expected is not None  # noqa: S101 - `find` returns only files that have one
        try:
            blob = read(path, DOWNLOADED)
        except FileNotFoundError as error:
            raise DataError(f"{path} is missing.") from error
        found = checksum(blob, expected.partition(":")[0])
        if found != expected:
            raise DataError(
                f"{path} is damaged, or another file: its checksum is {found}, the published one {expected}. "
                "Delete it and run the same command, which then downloads it, or copy the official file there."
            )
        try:
            return gzip.decompress(blob) if compressed else blob
        except (OSError, EOFError, zlib.error) as error:  # only when the published file itself were torn
            raise DataError(f"{path} cannot be decompressed: {error}.") from error


def checksum(blob: bytes | bytearray, algorithm: str) -> str:
    """Return `algorithm:hex` of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, blob, usedforsecurity=False).hexdigest()}"


@dataclass(frozen=True)
class Source:
    """A data set that has a name."""

    name: str
    about: str
    """One line for a list."""
    train: int
    """Number of training images."""
    test: int
    """Number of test images."""
    shape: tuple[int, int, int]
    """Rows, columns and channels of an image."""
    classes: int
    read: Callable[[Path], Content]
    """Decodes the files below a data folder; raises `DataError` for one that is missing or damaged."""
    files: tuple[PublishedFile, ...] = ()
    """What has to lie in the data folder; none where the data are in the package."""
    url: str | None = None
    """Where the files are published: an archive (`.tar.gz`) of all, or what stands before the name of each `.gz`."""
    archive: str | None = None
    """`algorithm:hex` of the archive; None where the files are published one by one."""

    @property
    def kind(self) -> Literal["embedded", "downloaded"]:
        """Where the images come from."""
        return "downloaded" if self.files else "embedded"

    def missing(self, folder: Path) -> list[PublishedFile]:
        """Return the files that are not below a data folder."""
        return [file for file in self.files if file.find(folder) is None]
