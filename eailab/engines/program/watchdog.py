"""End the programs of an eailab that was killed: a small process that waits until eailab's end of a pipe closes.

It imports the standard library alone, since it is started as a script.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "EAILAB_MARK"
"""The environment variable by which the processes of a trial are known, those too that have left its group."""


def kill(group: int | None, mark: str) -> None:
    """Kill a process group, and every process that carries a mark, until none is left."""
    if group is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(10):  # a process may start another while we look
        found = list(_marked(f"{MARK}={mark}".encode()))
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        if not found:
            return


def _marked(entry: bytes) -> Iterator[int]:
    """Yield the processes whose environment has an entry, where the system shows environments as Linux does."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def is_running(group: int) -> bool:
    """Return whether a process of a group has not ended.

    One that has ended stays in its group until its parent has asked for it, for which some systems take seconds; Linux
    shows which have.
    """
    is_ours = False
    with suppress(PermissionError):  # macOS says so of a group whose processes have ended
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        is_ours = True
    if not Path("/proc/self/stat").exists():
        return is_ours
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group, *_ = stat.read_bytes().rpartition(b")")[2].split()
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False


def main() -> None:
    """Keep the list of running trials that eailab sends (`+MARK`, `MARK GROUP`, `-MARK`); kill them when it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    running: dict[str, int | None] = {}
    for line in sys.stdin:
        word, _, group = line.strip().partition(" ")
        if word.startswith("-"):
            running.pop(word[1:], None)
        elif word.startswith("+"):
            running[word[1:]] = None
        else:
            running[word] = int(group)
    for mark, group in running.items():
        kill(group, mark)


if __name__ == "__main__":
    main()
