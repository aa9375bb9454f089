"""A folder is held by one process at a time, and one that has lost its lock publishes nothing."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from eailab.errors import DamagedError, LostLockError, StoreError
from eailab.files import LEASE
from eailab.runs import lock


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = 1000.0

    def __call__(self):
        return self.now


@dataclass
class Machines:
    """Machines that share a folder and one clock."""

    shared: bool = True
    clock: Clock = field(default_factory=Clock)
    numbers: count = field(default_factory=count)

    def another(self):
        name = f"machine-{next(self.numbers)}"
        return lock.Machine(name, self.clock, is_shared=lambda _: self.shared)


@pytest.fixture
def machines():
    return Machines()


def taken(folder, machine):
    """Whether a machine could hold the folder; it lets it go at once."""
    with lock.hold(folder, machine) as fence:
        return fence is not None


@pytest.mark.parametrize("shared", [False, True])
def test_one_holds_and_the_other_is_told_so(tmp_path, shared):
    folder, machine = tmp_path / "trial", Machines(shared).another()
    assert not lock.is_held(folder, machine)
    with lock.hold(folder, machine) as first:
        first()
        assert lock.is_held(folder, machine)
        assert not taken(folder, machine)
        first()
    assert not lock.is_held(folder, machine)
    assert taken(folder, machine)


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_that_was_moved_away_fences_its_holder(tmp_path, shared):
    folder, machine = tmp_path / "trial", Machines(shared).another()
    with lock.hold(folder, machine) as fence:
        fence()
        shutil.move(folder, tmp_path / "elsewhere")
        with pytest.raises(LostLockError, match="trial"):
            fence()
        folder.mkdir()
        with lock.hold(folder, machine), pytest.raises(LostLockError):
            fence()


def test_a_dead_machines_lease_is_taken_over_once_it_was_watched_for_its_time(tmp_path, machines):
    """The watch goes on from try to try."""
    dead, other = machines.another(), machines.another()
    lease = lock._Lease(tmp_path, dead)
    assert lease.take()
    lease._stop.set()
    began = machines.clock.now
    while not taken(tmp_path, other):
        assert lock.is_held(tmp_path, other)
        machines.clock.now += 0.5
    assert machines.clock.now - began == lock.LEASE_SECONDS


def test_a_lease_that_is_renewed_is_never_taken_over(tmp_path, machines):
    holder, other = machines.another(), machines.another()
    lease = lock._Lease(tmp_path, holder)
    assert lease.take()
    for _ in range(20):
        machines.clock.now += lock.LEASE_SECONDS / lock.RENEWALS
        lease.renew()
        lease.check()
        assert not taken(tmp_path, other)
        assert lock.is_held(tmp_path, other)
    lease.release()
    assert taken(tmp_path, other)


def test_the_thread_of_a_holder_renews_its_lease(tmp_path):
    machine = lock.Machine(lease_seconds=0.3, is_shared=lambda _: True)
    with lock.hold(tmp_path, machine):
        file = tmp_path / lock.SHARED_NAME
        first, late = file.read_bytes(), time.monotonic() + 30
        while (now := file.read_bytes()) in (first, b"") and time.monotonic() < late:
            pass
    assert now not in (first, b"")


def test_a_holder_that_slept_for_its_leases_time_has_lost_it_even_if_nobody_came(tmp_path, machines):
    """Another may be taking it over this very moment."""
    holder = machines.another()
    with lock.hold(tmp_path, holder) as fence:
        machines.clock.now += lock.LEASE_SECONDS - 0.1
        fence()
        machines.clock.now += 0.2
        for _ in range(2):
            with pytest.raises(LostLockError, match="another machine"):
                fence()
        machines.clock.now -= 50  # it stays lost
        with pytest.raises(LostLockError):
            fence()
    assert taken(tmp_path, holder), "what this process itself has given up need not be waited for"


def test_a_lease_that_another_machine_took_over_fences_its_old_holder(tmp_path, machines):
    """A machine that slept must not write over the trial that another has taken up, nor renew the other's lease."""
    sleeper, other = machines.another(), machines.another()
    asleep = lock._Lease(tmp_path, sleeper)
    assert asleep.take()
    assert not taken(tmp_path, other)
    machines.clock.now += lock.LEASE_SECONDS
    with lock.hold(tmp_path, other) as fence:
        others = (tmp_path / lock.SHARED_NAME).read_bytes()
        asleep.renewed = machines.clock.now  # as if its own clock had not noticed
        asleep.renew()
        with pytest.raises(LostLockError, match="another machine"):
            asleep.check()
        asleep.release()
        assert (tmp_path / lock.SHARED_NAME).read_bytes() == others
        fence()


def test_a_clock_that_is_set_changes_nothing(tmp_path, machines, monkeypatch):
    """Neither the holder's time of day, nor that of the file, nor our own is looked at."""
    holder, other = machines.another(), machines.another()
    with lock.hold(tmp_path, holder) as fence:
        for time in (0, 2**31, 2**33):
            os.utime(tmp_path / lock.SHARED_NAME, (time, time))
            monkeypatch.setattr(lock.time, "time", lambda time=time: float(time))
            assert not taken(tmp_path, other)
            assert lock.is_held(tmp_path, other)
            fence()


def test_of_many_that_wait_for_a_dead_machine_the_last_to_come_holds_and_the_others_know(tmp_path, machines):
    """Also if one removes what it takes for the dead lease, and it is the lease of the one that was quicker."""
    dead, quick, late = (machines.another() for _ in range(3))
    gone, slow = lock._Lease(tmp_path, dead), lock._Lease(tmp_path, late)
    assert gone.take()
    gone._stop.set()
    assert not slow.has_expired()
    assert not taken(tmp_path, quick)
    machines.clock.now += lock.LEASE_SECONDS
    assert slow.has_expired()
    with lock.hold(tmp_path, quick) as fence:
        slow._remove_expired()
        fence()
        assert not taken(tmp_path, late)
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_this_machine_that_has_died_is_not_waited_for(tmp_path, machines):
    machine = machines.another()
    process = subprocess.Popen([sys.executable, "-c", ""])
    lease = f"{'0' * 32} {machine.name} {process.pid} {0:012d}\n"
    (tmp_path / lock.SHARED_NAME).write_text(lease)
    process.wait()
    assert not lock.is_held(tmp_path, machine)
    assert not taken(tmp_path, machines.another()), "its number says nothing on another machine"
    assert taken(tmp_path, machine)


def test_a_lease_that_is_not_whole_is_waited_for_like_any_other(tmp_path, machines):
    """A machine may die between making the file and writing into it."""
    machine = machines.another()
    (tmp_path / lock.SHARED_NAME).touch()
    assert not taken(tmp_path, machine)
    machines.clock.now += lock.LEASE_SECONDS
    assert taken(tmp_path, machine)


def test_a_lease_that_cannot_be_renewed_for_a_while_is_kept(tmp_path, machines):
    holder = machines.another()
    lease = lock._Lease(tmp_path, holder)
    assert lease.take()
    (tmp_path / lock.SHARED_NAME).rename(tmp_path / "away")  # as if the server did not answer
    machines.clock.now += lock.LEASE_SECONDS / 3
    lease.renew()
    (tmp_path / "away").rename(tmp_path / lock.SHARED_NAME)
    machines.clock.now += lock.LEASE_SECONDS / 3
    lease.renew()
    machines.clock.now += lock.LEASE_SECONDS / 2
    lease.check()
    lease.release()


@pytest.mark.parametrize("shared", [False, True])
def test_a_colleague_of_the_same_group_can_go_on(tmp_path, shared):
    """What the umask lets the group do, the files of a lock let it do."""
    machine, before = Machines(shared).another(), os.umask(0o002)
    try:
        with lock.hold(tmp_path, machine):
            (file,) = tmp_path.iterdir()
            assert stat.S_IMODE(file.stat().st_mode) == 0o664
    finally:
        os.umask(before)


def test_a_lock_that_may_only_be_read_can_be_held(tmp_path, monkeypatch):
    """A colleague's of an older version, whose umask does not count."""
    (tmp_path / lock.LOCAL_NAME).touch()
    really = os.open

    def readable(path, flags, *rest):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, flags, *rest)

    monkeypatch.setattr(lock.os, "open", readable)
    machine = Machines(shared=False).another()
    with lock.hold(tmp_path, machine) as fence:
        fence()
        assert not taken(tmp_path, machine)


def test_a_link_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "trial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"), lock.hold(tmp_path / "trial"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "pipe", "large"])
def test_what_lies_in_place_of_a_lease_is_refused_at_once(tmp_path, machines, kind):
    """In a stranger's folder: nothing is followed, waited for, or read to its end."""
    file = tmp_path / lock.SHARED_NAME
    match kind:
        case "link":
            file.symlink_to(tmp_path / "secret")
        case "pipe":
            os.mkfifo(file)
        case _:
            file.write_bytes(bytes(LEASE.largest + 1))
    with pytest.raises(DamagedError, match="lease"):
        taken(tmp_path, machines.another())


def test_a_pipe_in_place_of_a_lock_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / lock.LOCAL_NAME)
    assert not lock.is_held(tmp_path, Machines(shared=False).another())


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, shared):
    (tmp_path / "file").write_text("a file where a folder should be")
    machine = Machines(shared).another()
    with pytest.raises(StoreError, match="trial cannot be used"), lock.hold(tmp_path / "file" / "trial", machine):
        pass


def test_who_wants_to_remove_a_dead_machines_trial_is_told_how(tmp_path):
    """A command that does not wait never sees that its lease is over."""
    assert str(lock.in_training_error(tmp_path, "a1")).endswith("wait for its end.")
    (tmp_path / lock.SHARED_NAME).touch()
    assert str(lock.in_training_error(tmp_path, "a1")).endswith(f"has died, remove {tmp_path / lock.SHARED_NAME}.")


def test_a_folder_in_which_no_lock_can_be_made_is_refused_for_its_permission(tmp_path, monkeypatch):
    """A lock that is not there cannot be a colleague's either."""
    opened = os.open

    def refuse(path, flags, *rest):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match="Permission denied"), lock.hold(tmp_path):
        pass


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
    assert lock.is_shared(Path("/scratch/my lab/runs"), table) is shared
    assert not lock.is_shared(Path("/scratch/my laboratory"), table)
    assert not lock.is_shared(Path("/home"), table)
    assert lock.is_shared(Path("/scratch/other"), table)


def test_without_linux_table_the_command_mount_is_asked(tmp_path, monkeypatch):
    said = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//me@server/share on /Volumes/my share (1) (smbfs, nodev, nosuid, mounted by me)\n"
    )
    monkeypatch.setattr(lock, "_ask_mount", lambda: said)
    assert not lock.is_shared(Path("/Users/me"), tmp_path / "none")
    assert lock.is_shared(Path("/Volumes/my share (1)/runs"), tmp_path / "none")
    monkeypatch.setattr(lock, "_ask_mount", lambda: "")
    assert lock.is_shared(Path("/Users/me"), tmp_path / "none"), "who cannot know says shared"
