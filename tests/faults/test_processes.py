"""Real processes, killed at any moment, and a real disk that is full: the table has the bytes of a quiet run."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest
import study_process
from faulty_disk import run, table
from nursery import ended
from study_process import LISTENING, PROGRAM, epochs_of, fork

SIGNALS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


def start(root, engine, *flags):
    """Start the program as a process of its own, with workers of its own."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(root), engine, "workers", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize(("engine", "kills"), [("numpy", 6), ("torch", 3)])
def test_a_study_killed_at_random_moments_ends_with_the_table_of_a_quiet_one(
    nursery, folder, engine, kills, long, tally
):
    """Whatever the signal: its own exit code, no traceback, and nothing lost, doubled or wrong."""
    kills = 120 if long else kills
    quiet, root, said = folder / "quiet", folder / "killed", folder / "killed.said"
    began = time.monotonic()
    assert ended(fork(nursery, quiet, engine)) == 0
    whole = time.monotonic() - began
    chance, met, finished = random.Random(engine), Counter(), 0  # noqa: S311 - no secret
    while met.total() < kills:
        kind = list(SIGNALS)[met.total() % len(SIGNALS)]
        said.unlink(missing_ok=True)
        began, process = time.monotonic(), fork(nursery, root, engine)
        process.join(chance.uniform(0.0, 0.9) * whole)
        listening = said.exists() and LISTENING in said.read_text()
        with suppress(ProcessLookupError):  # it has ended already
            os.kill(process.pid, kind)
        code = ended(process)
        if code == 0:  # it was quicker than the signal: all is there, and the next one begins again
            compare(root, quiet)
            shutil.rmtree(root)
            finished += 1
            whole = min(time.monotonic() - began, whole * 0.9)  # the quiet one may have had less of the processor
            continue
        # a signal before the program listens has its usual effect
        text = said.read_text() if said.exists() else ""  # it may be killed before it writes
        usual = not listening and (code == -kind or "KeyboardInterrupt" in text)
        assert usual or code == SIGNALS[kind], (kind, code, text)
        assert usual or "Traceback" not in text
        met[kind.name] += 1
    assert ended(fork(nursery, root, engine)) == 0
    compare(root, quiet)
    tally(f"kills of the {engine} engine", **met, tables_compared=finished + 1)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_program_killed_with_workers_at_work_is_gone_on_with_by_the_next(folder, engine, long, tally):
    """The workers outlive their parent for a while; the next program's wait for the trials that they hold."""
    if engine == "torch" and not long:
        pytest.skip("processes of the torch engine take seconds to start: in the long form, EAILAB_FAULTS=long")
    quiet, root, chance, met = folder / "quiet", folder / "killed", random.Random(engine), 0  # noqa: S311
    run(quiet, study_process.study(engine))
    for number in range(9 if long else 1):
        kind = list(SIGNALS)[number % len(SIGNALS)]
        before, process = epochs_of(root), start(root, engine)
        assert process.stderr.readline() == LISTENING
        while process.poll() is None and epochs_of(root) == before:  # until it trains, or a worker of the one before
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        process.send_signal(kind)
        out, err = process.communicate(timeout=120)
        if process.returncode == 0:
            compare(root, quiet)
            shutil.rmtree(root)
            continue
        assert process.returncode == SIGNALS[kind], out + err
        assert "Traceback" not in err
        met += 1
    process = start(root, engine)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    compare(root, quiet)
    assert met > 0
    tally(f"kills of the {engine} engine with workers", kills=met)


def compare(root, quiet):
    assert table(root) == table(quiet)
    assert epochs_of(root) == epochs_of(quiet)


IN_A_NAMESPACE = """
set -e
mount -t tmpfs -o size={size}k eailab "{disk}"
code=0; "{python}" "{program}" "{disk}/runs" numpy unchecked || code=$?
echo "full: $code"
mount -o remount,size=20m "{disk}"
code=0; "{python}" "{program}" "{disk}/runs" numpy || code=$?
echo "room: $code"
mount -o remount,ro "{disk}"
code=0; "{python}" "{program}" "{disk}/runs" numpy || code=$?
echo "finished and read-only: $code"
code=0; "{python}" "{program}" "{disk}/other" numpy || code=$?
echo "read-only: $code"
cp -r "{disk}/runs" "{copy}"
"""


def test_a_disk_that_is_really_full_and_then_read_only_is_one_clear_error(folder, long):
    """A file system of some kilobytes, which is given room later, and then taken the right to write."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    quiet = folder / "quiet"
    run(quiet, study_process.study("numpy"))
    for size in (8, 16, 28, 40, 64, 96) if long else (40,):
        disk, copy = folder / f"disk-{size}", folder / f"copy-{size}"
        disk.mkdir()
        script = IN_A_NAMESPACE.format(size=size, disk=disk, copy=copy, python=sys.executable, program=PROGRAM)
        ran = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True)
        assert ran.stdout.splitlines() == ["full: 1", "room: 0", "finished and read-only: 0", "read-only: 1"], (
            ran.stderr
        )
        full, read_only = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
        assert "No space left on device" in full
        assert str(disk) in full
        assert "Read-only file system" in read_only
        assert str(disk / "other") in read_only
        assert "Traceback" not in ran.stderr
        compare(copy, quiet)
