"""Say how an attempt at a trial has ended, and decide which trials are tried again: the same for all executors."""

import gc
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from eailab.errors import (
    DamagedError,
    EailabError,
    MemoryShortageError,
    ProgramFailedError,
    StoppedError,
    StoreError,
    shortage_of,
)
from eailab.runs.context import Event, Failed
from eailab.runs.trial import Trial


@dataclass(frozen=True)
class Outcome:
    """Describe how one attempt at a trial ended; small and picklable."""

    problem: Literal["none", "trial", "program", "memory", "store"] = "none"
    """`program`: a person's has failed, and may be started again. `memory`: worth another attempt alone. `store`:
    nothing can be written, by any trial."""
    reason: str = ""
    exit_code: int = 1


class Attempt:
    """Keeps an error of one trial, a bug too, from ending the study: `with Attempt() as attempt: run_trial(…)`."""

    outcome = Outcome()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, StoppedError):
            return False
        self.outcome = outcome_of(error)
        return True


def outcome_of(error: Exception) -> Outcome:
    """Say what an error that ended a trial means for it, and for others; of a bug, the traceback is shown."""
    match error:
        case MemoryShortageError():
            return Outcome("memory", str(error), error.exit_code)
        case ProgramFailedError():
            return Outcome("program", str(error), error.exit_code)
        case StoreError() if not isinstance(error, DamagedError):
            return Outcome("store", str(error), error.exit_code)
        case EailabError():
            return Outcome("trial", str(error), error.exit_code)
    if (short := shortage_of(error)) is not None:
        return Outcome("memory" if isinstance(short, MemoryShortageError) else "trial", str(short), short.exit_code)
    return Outcome("trial", "".join(traceback.format_exception(error)))


def judge(trial: Trial, outcome: Outcome, on_event: Callable[[Event], None]) -> None:
    """Report a failure of the trial itself; one of the store ends the study."""
    if outcome.problem == "store":
        raise StoreError(outcome.reason)
    if outcome.problem != "none":
        on_event(Failed(trial.fingerprint, outcome.reason, outcome.exit_code))


def free_memory() -> None:
    """Give back what the failed attempt held: on the GPU, torch keeps it for later otherwise."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


# --- processes that died ----------------------------------------------------------------------------------------------


def out_of_memory_kills(counters: Path = Path("/proc/vmstat")) -> int | None:
    """Return how often Linux's out-of-memory killer has struck since the start; None where that is not counted."""
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
        return "its process was killed (signal 9), and not for lack of memory: probably by a person or a limit"
    if exit_code is not None and exit_code < 0:
        return f"its process died of signal {-exit_code}"
    return f"its process ended with code {exit_code} before the trial did"


class Retries:
    """Decides whether a trial that ended without a result is tried again.

    A program that ended with an error is started again as often as the user asked. A trial that ran out of memory is
    tried once more, alone. One whose process died is tried until it has died `attempts` times in a row
    without a finished epoch in between.
    """

    def __init__(self, attempts: int, of_programs: int = 0) -> None:
        self.attempts, self.of_programs = attempts, of_programs
        self._failures: Counter[str] = Counter()
        self._short_of_memory: set[str] = set()
        self._deaths: dict[str, int] = {}
        self._reached: dict[str, int] = {}

    def why_again(self, trial: str, outcome: Outcome, alone: str = "") -> str | None:
        """Count how an attempt at a trial has ended, and say why it is tried again; None where it is not.

        Args:
            trial: Its fingerprint.
            outcome: Of the attempt.
            alone: How a trial that ran out of memory is tried again, such as ", alone, at the end".
        """
        if outcome.problem == "memory" and self.after_shortage(trial):
            return f"{outcome.reason} It is tried once more{alone}."
        if outcome.problem == "program" and self.after_failure(trial):
            return f"{outcome.reason}\nIt is started again."
        return None

    def after_failure(self, trial: str) -> bool:
        """Count that a trial's program ended with an error, and return whether it is started again."""
        self._failures[trial] += 1
        return self._failures[trial] <= self.of_programs

    def after_shortage(self, trial: str) -> bool:
        """Count that a trial ran out of memory, and return whether it is tried again."""
        is_first = trial not in self._short_of_memory
        self._short_of_memory.add(trial)
        return is_first

    def after_death(self, trial: str, epochs: int = 0) -> bool:
        """Count that a trial's process died, and return whether it is tried again.

        Args:
            trial: Its fingerprint.
            epochs: That it had finished by then; 0 where that is not to count.
        """
        has_gained = epochs > self._reached.get(trial, 0)
        self._deaths[trial] = 1 if has_gained else self._deaths.get(trial, 0) + 1
        self._reached[trial] = max(epochs, self._reached.get(trial, 0))
        return self._deaths[trial] < self.attempts
