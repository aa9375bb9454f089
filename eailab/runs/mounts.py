"""What kind of file system a folder lies on, and so whether other machines may write to it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
    """Return whether several machines may write to a folder: all kinds that are not known to be local count as shared.

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
    """Yield the same from what `mount` prints on macOS and the BSDs.

    >>> list(bsd_mounts("/dev/disk1 on / (apfs, local)"))[0][1]
    'apfs'
    """
    for line in lines.splitlines():
        if match := _BSD_LINE.match(line):
            yield Path(match[1]), match[2]


def _ask_mount() -> str:
    try:
        return subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
