"""Hosts that share a folder and die: their trials are taken over in time, and nothing is lost, doubled or wrong."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
import study_process
from faulty_disk import run, table
from nursery import ended
from study_process import PROGRAM, epochs_of, fork

from eailab.runs.lock import LEASE_SECONDS, SHARED_NAME

SPARE_SECONDS = 10.0
"""Beyond the lease, until a dead host's trial is another's."""


class Host:
    """A process that is a host of its own."""

    names = count()

    def __init__(self, nursery, root, lease, engine, *flags):
        self.name, self.root = f"host-{next(self.names)}", root
        self.said = root.with_name(f"{root.name}.{self.name}.said")
        self.process = fork(nursery, root, engine, f"host={self.name}", f"lease={lease}", *flags, said=self.said)

    def held(self):
        """The leases that name this host."""
        return [file for file in self.root.glob(f"trials/*/{SHARED_NAME}") if self.name in text(file)]

    def holds(self):
        """Wait until it trains; False when it has ended first."""
        while self.process.is_alive():
            if any((file.parent / "epochs.jsonl").exists() for file in self.held()):
                return True
            time.sleep(0.005)
        return False

    def ended(self):
        """Wait for it, and see that it knew of no trouble."""
        assert ended(self.process) == 0, self.said.read_text()
        assert "Traceback" not in self.said.read_text()


def text(file):
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def seconds_until_taken_over(host, files, lease):
    """Wait until each trial of a dead host is another's; a finished one need not be."""
    began, patience = time.monotonic(), Patience(lease + SPARE_SECONDS)
    while any(host.name in text(file) and not (file.parent / "result.json").exists() for file in files):
        patience.wait()
    return time.monotonic() - began


class Patience:
    """Seconds to wait, of which fewer pass while processes queue for each core: another host can do no more then."""

    def __init__(self, seconds):
        self.left, self.seen = seconds, time.monotonic()

    def wait(self):
        """Wait a moment; fail when no time is left."""
        time.sleep(0.01)
        now = time.monotonic()
        self.left -= (now - self.seen) / self.queue()
        self.seen = now
        assert self.left > 0, "it is not taken over"

    @staticmethod
    def queue():
        """Return how many processes each core has to run, one at least."""
        try:
            running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
        except OSError:  # not Linux
            return 1.0
        return max(1.0, running / os.cpu_count())


def compare(root, quiet):
    assert table(root) == table(quiet)
    assert epochs_of(root) == epochs_of(quiet)


@pytest.fixture(scope="module")
def quiet(workplace):
    root = workplace / "quiet-hosts"
    run(root, study_process.study("hosts"))
    return root


@pytest.mark.parametrize(("lease", "kills"), [(1.0, 200), (LEASE_SECONDS, 3)])
def test_what_a_killed_host_held_is_taken_over_in_time_and_nothing_is_done_twice(
    nursery, folder, quiet, lease, kills, long, tally
):
    """Two hosts at a time; one that is killed is followed by a new one, to which all leases are news."""
    if not long and lease == LEASE_SECONDS:
        pytest.skip("takes minutes: in the long form, EAILAB_FAULTS=long")
    lease, kills = (lease, kills) if long else (0.5, 2)
    root, chance = folder / "shared", random.Random(0)  # noqa: S311 - no secret
    waits, tables = [], 0
    hosts = [Host(nursery, root, lease, "hosts") for _ in range(2)]
    while len(waits) < kills:
        victim = chance.choice(hosts)
        if victim.holds():
            time.sleep(chance.uniform(0.0, 0.2))
            with suppress(ProcessLookupError):  # it has ended already
                os.kill(victim.process.pid, signal.SIGKILL)
            victim.process.join()
        held = victim.held()
        if held and victim.process.exitcode == -signal.SIGKILL:
            waits.append(seconds_until_taken_over(victim, held, lease))
        hosts.remove(victim)
        if victim.process.exitcode == 0:  # the study is done: all is compared, and the next one begins
            (other,) = hosts
            other.ended()
            compare(root, quiet)
            shutil.rmtree(root)
            hosts, tables = [Host(nursery, root, lease, "hosts")], tables + 1
        hosts.append(Host(nursery, root, lease, "hosts"))
    for host in hosts:
        host.ended()
    compare(root, quiet)
    tally(
        f"kills over two hosts, lease {lease:g} s",
        kills=len(waits),
        longest_wait=round(max(waits), 1),
        tables_compared=tables + 1,
    )


def test_a_host_that_stood_still_for_longer_than_its_lease_writes_nothing_more(nursery, folder, quiet):
    assert written_after_standing_still(nursery, folder) == set()
    compare(folder / "shared", quiet)


def test_without_the_fence_a_host_that_stood_still_is_seen_to_write(nursery, folder):
    assert "epochs.jsonl" in written_after_standing_still(nursery, folder, "unfenced")


def written_after_standing_still(nursery, folder, *flags):
    """Stop a host while it trains, let another finish the study, and name the files that the first writes then."""
    root, lease = folder / "shared", 0.5
    sleeper = Host(nursery, root, lease, "hosts", *flags)
    assert sleeper.holds()
    os.kill(sleeper.process.pid, signal.SIGSTOP)
    assert sleeper.held()
    Host(nursery, root, lease, "hosts").ended()
    before = times(root)
    os.kill(sleeper.process.pid, signal.SIGCONT)
    ended(sleeper.process)
    after = times(root)
    return {file.name for file in before.keys() | after.keys() if before.get(file) != after.get(file)}


def times(root):
    """When each file of each trial was last written."""
    return {file: file.stat().st_mtime_ns for file in root.glob("trials/*/*")}


ON_TWO_MOUNTS = """
set -e
printf '#!/bin/sh\\nexec {server}\\n' > "{folder}/serve"; chmod +x "{folder}/serve"
for one in a b; do
  mkdir "{folder}/$one"
  sshfs -o ssh_command="{folder}/serve",subtype=of-no-list x:"{folder}/back" "{folder}/$one"
done
"""


def test_two_machines_with_a_mount_each_take_over_from_one_another(folder, quiet, tmp_path):
    """Names from the system, the kind from the table of mounts, and the caches of a real file system in between."""
    server = shutil.which("sftp-server", path=f"/usr/lib/openssh:/usr/libexec:{os.environ['PATH']}")
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK) or not shutil.which("sshfs") or server is None:
        pytest.skip("needs root, /dev/fuse, and Debian's sshfs, fuse3 and openssh-sftp-server")
    (tmp_path / "back").mkdir()
    script = ON_TWO_MOUNTS.format(server=server, folder=tmp_path)
    mounted = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    try:
        if mounted.returncode:
            pytest.skip(f"mounting is not allowed here: {mounted.stderr}")
        lease, file = 3.0, f"back/runs/trials/*/{SHARED_NAME}"
        first = start_on("machine-a", tmp_path / "a" / "runs", lease)
        while not list(tmp_path.glob("back/runs/trials/*/checkpoint.safetensors")):
            assert first.poll() is None
            time.sleep(0.01)
        second = start_on("machine-b", tmp_path / "b" / "runs", lease)
        first.kill()
        first.wait()
        patience = Patience(lease + SPARE_SECONDS)
        (dead,) = [one for one in tmp_path.glob(file) if "machine-a" in text(one)]
        while "machine-a" in text(dead):
            assert second.poll() is None
            patience.wait()
        assert second.wait(timeout=120) == 0
        compare(tmp_path / "back" / "runs", quiet)
    finally:
        for one in "ab":
            subprocess.run(["fusermount3", "-u", "-z", str(tmp_path / one)], capture_output=True)


def start_on(machine, root, lease):
    """Start the program on what has another name of its own."""
    command = f"hostname {machine} && exec {sys.executable} {PROGRAM} {root} hosts lease={lease}"
    return subprocess.Popen(["unshare", "-u", "bash", "-c", command], env=os.environ | {"OMP_NUM_THREADS": "1"})
