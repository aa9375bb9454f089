"""A file system that is not known to be local counts as shared: there a lease is needed, elsewhere it costs little."""

from pathlib import Path

import pytest

from eailab.runs import mounts


@pytest.mark.parametrize(
    ("kind", "shared"),
    [
        ("ext4", False),
        ("tmpfs", False),
        ("overlay", False),
        ("nfs4", True),
        ("lustre", True),
        ("fuse.juicefs", True),
        ("vboxsf", True),
        ("of-next-year", True),
    ],
)
def test_the_kind_is_read_from_linux_table_of_mounts(tmp_path, kind, shared):
    table = tmp_path / "mountinfo"
    table.write_text(
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"35 21 0:44 / /scratch/my\\040lab rw - {kind} server:/export rw\n"
        "36 21 0:45 / /scratch/other rw - nfs server:/other rw\n"
    )
    assert mounts.is_shared(Path("/scratch/my lab/runs"), table) is shared
    assert not mounts.is_shared(Path("/scratch/my laboratory"), table)
    assert not mounts.is_shared(Path("/home"), table)
    assert mounts.is_shared(Path("/scratch/other"), table)


def test_without_linux_table_the_command_mount_is_asked(tmp_path, monkeypatch):
    said = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//me@server/share on /Volumes/my share (1) (smbfs, nodev, nosuid, mounted by me)\n"
    )
    monkeypatch.setattr(mounts, "_ask_mount", lambda: said)
    assert not mounts.is_shared(Path("/Users/me"), tmp_path / "none")
    assert mounts.is_shared(Path("/Volumes/my share (1)/runs"), tmp_path / "none")
    monkeypatch.setattr(mounts, "_ask_mount", lambda: "")
    assert mounts.is_shared(Path("/Users/me"), tmp_path / "none"), "who cannot know says shared"
