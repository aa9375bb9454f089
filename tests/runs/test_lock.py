"""A trial is trained by one process at a time, and one that has lost its lock publishes nothing."""

import shutil

import filelock
import pytest

from eailab.errors import LostLockError, StoreError
from eailab.runs import lock


@pytest.mark.parametrize("shared", [False, True])
def test_one_holds_and_the_other_is_told_so(tmp_path, shared):
    folder = tmp_path / "trial"
    assert not lock.is_held(folder)
    with lock.hold(folder, shared) as first:
        first()
        assert lock.is_held(folder)
        with lock.hold(folder, shared) as second:
            assert second is None
        first()
    assert not lock.is_held(folder)
    with lock.hold(folder, shared) as again:
        assert again is not None


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_that_was_moved_away_fences_its_holder(tmp_path, shared):
    with lock.hold(tmp_path / "trial", shared) as fence:
        fence()
        shutil.move(tmp_path / "trial", tmp_path / "elsewhere")
        with pytest.raises(LostLockError, match="trial"):
            fence()
        (tmp_path / "trial").mkdir()
        with lock.hold(tmp_path / "trial", shared), pytest.raises(LostLockError):
            fence()


def test_a_lease_that_another_machine_took_over_fences_its_old_holder(tmp_path):
    """A machine that slept must not write over the trial that another has taken up."""
    with lock.hold(tmp_path, shared=True) as fence:
        file = tmp_path / lock.SHARED_NAME
        file.unlink()
        successor = filelock.SoftFileLease(file, timeout=0, lease_duration=lock.LEASE_SECONDS, is_singleton=False)
        with successor, pytest.raises(LostLockError, match="another machine"):
            fence()


def test_a_link_in_place_of_a_trials_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "trial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"), lock.hold(tmp_path / "trial"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("shared", [False, True, None])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, shared):
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="trial cannot be used"), lock.hold(tmp_path / "file" / "trial", shared):
        pass


@pytest.mark.parametrize(("kind", "shared"), [("ext4", False), ("nfs4", True), ("lustre", True), ("tmpfs", False)])
def test_file_systems_that_machines_share_are_known_by_the_table_of_mounts(tmp_path, kind, shared):
    table = tmp_path / "mountinfo"
    table.write_text(
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"35 21 0:44 / /scratch/my\\040lab rw - {kind} server:/export rw\n"
        "36 21 0:45 / /scratch/other rw - nfs server:/other rw\n"
    )
    assert lock.is_shared(lock.Path("/scratch/my lab/runs"), table) is shared
    assert not lock.is_shared(lock.Path("/scratch/my laboratory"), table)
    assert not lock.is_shared(lock.Path("/home"), table)
    assert not lock.is_shared(lock.Path("/scratch/other"), tmp_path / "no such table")
