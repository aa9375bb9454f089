"""One program in a process group of its own: its end, its output, its time limit, and that nothing of it is left."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from eailab.engines.program import process, watchdog
from eailab.engines.program.process import ProcessEnd, last_lines, run_program
from eailab.errors import RecipeError, StoppedError
from eailab.recipe.template import FilledCommand

LONGEST = 20.0
"""Seconds that a test waits for what should happen at once."""


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)


def run(folder: Path, *argv: str, **options) -> ProcessEnd:
    return run_program(FilledCommand(argv, {"OWN": "1"}), {"GIVEN": "2"}, folder / "out", folder / "err", **options)


def is_running(pid: int) -> bool:
    """Whether a process does anything; one that has ended and that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(*pids: int) -> bool:
    until = time.monotonic() + LONGEST
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(map(is_running, pids))


def pids(file: Path, count: int) -> list[int]:
    """Return the process numbers that a program writes into a file, once it has."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        with suppress(FileNotFoundError, ValueError):
            if len(found := [int(word) for word in file.read_text().split()]) == count:
                return found
        time.sleep(0.01)
    raise AssertionError(f"{file} was not written")


def stop_once_written(file: Path):
    """Return what stops a program as soon as it has written a file, however slowly it starts."""

    def stop() -> None:
        if file.exists() and file.read_text().endswith("\n"):
            raise StoppedError("stopped.")

    return stop


def test_output_and_exit_code_are_kept(tmp_path):
    ended = run(tmp_path, "sh", "-c", 'echo "$OWN $GIVEN"; echo no >&2; exit 3')
    assert (ended.code, ended.has_timed_out) == (3, False)
    assert (tmp_path / "out").read_text() == "1 2\n"
    assert (tmp_path / "err").read_text() == "no\n"


def test_a_program_has_no_input(tmp_path):
    assert run(tmp_path, "cat").code == 0


def test_the_middle_of_a_long_output_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "KEPT_BYTES", 1000)
    run(tmp_path, "sh", "-c", "echo first; head -c 100000 /dev/zero | tr '\\0' x; echo; echo last")
    text = (tmp_path / "out").read_text()
    assert text.startswith("first\n")
    assert text.endswith("\nlast\n")
    assert "[... 98012 bytes left out ...]" in text
    assert len(text) < 2100


@pytest.mark.parametrize(("program", "said"), [("/no/such/program", "No such file"), ("/etc/passwd", "Permission")])
def test_a_program_that_cannot_be_started_is_named(tmp_path, program, said):
    with pytest.raises(RecipeError, match=f"{program} cannot be started: {said}"):
        run(tmp_path, program)


def test_a_program_that_never_ends_is_ended_after_its_time(tmp_path):
    ended = run(tmp_path, "sleep", "1000", timeout=0.05)
    assert (ended.code, ended.has_timed_out) == (-signal.SIGTERM, True)


def test_a_program_that_does_not_end_when_asked_is_killed_with_its_children(tmp_path):
    script = f"trap '' TERM; (trap '' TERM; while :; do sleep 1000; done) & echo $$ $! > {tmp_path}/pids; wait; wait"
    with pytest.raises(StoppedError):
        run(tmp_path, "sh", "-c", script, on_tick=stop_once_written(tmp_path / "pids"))
    assert gone(*pids(tmp_path / "pids", 2))


def test_a_child_that_leaves_its_group_is_ended_with_a_program_that_was_stopped(tmp_path):
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pids; sleep 1000' & sleep 1000"
    with pytest.raises(StoppedError):
        run(tmp_path, "sh", "-c", script, on_tick=stop_once_written(tmp_path / "pids"))
    assert gone(*pids(tmp_path / "pids", 1))


def test_children_that_a_program_leaves_are_ended(tmp_path):
    """They hold its output, which nobody waits for."""
    ended = run(tmp_path, "sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pids; echo done")
    assert ended.code == 0
    assert (tmp_path / "out").read_text() == "done\n"
    assert gone(*pids(tmp_path / "pids", 1))


def test_stopping_asks_the_program_to_end_and_raises_after_that(tmp_path, monkeypatch):
    """A program with checkpoints can save one: what it does on SIGTERM is waited for."""
    monkeypatch.setattr(process, "GRACE_SECONDS", LONGEST)
    program = (
        "import os, signal, sys, time; signal.signal(15, lambda *_: (os.write(1, b'saved\\n'), sys.exit(0)))\n"
        "os.write(1, b'1\\n'); time.sleep(99)"
    )

    with pytest.raises(StoppedError):
        run(tmp_path, sys.executable, "-S", "-u", "-c", program, on_tick=stop_once_written(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "1\nsaved\n"


def test_nothing_is_left_when_eailab_is_killed(tmp_path):
    """Not even a child that has left the group."""
    script = f"setsid sleep 1000 & echo $$ $! > {tmp_path}/pids; sleep 1000"
    program = (
        "from pathlib import Path; from eailab.engines.program.process import run_program; "
        "from eailab.recipe.template import FilledCommand; "
        f"run_program(FilledCommand(('sh', '-c', {script!r}), {{}}), {{}}, Path({os.devnull!r}), Path({os.devnull!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as ours:
        found = pids(tmp_path / "pids", 2)
        os.kill(ours.pid, signal.SIGKILL)
    assert gone(*found)


def test_a_message_shows_the_end_of_the_output(tmp_path):
    (tmp_path / "err").write_text("")
    (tmp_path / "out").write_text("\n".join(map(str, range(100))))
    assert last_lines(tmp_path / "err", tmp_path / "out") == "\n".join(map(str, range(80, 100)))
    assert last_lines(tmp_path / "none") == ""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux shows which processes have ended")
def test_what_has_ended_and_was_not_asked_for_is_not_waited_for():
    child = subprocess.Popen(["sh", "-c", "read line"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        assert watchdog.is_running(child.pid)
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays in its group
        os.killpg(child.pid, 0)
        assert not watchdog.is_running(child.pid)
    finally:
        child.kill()
        child.wait()
