"""Read the binary file that W&B leaves in an offline run's folder, without W&B.

The file is a log as LevelDB's: a header of 7 bytes, then blocks of 32 KiB of chunks, each with its checksum, length
and kind. Chunks make up records, and a record is a protocol buffer: `Record` of W&B's `wandb_internal.proto`, of which
the fields below are read. W&B writes its values as JSON texts.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, Never
from zlib import crc32

from eailab import files
from eailab.errors import UsageError
from eailab.existing.values import MAX_DEPTH

_HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
_BLOCK = 32 * 1024
_CHUNK = struct.Struct("<IHB")  # checksum, length, kind
_FULL, _FIRST, _MIDDLE, _LAST = range(1, 5)
LARGEST_RECORD = 64 * files.MB

# Numbers of fields: of a record, of a run in it, of a list of changes, and of one change.
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18
_RUN_CONFIG, _RUN_SUMMARY = 4, 5
_UPDATED, _REMOVED = 1, 2
_KEY, _NESTED_KEY, _VALUE = 1, 2, 16
_EXIT_CODE = 1
_VARINT, _BYTES, _FIXED = 0, 2, {1: 8, 5: 4}
"""Kinds of fields, the last with their bytes."""
_NAMES = (bytes([_KEY << 3 | _BYTES]), bytes([_NESTED_KEY << 3 | _BYTES]))
"""How a name starts within a change."""


@dataclass
class Log:
    """The configuration and values of a run, from its log."""

    config: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)
    """The last value of each name that was logged."""
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    """None for a run that did not come to its end."""
    is_torn: bool = False
    """Whether the log ends within a record, as that of a run that was killed may."""


@dataclass
class _Changes:
    """The last change of each value, by the bytes of its name, and whether it removes the value."""

    config: dict[bytes, tuple[bool, bytes]] = field(default_factory=dict)
    history: dict[bytes, tuple[bool, bytes]] = field(default_factory=dict)
    summary: dict[bytes, tuple[bool, bytes]] = field(default_factory=dict)


class _TornError(Exception):
    """The file ends within a record."""


def read_log(path: Path) -> Log:
    """Read the log of one run.

    Raises:
        UsageError: It is damaged, or W&B of another version wrote it.
    """
    log, changes = Log(), _Changes()
    try:
        with files.opened(path, files.IMPORT) as file:
            if (head := file.read(len(_HEADER))) != _HEADER:
                _refuse(path, f"starts with {head!r}, and not as the files that W&B 0.13 to 0.31 write do")
            for place, record in _records(file, path):
                try:
                    _add(log, changes, record)
                except (ValueError, IndexError) as error:
                    _refuse(path, f"has a record that cannot be read ({error!s:.80}), before byte {place}")
    except _TornError:
        log.is_torn = True
    try:
        for values, found in (
            (log.config, changes.config),
            (log.history, changes.history),
            (log.summary, changes.summary),
        ):
            for change in found.values():
                _change(values, change)
    except (ValueError, IndexError, RecursionError) as error:
        _refuse(path, f"has a value that cannot be read ({error!s:.80})")
    return log


def _refuse(path: Path, what: str) -> Never:
    raise UsageError(
        f"{path} {what}: it is damaged, or another version wrote it. Copy it again, or send the run to W&B with "
        "`wandb sync` and export the runs as CSV."
    )


def _records(file: BufferedReader, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each record, with the number of bytes read so far."""
    parts: list[bytes] = []
    for place, kind, data in _chunks(file, path):
        if bool(parts) != (kind in (_MIDDLE, _LAST)):
            _refuse(path, f"has the chunks of a record in a wrong order, before byte {place}")
        parts.append(data)
        if sum(map(len, parts)) > LARGEST_RECORD:
            _refuse(path, f"has a record of more than {LARGEST_RECORD // files.MB} MiB, before byte {place}")
        if kind in (_FULL, _LAST):
            yield place, b"".join(parts)
            parts.clear()
    if parts:
        raise _TornError


def _chunks(file: BufferedReader, path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield the kind and the content of each chunk, after the number of bytes read so far."""
    place = len(_HEADER)
    while True:
        if (left := _BLOCK - place % _BLOCK) < _CHUNK.size:  # too few for a chunk: filled up with zeros
            place += len(file.read(left))
        head = file.read(_CHUNK.size)
        if not head:
            return
        if len(head) < _CHUNK.size:
            raise _TornError
        checksum, length, kind = _CHUNK.unpack(head)
        data = file.read(length)
        is_chunk = kind in (_FULL, _FIRST, _MIDDLE, _LAST) and length + _CHUNK.size <= _BLOCK - place % _BLOCK
        if is_chunk and len(data) < length:
            raise _TornError
        if not is_chunk or crc32(data, crc32(bytes([kind]))) != checksum:
            if (data or head)[-1] == 0 and not any(any(block) for block in iter(lambda: file.read(_BLOCK), b"")):
                raise _TornError  # a file system that was not shut down has filled up the end with zeros
            what = (
                "has a record that does not match its checksum" if is_chunk else "has no record where one is expected"
            )
            _refuse(path, f"{what}, at byte {place}")
        place += len(head) + len(data)
        yield place, kind, data


def _add(log: Log, changes: _Changes, record: bytes) -> None:
    """Gather what a record says.

    Raises:
        ValueError, IndexError: It is not as expected.
    """
    for number, content in _fields(record):
        if number == _HISTORY:
            _gather(changes.history, content, removes=False)  # it has the step's number where others remove
        elif number == _SUMMARY:
            _gather(changes.summary, content)
        elif number == _CONFIG:
            _gather(changes.config, content)
        elif number == _RUN:
            for part, inner in _fields(content):
                if part in (_RUN_CONFIG, _RUN_SUMMARY):
                    _gather(changes.config if part == _RUN_CONFIG else changes.summary, inner)
        elif number == _EXIT:
            log.exit_code = next((code for part, code in _fields(content, integers=True) if part == _EXIT_CODE), 0)


def _gather(latest: dict[bytes, tuple[bool, bytes]], changes: bytes, *, removes: bool = True) -> None:
    """Keep the last change of each value, by the bytes of its name, in the order of time; it is read in the end."""
    for what, change in _fields(changes):
        if what == _UPDATED or (removes and what == _REMOVED):
            end = 0
            while change[end : end + 1] in _NAMES:
                length, end = _integer(change, end + 1)
                end += length
            name = change[:end]
            latest.pop(name, None)
            latest[name] = what == _REMOVED, change


def _change(values: dict[str, Any], change: tuple[bool, bytes]) -> None:
    """Set or remove a value."""
    is_removed, content = change
    names: list[str] = []
    text: bytes | None = None
    for number, part in _fields(content):
        if number in (_KEY, _NESTED_KEY):
            names.append(part.decode())
        elif number == _VALUE:
            text = part
    if not 0 < len(names) <= MAX_DEPTH:
        raise ValueError(f"a value with {len(names)} names")
    for name in names[:-1]:
        within = values.get(name)
        values[name] = values = within if isinstance(within, dict) else {}
    if is_removed:
        values.pop(names[-1], None)
    elif text is None:
        raise ValueError(f"{'.'.join(names)!r:.40} has no value in JSON")
    else:
        values[names[-1]] = json.loads(text)


def _fields(message: bytes, *, integers: bool = False) -> Iterator[tuple[int, Any]]:
    """Yield number and content of each field of a protocol buffer that is a text or a message, or is an integer."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _integer(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _integer(message, at)
            if integers:
                yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, at = _integer(message, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + length > end:
            raise ValueError("a field beyond its end")
        if kind == _BYTES and not integers:
            yield tag >> 3, message[at : at + length]
        at += length


def _integer(message: bytes, at: int) -> tuple[int, int]:
    """Return an integer of 7 bits a byte, and where it ends."""
    byte = message[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = message[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")
