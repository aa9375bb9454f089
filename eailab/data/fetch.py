"""Download the files of published data sets; a file gets its name only after its checksum was found right."""

import io
import logging
import tarfile
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from threading import Timer
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock

from eailab.data.published import Source, checksum
from eailab.errors import MissingDataError

SILENCE_SECONDS = 20.0
"""A server that sends nothing for so long counts as unreachable."""
PATIENCE_SECONDS = 2.0
"""After which it is said that a server has not answered yet."""
PROGRESS_SECONDS = 10.0
"""Between two messages on how far a download has come."""
CHUNK = 2**18
"""Bytes read at once."""

_log = logging.getLogger(__name__)


def fetch(source: Source, folder: Path) -> None:
    """Download what is missing of a data set into a data folder; of several processes, one does it.

    Raises:
        MissingDataError: There is no network, a server's file has a wrong checksum, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise missing_files(source, folder, f"that folder cannot be made ({error.strerror or error})") from error
    try:
        lock = folder / ".download.lock"
        if not lock.exists():
            lock.touch()  # with the umask's permissions: a colleague may be the next to download
        with FileLock(lock):
            for path, blob in _downloaded(source, folder):
                _write(folder / path, blob)
    except (OSError, HTTPException, tarfile.TarError, KeyError) as error:  # URLError is an OSError
        reason = str(error.reason if type(error) is URLError else error)
        host = "" if source.url is None else f" from {urlsplit(source.url).hostname}"
        raise missing_files(
            source, folder, f"downloading them{host} failed ({_one_line(reason) or type(error).__name__})"
        ) from error


def missing_files(source: Source, folder: Path, why: str) -> MissingDataError:
    """Return the error for files that are not there and cannot be had."""
    names = ", ".join(file.wanted for file in source.missing(folder))
    return MissingDataError(
        f"the data set {source.name} is not complete in {folder}: {names} missing, and {why}. Connect to the network "
        "and run the same command, or copy the files there, or name their folder with --data-dir or EAILAB_DATA."
    )


def _downloaded(source: Source, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of each file that is missing."""
    missing = source.missing(folder)
    if not missing:
        return
    assert source.url is not None  # noqa: S101 - a source with files says where they are
    _log.info("downloading %s from %s to %s", source.name, urlsplit(source.url).hostname, folder)
    if source.archive is None:
        for file in missing:
            yield f"{file.path}.gz", _get(f"{source.url}{file.path.rpartition('/')[2]}.gz", file.gz_digest)
        return
    with tarfile.open(fileobj=io.BytesIO(_get(source.url, source.archive))) as archive:
        for file in missing:
            member = archive.extractfile(file.path)
            if member is not None:
                yield file.path, member.read()


def _get(url: str, digest: str | None) -> bytes:
    """Return what a server sends, once it has the published checksum."""
    parts = urlsplit(url)
    waiting = Timer(
        PATIENCE_SECONDS,
        _log.warning,
        (f"{parts.hostname} has not answered yet; it is given up after {SILENCE_SECONDS:g} s of silence",),
    )
    waiting.daemon = True
    waiting.start()
    try:
        request = Request(url, headers={"User-Agent": "eailab"})  # noqa: S310 - ours, of the table of sources
        with urlopen(request, timeout=SILENCE_SECONDS) as answer:  # noqa: S310 - as above
            waiting.cancel()
            size = f" of {answer.length / 1e6:.0f}" if answer.length else ""
            blob, said = bytearray(), time.monotonic()
            while chunk := answer.read(CHUNK):
                blob += chunk
                if time.monotonic() - said > PROGRESS_SECONDS:
                    said = time.monotonic()
                    _log.info("%s: %.0f%s MB", parts.path.rpartition("/")[2], len(blob) / 1e6, size)
    finally:
        waiting.cancel()
    expected = digest or ""
    if (found := checksum(blob, expected.partition(":")[0])) != expected:
        raise OSError(f"{url} has the checksum {found}, the published one is {expected}")
    return bytes(blob)


def _write(path: Path, blob: bytes) -> None:
    """Write a file that is whole as soon as it has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(blob)
    part.replace(path)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
