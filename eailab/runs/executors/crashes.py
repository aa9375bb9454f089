"""Why a worker process died, as far as the system tells."""

import signal
from pathlib import Path


def out_of_memory_kills(counters: Path = Path("/proc/vmstat")) -> int | None:
    """Return how often Linux's out-of-memory killer has struck since the machine started; None where nobody counts."""
    try:
        for line in counters.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except (OSError, ValueError):
        pass
    return None


def describe(exit_code: int | None, kills_before: int | None, kills_now: int | None) -> str:
    """Say what ended a process.

    Args:
        exit_code: As `multiprocessing` gives it: a negative one is a signal's number.
        kills_before: `out_of_memory_kills` when the process started.
        kills_now: The same after its death.
    """
    if exit_code == -signal.SIGKILL:
        if kills_before is None or kills_now is None:
            return "its process was killed (signal 9), most likely because the machine ran out of memory"
        if kills_now > kills_before:
            return "its process was killed by the system because the machine ran out of memory"
        return "its process was killed (signal 9), by someone or by a limit; the system counts no lack of memory"
    if exit_code is not None and exit_code < 0:
        return f"its process died of signal {-exit_code}"
    return f"its process ended with code {exit_code} before the trial did"
