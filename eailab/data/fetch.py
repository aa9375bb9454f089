"""Getting the files of a published data set, through torchvision and its checksums."""

import socket
from pathlib import Path

from filelock import FileLock

from eailab.data.source import Source
from eailab.errors import DataError

SILENCE_SECONDS = 30.0
"""A server that sends nothing for so long counts as unreachable."""


def fetch(source: Source, folder: Path) -> None:
    """Download what is missing of a data set into a data folder; of several processes, one does it.

    Raises:
        DataError: There is no network, a server's file has a wrong checksum, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".download.lock"):
            if source.missing(folder):
                _download(source, folder)
    except (OSError, RuntimeError) as error:  # torchvision raises both; URLError is an OSError
        raise missing_files(source, folder, f"downloading them failed ({_first_line(error)})") from error
    if source.missing(folder):
        unpacked = "torchvision fetched nothing, as it does where its unpacked files lie already (delete those)"
        raise missing_files(source, folder, unpacked)


def missing_files(source: Source, folder: Path, why: str) -> DataError:
    """Return the error for files that are not there and cannot be had."""
    names = ", ".join(file.wanted for file in source.missing(folder))
    return DataError(
        f"the data set {source.name} is not complete in {folder}: {names} missing, and {why}. Connect to the network "
        "and run the same command, or copy the files there, or name their folder with --data-dir or EAILAB_DATA. "
        "Without any download: --recipe digits-mlp or --recipe resnet18-digits, whose images come with eailab."
    )


def _download(source: Source, folder: Path) -> None:
    import torchvision

    assert source.torchvision is not None  # noqa: S101 - a source with files says who fetches them
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        getattr(torchvision.datasets, source.torchvision)(str(folder), download=True)
    finally:
        socket.setdefaulttimeout(before)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
