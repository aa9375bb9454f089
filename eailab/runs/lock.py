"""Who trains a trial: one process at a time, on this machine or on several that share a folder.

On a local disk the kernel holds the lock and frees it when its process dies. On a file system that several machines
share, the lock is a lease: its holder renews it, and another may take it once it has not been renewed for a while. A
lease can therefore be lost in the middle of a trial (a machine that slept), so its holder looks at it again before each
file that it publishes. Trials leave the same bytes whoever trains them, which makes the moment between the look and the
rename harmless.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, SoftFileLease, Timeout

from eailab.errors import LostLockError, StoreError
from eailab.runs.atomic import make_folder, refuse_links

LOCAL_NAME = ".lock"
SHARED_NAME = ".lease"

LEASE_SECONDS = 90.0
"""A lease that has not been renewed for so long may be taken over."""

SHARED_FILE_SYSTEMS = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.glusterfs",
    "fuse.sshfs", "fuse.ceph", "fuse.s3fs", "panfs", "pvfs2", "orangefs", "afs", "9p", "virtiofs", "gfs2", "ocfs2",
)  # fmt: skip
"""Names in Linux's table of mounts of what several machines can write."""

Fence = Callable[[], None]
"""Raises `LostLockError` unless the lock is still ours."""


@contextmanager
def hold(folder: Path, shared: bool | None = None) -> Iterator[Fence | None]:
    """Hold a trial's folder, which is made where it is missing.

    Args:
        folder: The trial's.
        shared: Whether several machines write to it; None to ask the system.

    Yields:
        The fence to look at before something is published; None when another process holds the folder.

    Raises:
        StoreError: The folder cannot be used.
    """
    try:
        refuse_links(folder.parent, folder)
        make_folder(folder)
        lease = is_shared(folder) if shared is None else shared
        lock = (
            SoftFileLease(folder / SHARED_NAME, timeout=0, lease_duration=LEASE_SECONDS)
            if lease
            else FileLock(folder / LOCAL_NAME, timeout=0)
        )
        try:
            lock.acquire()
        except Timeout:
            yield None
            return
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be used: {error.strerror or error}. Earlier results are untouched. "
            "Give the folder write permission, or choose another with --runs, then run the same command."
        ) from error
    try:
        yield _lease_fence(lock) if isinstance(lock, SoftFileLease) else _lock_fence(Path(lock.lock_file))
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether some process holds a trial's folder right now; nothing is written.

    A lease counts while it has not expired, as its file's time says by this machine's clock: good enough to be shown.
    """
    lease = folder / SHARED_NAME
    try:
        if lease.exists():
            import time

            return time.time() - lease.stat().st_mtime < LEASE_SECONDS
        return _flocked(folder / LOCAL_NAME)
    except OSError:
        return False


def is_shared(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether a folder lies on a file system that several machines can write, by Linux's table of mounts.

    Elsewhere it is False: there, locks go through the file system's own protocol.
    """
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    path = folder.resolve()
    best, kind = 0, ""
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        if not after:
            continue
        point = Path(before.split()[4].replace("\\040", " ").replace("\\011", "\t"))
        if path.is_relative_to(point) and len(point.parts) >= best:  # a later mount hides an earlier one
            best, kind = len(point.parts), after.split()[0]
    return kind in SHARED_FILE_SYSTEMS


def _lock_fence(file: Path) -> Fence:
    """The kernel keeps the lock; but the folder may have been moved away or removed by hand."""
    ours = _identity(file)

    def check() -> None:
        if ours is None or _identity(file) != ours:
            raise LostLockError(f"{file.parent} was moved or removed while it was trained: nothing more is written.")

    return check


def _lease_fence(lease: SoftFileLease) -> Fence:
    file, token = Path(lease.lock_file), lease.token or ""

    def check() -> None:
        try:
            held = bool(token) and token in file.read_text(encoding="utf-8")
        except OSError:
            held = False
        if not held or lease.compromise is not None:
            raise LostLockError(f"another machine has taken over {file.parent}: nothing more is written here.")

    return check


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _flocked(file: Path) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
