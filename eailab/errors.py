"""Define the errors that eailab explains in one message, and word the shortages of a system.

The family, with the exit code that the command line gives each::

    EailabError                 1
    ├── UsageError              2   a wrong word on the command line
    │   ├── RecipeError         2   a recipe that cannot be read, or names impossible settings
    │   ├── StudyError          2   a factor, level, baseline or plan that makes no comparison
    │   └── DataError           2   data that are missing, damaged, or do not fit the recipe
    │       └── MissingDataError    files of a published data set that are not here and cannot be downloaded
    ├── DeviceError             2   a device that is not here, or cannot do what the recipe asks
    ├── StoreError              1   a file of the store that is newer, or cannot be read or written
    │   ├── DamagedError        1   a file of the store that is not what was written; it can be set aside and made again
    │   └── LostLockError       1   a trial that another process has taken over
    ├── MemoryShortageError     1   a trial that does not fit the memory of its device
    ├── TrialFailedError        1   a trial that ended without a result
    │   └── ProgramFailedError  1   a person's program that ended with an error; it may be started again
    ├── CheckFailedError        1   a check that does not hold
    ├── StoppedError          130   Ctrl-C (143: a termination signal)
    ├── DivergedError           -   a number that is not finite: a result of the trial, not a failure of the program
    └── TimedOutError           -   a person's program that was ended at its time limit: likewise a result

A message says what was found, what would be right, and what to do next. Library code raises; only ``cli/`` prints.
"""

import errno
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Correction:
    """A change that would make the command right that led to an error; `cli/` writes the whole command with it."""

    command: str | None = None
    """Another command, such as `train-mlp`; options that it does not have are left out."""
    arguments: tuple[str, ...] | None = None
    """In place of those that were typed."""
    level: tuple[str, str] | None = None
    """A factor, and one more level for it."""
    without: tuple[str, ...] = ()
    """Options to leave out."""
    options: Mapping[str, str | None] = field(default_factory=dict)
    """By their long names: a value in place of the one given, None for a switch."""


class EailabError(Exception):
    """Anything that eailab explains in one message, without a traceback.

    Args:
        message: What was found, what would be right, and what to do next.
        correction: What would make the command right, where that is known.
    """

    exit_code = 1

    def __init__(self, message: str = "", correction: Correction | None = None) -> None:
        super().__init__(message)
        self.correction = correction

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(EailabError):
    """The command line asked for something that does not exist or does not fit."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be read, or whose settings are impossible; the message lists every problem found."""


class StudyError(UsageError):
    """A factor, level, baseline or plan that does not make a controlled comparison."""


class DataError(UsageError):
    """Data that are missing, damaged, or do not fit the recipe."""


class MissingDataError(DataError):
    """Files of a published data set that are not here and cannot be downloaded; other data would do for a trial."""


class DeviceError(EailabError):
    """A device that this machine has not, or that cannot do what the recipe asks."""

    exit_code = 2


class StoreError(EailabError):
    """A file of the store that is of a newer version, or cannot be read or written: it concerns every trial alike."""


class DamagedError(StoreError):
    """A file of the store that is not what was written; what it belongs to can be set aside and made again."""


class LostLockError(StoreError):
    """Another process has taken over the trial that this one was training; this one writes nothing more."""


class MemoryShortageError(EailabError):
    """A trial that does not fit the memory of its device, next to what else is there."""


class TrialFailedError(EailabError):
    """One or more trials ended without a result."""


class ProgramFailedError(TrialFailedError):
    """A person's program ended with an error, which another attempt may not meet."""


class CheckFailedError(EailabError):
    """A check was made, and what it checked does not hold."""


class StoppedError(EailabError):
    """A signal asked the program to stop; what was finished is kept.

    Args:
        message: What is kept and the command that goes on.
        exit_code: 130 after Ctrl-C, 143 after a termination signal.
    """

    exit_code = 130

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class DivergedError(EailabError):
    """A number that training or validation gives is no longer finite; raised before the optimizer acts on it.

    Args:
        epoch: Number of the epoch, from 1.
        step: Number of the step within the epoch, from 1; 0 in validation.
        value: The number that was found: NaN or infinite.
    """

    def __init__(self, epoch: int, step: int, value: float) -> None:
        super().__init__(
            f"a value was {value} at epoch {epoch}, step {step}: "
            "the trial has diverged. Lower optimizer.lr, or give schedule.warmup_epochs."
        )
        self.epoch = epoch
        self.step = step
        self.value = value


class TimedOutError(EailabError):
    """A person's program ran until its time limit and was ended.

    Args:
        message: What was ended, with the end of its output.
        seconds: The limit.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


# --- what the system ran out of ---------------------------------------------------------------------------------------

_NO_MEMORY = ("failed to map segment", "cannot allocate memory", "std::bad_alloc")


def shortage_of(error: BaseException) -> EailabError | None:
    """Return the error that says what there was not enough of; None for any other kind of trouble."""
    match error:
        case MemoryError() | OSError(errno=errno.ENOMEM):
            return _memory()
        case ImportError() | RuntimeError() if any(words in str(error).lower() for words in _NO_MEMORY):
            return _memory()
        case RuntimeError() if isinstance(error, getattr(sys.modules.get("torch"), "OutOfMemoryError", ())):
            return _memory(f" ({str(error).partition('.')[0]})")
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return EailabError(
                "too many files are open at once: allow more (`ulimit -n 1024`; `ulimit -n` shows the limit), or run "
                "fewer trials side by side with --jobs 1. What is finished is kept."
            )
        case OSError(errno=errno.EAGAIN) | RuntimeError() if _is_about_starting(error):
            return EailabError(
                "the system does not let you start another process or thread: allow more (`ulimit -u` shows the "
                "limit), or run one trial at a time with --jobs 1. What is finished is kept."
            )
    return None


def _is_about_starting(error: BaseException) -> bool:
    return isinstance(error, OSError) or "can't start new thread" in str(error)


def _memory(where: str = "") -> MemoryShortageError:
    return MemoryShortageError(
        f"there is not enough memory for this program{where}: free some, raise the limit (`ulimit -v` shows it), run "
        "one trial at a time with --jobs 1, or choose a smaller batch_size or model for all arms. The batch size was "
        "not changed, since that would be another experiment. What is finished is kept."
    )
