"""Real processes, killed at any moment, and a real disk that is full: the table has the bytes of a quiet run."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faulty_disk import table

PROGRAM = Path(__file__).with_name("study_process.py")
SIGNALS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


def start(root, engine, *flags):
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(root), engine, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(root, engine):
    process = start(root, engine)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err


def epochs_of(root):
    return {file.parent.name: file.read_bytes() for file in (root / "trials").glob("*/epochs.jsonl")}


@pytest.mark.parametrize(("engine", "kills"), [("numpy", 3), ("torch", 0)])
def test_a_study_killed_at_random_moments_ends_with_the_table_of_a_quiet_one(folder, engine, kills, long):
    """Whatever the signal: its own exit code, no traceback, and nothing lost, doubled or wrong."""
    kills = 100 if long else kills
    if not kills:
        pytest.skip("the torch engine is killed in the long form: EAILAB_FAULTS=long")
    began = time.monotonic()
    finish(folder / "quiet", engine)
    whole = time.monotonic() - began
    chance, root, met = random.Random(engine), folder / "killed", 0  # noqa: S311 - no secret
    for number in range(kills):
        kind = list(SIGNALS)[number % len(SIGNALS)]
        process = start(root, engine)
        time.sleep(chance.uniform(0.3, 0.9) * whole)
        process.send_signal(kind)
        _, said = process.communicate(timeout=120)
        if process.returncode == 0:  # it was quicker than the quiet one
            compare(root, folder / "quiet")
            shutil.rmtree(root)
            whole *= 0.7
            continue
        # a signal before the program has begun to listen has its usual effect
        assert process.returncode in (SIGNALS[kind], -kind), said
        assert "Traceback" not in said or "KeyboardInterrupt" in said
        met += 1
    finish(root, engine)
    compare(root, folder / "quiet")
    assert met > 0


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
    finish(quiet, "numpy")
    for size in (8, 16, 28, 40, 64, 96) if long else (40,):
        disk, copy = folder / f"disk-{size}", folder / f"copy-{size}"
        disk.mkdir()
        script = IN_A_NAMESPACE.format(size=size, disk=disk, copy=copy, python=sys.executable, program=PROGRAM)
        run = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True)
        assert run.stdout.splitlines() == ["full: 1", "room: 0", "finished and read-only: 0", "read-only: 1"], (
            run.stderr
        )
        full, read_only = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
        assert "No space left on device" in full
        assert str(disk) in full
        assert "Read-only file system" in read_only
        assert str(disk / "other") in read_only
        assert "Traceback" not in run.stderr
        compare(copy, quiet)
