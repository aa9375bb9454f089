"""Lock folders: one process at a time works in a folder, on this machine or on several that share it.

On a local disk the kernel holds the lock and frees it when its process dies. On any other file system the lock is a
lease: a file that its holder renews, and that another may take over once it has watched it unchanged for a while. A
lease can therefore be lost in the middle of the work (a machine that slept), so its holder asks the fence before each
file that it publishes. Trials leave the same bytes whoever trains them, which makes the moment between the question
and the rename harmless.

A lease is judged by clocks that only go forward, each process by its own: no time of day is compared, so clocks that
differ or are set back change nothing. It rests on two things that every file system for several machines gives: of
several processes that create a file exclusively one succeeds, and a file that is opened again shows what was written.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

from eailab.errors import LostLockError, StoreError
from eailab.files import LEASE, read
from eailab.runs.atomic import make_folder, refuse_links

LOCAL_NAME = ".lock"
SHARED_NAME = ".lease"

LEASE_SECONDS = 90.0
"""A lease that was watched unchanged for so long may be taken over."""

RENEWALS = 3
"""How often a lease is renewed in that time."""

_LEASE = re.compile(rb"([0-9a-f]{32}) (\S+) ([0-9]{1,9}) [0-9]{12}\n")
"""Token, machine, process, and the number of renewals."""

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

Fence = Callable[[], None]
"""Raises `LostLockError` unless the lock is still ours."""

LOCAL_FILE_SYSTEMS = frozenset(
    (
        "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "nilfs2", "bcachefs",
        "tmpfs", "ramfs", "rootfs", "overlay", "apfs", "hfs", "ufs", "vfat", "msdos", "exfat", "ntfs", "ntfs3",
    )
)  # fmt: skip
"""Kinds whose locks are seen by everybody who can write there. Any other, every FUSE among them, may be shared."""

LINUX_TABLE = Path("/proc/self/mountinfo")

_BSD_LINE = re.compile(r".* on (/.*) \(([^,)]+)")
"""Of `mount` on macOS and the BSDs: `/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled)`."""


def is_shared(folder: Path, table: Path = LINUX_TABLE) -> bool:
    """Check whether other machines may write to a folder; a file system that is not known to be local counts as shared.

    Windows is not asked, since its locks go to the server.

    Args:
        folder: A folder that exists.
        table: Linux's table of mounts; where there is none, the command `mount` is asked.
    """
    if sys.platform == "win32":
        return False
    path, best, kind = folder.resolve(), 0, ""
    for point, its_kind in _mounts(table):
        if path.is_relative_to(point) and len(point.parts) >= best:  # a later mount hides an earlier one
            best, kind = len(point.parts), its_kind
    return kind not in LOCAL_FILE_SYSTEMS


def _mounts(table: Path) -> Iterator[tuple[Path, str]]:
    """Yield where each file system is mounted, and its kind."""
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        yield from bsd_mounts(_ask_mount())
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        if after:
            yield (
                Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])),
                after.split()[0],
            )


def bsd_mounts(lines: str) -> Iterator[tuple[Path, str]]:
    """Yield where each file system is mounted, and its kind, from what `mount` prints on macOS and the BSDs.

    >>> list(bsd_mounts("/dev/disk1 on / (apfs, local)"))[0][1]
    'apfs'
    """
    for line in lines.splitlines():
        if match := _BSD_LINE.match(line):
            yield Path(match[1]), match[2]


def _ask_mount() -> str:
    """Return what the command `mount` prints; nothing where it does not answer."""
    try:
        return subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _forward_clock() -> float:
    """Return seconds of a clock that is never set back, and that runs while the machine sleeps where there is one."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _machine_name() -> str:
    """Name this machine so that a process of the same name can be looked for here by its number.

    Where the system does not tell machines apart for sure, every process has a name of its own.
    """
    host = "-".join(os.uname().nodename.split()) if sys.platform != "win32" else "windows"
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{host}/{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{host}/{uuid4().hex}"


@dataclass
class Machine:
    """The machine that takes locks, and what it knows of others' leases; a test makes several of one."""

    name: str = field(default_factory=_machine_name)
    clock: Callable[[], float] = _forward_clock
    lease_seconds: float = LEASE_SECONDS
    is_shared: Callable[[Path], bool] = is_shared
    """Whether several machines may write to a folder."""
    watched: dict[Path, tuple[bytes, float]] = field(default_factory=dict)
    """The content of each lease of another process, and when it was first seen."""
    tokens: set[bytes] = field(default_factory=set)
    """Of the leases that this process holds."""


HERE = Machine()
"""This process's machine."""


@contextmanager
def hold(folder: Path, machine: Machine = HERE) -> Iterator[Fence | None]:
    """Hold a folder, which is made where it is missing.

    A process that waits for another calls this repeatedly: a lease is taken over by the process that watched it.

    Args:
        folder: A trial's, or any other of the store.
        machine: Who takes the lock, by which clock.

    Yields:
        The fence to ask before something is published; None when another process holds the folder.

    Raises:
        StoreError: The folder cannot be used.
    """
    try:
        refuse_links(folder.parent, folder)
        make_folder(folder)
        lock = _Lease(folder, machine) if machine.is_shared(folder) else _KernelLock(folder)
        taken = lock.take()
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be used: {error.strerror or error}. Earlier results are untouched. "
            "Give the folder write permission, or choose another with --runs, then run the same command."
        ) from error
    if not taken:
        yield None
        return
    try:
        yield lock.check
    finally:
        lock.release()


def is_held(folder: Path, machine: Machine = HERE) -> bool:
    """Check whether another process holds a folder, as `hold` would find; nothing is written.

    A machine that has died counts as a holder until its lease has been watched for as long as `hold` would.
    """
    try:
        if machine.is_shared(folder):
            return not _Lease(folder, machine).has_expired()
        return _KernelLock(folder).is_held()
    except (OSError, StoreError):
        return False


def in_training_error(folder: Path, name: str) -> StoreError:
    """Return the error for a trial that another process holds, or a machine that has died for all we know."""
    lease = folder / SHARED_NAME
    dead = f" If the machine that trained it has died, remove {lease}." if lease.exists() else ""
    return StoreError(f"{name} is being trained right now: stop that first, or wait for its end.{dead}")


class _KernelLock:
    """A lock that the kernel keeps, and frees when its process dies."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / LOCAL_NAME
        self.descriptor = -1

    def take(self) -> bool:
        try:
            self.descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        except PermissionError as refused:
            try:
                self.descriptor = os.open(self.file, os.O_RDONLY | _FLAGS)  # a colleague's, who lets us read it
            except FileNotFoundError:
                raise refused from None
        if _lock(self.descriptor) and self._is_in_place():
            return True
        os.close(self.descriptor)
        return False

    def check(self) -> None:
        if not self._is_in_place():
            raise LostLockError(
                f"{self.file.parent} was moved or removed while it was in use: nothing more is written."
            )

    def release(self) -> None:
        os.close(self.descriptor)

    def is_held(self) -> bool:
        descriptor = os.open(self.file, os.O_RDONLY | _FLAGS)
        try:
            return not _lock(descriptor, alone=False)
        finally:
            os.close(descriptor)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.file.stat(follow_symlinks=False))
        except OSError:
            return False


class _Lease:
    """A lock that its holder renews in a thread."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.file = folder / SHARED_NAME
        self.machine = machine
        self.token = uuid4().hex.encode()
        self.renewals = 0
        self.renewed = 0.0
        """When the last renewal that succeeded began: no other's watch of it can have begun earlier."""
        self.lost = False
        self._stop = Event()
        self._thread = Thread(target=self._renew_until_stopped, name="eailab-lease", daemon=True)

    def take(self) -> bool:
        while True:
            self.renewed = self.machine.clock()
            try:
                descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
            except FileExistsError:
                if not self.has_expired():
                    return False
                self._remove_expired()
                continue
            break
        try:
            os.write(descriptor, self._content())
        except BaseException:
            self.file.unlink()
            raise
        finally:
            os.close(descriptor)
        self.machine.watched.pop(self.file, None)
        self.machine.tokens.add(self.token)
        self._thread.start()
        return True

    def check(self) -> None:
        if not self.lost:
            self.lost = self._is_late(self.machine.clock()) or not self._is_ours()
        if self.lost:
            raise LostLockError(
                f"another machine may have taken over {self.file.parent}: nothing more is written from here."
            )

    def renew(self) -> None:
        """Write the lease again; what the file system refuses, the next renewal tries again, until it is too late."""
        now = self.machine.clock()
        with suppress(OSError):
            descriptor = os.open(self.file, os.O_RDWR | _FLAGS)
            try:
                if self._is_late(now) or not os.read(descriptor, LEASE.largest).startswith(self.token):
                    self.lost = True
                    return
                self.renewals += 1
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, self._content())
            finally:
                os.close(descriptor)
            self.renewed = now

    def release(self) -> None:
        self._stop.set()
        self.machine.tokens.discard(self.token)
        with suppress(LostLockError, OSError):
            self.check()
            self.file.unlink()

    def has_expired(self) -> bool:
        """Check whether the lease may be taken over, or is missing; another's is watched from now on."""
        try:
            content = read(self.file, LEASE)
        except FileNotFoundError:
            return True
        now = self.machine.clock()
        seen, since = self.machine.watched.setdefault(self.file, (content, now))
        if seen != content:
            self.machine.watched[self.file] = seen, since = content, now
        return self._is_abandoned(content) or now - since >= self.machine.lease_seconds

    def _is_abandoned(self, content: bytes) -> bool:
        """Check whether the holder was a process of this machine that has ended."""
        match = _LEASE.fullmatch(content)
        if match is None or match[2] != self.machine.name.encode():
            return False
        if int(match[3]) == os.getpid():
            return match[1] not in self.machine.tokens
        try:
            os.kill(int(match[3]), 0)
        except ProcessLookupError:
            return True
        except OSError:  # another user's process
            return False
        return False

    def _remove_expired(self) -> None:
        """Remove the expired lease; one that another process has put in its place meanwhile is put back."""
        over, _ = self.machine.watched.pop(self.file, (None, 0.0))
        aside = self.file.with_name(f"{self.file.name}.{uuid4().hex[:12]}.tmp")
        with suppress(FileNotFoundError):  # another process has removed it
            self.file.rename(aside)
            if read(aside, LEASE) != over:
                with suppress(OSError):  # else its holder will find it missing, and starts again
                    os.link(aside, self.file)
            aside.unlink()

    def _is_late(self, now: float) -> bool:
        return now - self.renewed >= self.machine.lease_seconds

    def _is_ours(self) -> bool:
        try:
            return read(self.file, LEASE).startswith(self.token)
        except (OSError, StoreError):
            return False

    def _content(self) -> bytes:
        return b"%s %s %d %012d\n" % (self.token, self.machine.name.encode(), os.getpid(), self.renewals)

    def _renew_until_stopped(self) -> None:
        while not self.lost and not self._stop.wait(self.machine.lease_seconds / RENEWALS):
            self.renew()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, alone: bool = True) -> bool:  # noqa: ARG001 - there is one kind only
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int, *, alone: bool = True) -> bool:
        """Lock an open file for its descriptor's life, alone or with others that look; False when another has it."""
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
