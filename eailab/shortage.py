"""What this process, or the machine, may run out of: one sentence in place of a traceback."""

import errno
import sys

from eailab.errors import EailabError, MemoryShortageError

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
