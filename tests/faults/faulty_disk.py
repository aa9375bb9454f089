"""A disk that fails on purpose: it stops at any call, is full, or loses its power; and the small study that meets it.

The store changes the disk through functions of `os` alone. While a `FaultyDisk` is in force they are wrapped: calls on
paths below its folder are counted, and go wrong where a test says so.
"""

import errno
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

from plans import train_plan

from eailab.errors import StoreError
from eailab.findings.study import study_findings
from eailab.recipe.load import Override, load
from eailab.report.json_report import as_json
from eailab.runs.checkpoint import Cadence
from eailab.runs.context import RunContext
from eailab.studies.design import single
from eailab.studies.plan import plan
from eailab.studies.storage import read_record

ON_FILES = ("write", "fsync", "ftruncate")
ON_PATHS = ("replace", "unlink", "mkdir")
GIVE_ROOM = ("unlink", "ftruncate")
"""Calls that a full disk still carries out."""


class Crash(BaseException):
    """The process has died; nothing that it does afterwards has an effect."""


@dataclass(frozen=True)
class Call:
    """One call that the disk saw."""

    name: str
    path: str
    data: bytes = b""
    target: str = ""
    is_folder: bool = False


@dataclass
class FaultyDisk:
    """A folder whose disk is watched, and which of its calls goes wrong, and how."""

    root: Path
    stop_at: int | None = None
    """Die at this call, counted from 0; a write has then put half of its bytes on the disk."""
    fail_from: int | None = None
    """From this call on, whatever needs room or permission fails with `error`."""
    error: int = errno.ENOSPC
    calls: list[Call] = field(default_factory=list)
    dead: bool = False
    real: dict = field(default_factory=dict)
    files: dict[int, tuple[str, bool]] = field(default_factory=dict)
    """Path of each open file below the folder by its descriptor, and whether it is a folder."""

    @contextmanager
    def in_force(self) -> Iterator["FaultyDisk"]:
        """Wrap the functions of `os`, and put them back."""
        self.real = {name: getattr(os, name) for name in (*ON_FILES, *ON_PATHS, "open", "close")}
        os.open, os.close = self._open, self._close
        for name in ON_FILES:
            setattr(os, name, partial(self._on_file, name))
        for name in ON_PATHS:
            setattr(os, name, partial(self._on_path, name))
        try:
            yield self
        finally:
            for name, function in self.real.items():
                setattr(os, name, function)

    def _goes_wrong(self, call: Call) -> bool:
        """Count a call, and say whether it is its turn."""
        if self.dead:
            raise Crash
        number = len(self.calls)
        self.calls.append(call)
        self.dead = number == self.stop_at
        full = self.fail_from is not None and number >= self.fail_from
        return self.dead or (full and call.name not in GIVE_ROOM)

    def _fail(self, path: str) -> NoReturn:
        if self.dead:
            raise Crash
        raise OSError(self.error, os.strerror(self.error), path)

    def _is_watched(self, path: object) -> bool:
        return isinstance(path, str | Path) and Path(path).is_relative_to(self.root)

    def _open(self, path, flags, *rest, **more):
        if not self._is_watched(path):
            return self.real["open"](path, flags, *rest, **more)
        name = os.fspath(path)
        is_new = bool(flags & os.O_CREAT) and not os.path.lexists(name)
        if is_new and self._goes_wrong(Call("open", name)):
            self._fail(name)
        descriptor = self.real["open"](path, flags, *rest, **more)
        self.files[descriptor] = (name, Path(name).is_dir())
        return descriptor

    def _close(self, descriptor):
        self.files.pop(descriptor, None)
        return self.real["close"](descriptor)

    def _on_file(self, name, descriptor, *rest):
        if descriptor not in self.files:
            return self.real[name](descriptor, *rest)
        path, is_folder = self.files[descriptor]
        data = bytes(rest[0]) if name == "write" else b""
        length = str(rest[0]) if name == "ftruncate" else ""
        if self._goes_wrong(Call(name, path, data, length, is_folder)):
            if name == "write":
                self.real["write"](descriptor, data[: len(data) // 2])
            self._fail(path)
        return self.real[name](descriptor, *rest)

    def _on_path(self, name, path, *rest, **more):
        if self._is_watched(path):
            target = os.fspath(rest[0]) if name == "replace" else ""
            if self._goes_wrong(Call(name, os.fspath(path), target=target)):
                self._fail(os.fspath(path))
        return self.real[name](path, *rest, **more)


# --- the study that meets the faults ---------------------------------------------------------------------------------


TINY = {
    "numpy": ("digits-mlp", {"epochs": 2, "model.hidden": [2], "data.limit": 64, "optimizer.lr": 0.01}),
    "torch": (
        "resnet18-digits",
        {"epochs": 2, "model.width": 0.0625, "data.limit": 64, "batch_size": 64, "deterministic": True, "threads": 1},
    ),
}


def tiny_study(engine="numpy", **changes):
    """A study of one trial that takes some milliseconds, or, with the torch engine, some tenths of a second."""
    name, small = TINY[engine]
    small = small | changes
    return single(load(name, [Override(path, value, "-o") for path, value in small.items()]).recipe, 0)


def run(root, study=None):
    """Carry a study out as the commands do, in this process, a checkpoint after every epoch; return its events."""
    context, events = RunContext(root, device="cpu", cadence=Cadence(epochs=1)), []
    planned = plan(study or tiny_study(), context)
    failed = train_plan(planned, context.followed(events.append), 1)
    assert not failed, failed
    return events


def table(root):
    """The bytes of the study's table."""
    context = RunContext(root)
    (folder,) = context.store.study_folders()
    return as_json(study_findings(context.store, read_record(folder)))


def left_behind(root):
    """All bytes that may not depend on faults: those of the trial and its table, but for the time of day."""
    (trial,) = (root / "trials").iterdir()
    names = ("recipe.yaml", "epochs.jsonl", "model.safetensors", "predictions.npz")
    record = json.loads((trial / "result.json").read_text())
    del record["checksum"], record["provenance"]["finished"]
    return {name: (trial / name).read_bytes() for name in names} | {"result": record, "table": table(root)}


def value_or_gap(root):
    """What a table would show of the trial: its scores, or None for a gap that is marked as one."""
    (trial,) = RunContext(root).store.trial_names() or [None]
    if trial is None:
        return None
    try:
        result = RunContext(root).store.folder(trial).result()
    except StoreError:
        return None
    return None if result is None else result.values


# --- power loss ------------------------------------------------------------------------------------------------------


@dataclass
class Inode:
    """What a file holds: as programs see it, and as it has surely reached the disk."""

    seen: bytes = b""
    safe: bytes = b""


class Platters:
    """What may be on the disk when the power fails: only what was flushed is sure, the rest came through or did not.

    A file's bytes are sure once the file was flushed; its name, once the folder was flushed that the name is in.
    """

    def __init__(self) -> None:
        self.seen: dict[str, Inode | None] = {}
        self.safe: dict[str, Inode | None] = {}
        """None is a folder."""
        self.pending: list[Call] = []
        self.inodes: dict[int, Inode] = {}

    def meet(self, call):
        """Follow one call of a trace."""
        match call.name:
            case "open" | "mkdir" | "replace" | "unlink":
                if call.name == "open":
                    self.inodes[id(call)] = Inode()
                self._apply(call, self.seen)
                self.pending.append(call)
            case "write":
                self.seen[call.path].seen += call.data
            case "ftruncate":
                self.seen[call.path].seen = self.seen[call.path].seen[: int(call.target)]
            case "fsync" if call.is_folder:
                for one in [one for one in self.pending if Path(one.path).parent == Path(call.path)]:
                    self.pending.remove(one)
                    self._apply(one, self.safe)
            case "fsync":
                inode = self.seen[call.path]
                inode.safe = inode.seen

    def _apply(self, call, names):
        match call.name:
            case "mkdir":
                names[call.path] = None
            case "open":
                names[call.path] = self.inodes[id(call)]
            case "replace" if call.path in names:
                names[call.target] = names.pop(call.path)
            case "unlink":
                names.pop(call.path, None)

    def states(self, generator):
        """Yield states that the disk may be in: each a mapping of paths to bytes, or to None for a folder."""
        kept = ([], self.pending, [one for one in self.pending if generator.random() < 0.5])
        contents = (
            lambda inode: inode.safe,
            lambda inode: inode.seen,
            lambda inode: inode.safe + inode.seen[len(inode.safe) : (len(inode.safe) + len(inode.seen)) // 2],
            lambda inode: inode.safe + bytes(max(0, len(inode.seen) - len(inode.safe))),
        )
        for names, content in itertools.product(kept, contents):
            there = dict(self.safe)
            for one in names:
                self._apply(one, there)
            yield {path: None if inode is None else content(inode) for path, inode in there.items()}

    @staticmethod
    def materialise(state, old_root, new_root):
        """Write a state under another folder; what lies in a folder that was lost is lost."""
        new_root.mkdir()
        for path, data in sorted(state.items()):
            target = new_root / os.path.relpath(path, old_root)
            if not target.parent.is_dir():
                continue
            if data is None:
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(data)
