"""Handle Ctrl-C and termination signals: training stops between two steps, anything else at once."""

import _thread
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, Timer
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from eailab.errors import DamagedError, StoppedError

if TYPE_CHECKING:
    from eailab.runs.context import RunContext
    from eailab.studies.progress import Trials

Handler: TypeAlias = Callable[[int, FrameType | None], None]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MOST_NAMED = 8
"""Trials whose last state is printed one by one."""
AGAIN_SECONDS = 0.01
"""After which a signal is raised again that came where nothing can be raised."""


@contextmanager
def raising() -> Iterator[None]:
    """Let a signal raise `StoppedError` wherever the program is."""
    code = 0

    def stop(number: int, _: FrameType | None) -> NoReturn:
        nonlocal code
        code = 128 + number
        if number == signal.SIGINT:
            Thread(target=int).start()  # OpenBLAS sends this signal where none can be started: that is what is raised
        raise StoppedError("stopped.", code)

    def raise_again(ignored: "sys.UnraisableHookArgs") -> None:
        """Raise the signal a moment later: while an object is finalized, Python only prints what is raised."""
        if isinstance(ignored.exc_value, StoppedError):
            again = Timer(AGAIN_SECONDS, _thread.interrupt_main, (code - 128,))
            again.daemon = True
            again.start()
        else:
            before(ignored)

    before, sys.unraisablehook = sys.unraisablehook, raise_again
    try:
        with _handled_by(stop):
            yield
    except ImportError as error:
        if not code:
            raise
        raise StoppedError("stopped.", code) from error  # a library's import has replaced ours by its own
    finally:
        sys.unraisablehook = before


@contextmanager
def asking(first: Callable[[], None], last: Callable[[], None]) -> Iterator[Callable[[], int]]:
    """Collect signals: the first one asks the training to stop, a further Ctrl-C ends the program at once.

    Args:
        first: Called when the first signal comes, in the midst of anything.
        last: Called before the program ends at once.

    Yields:
        A function that gives 0, or the exit code (130 or 143) once a signal has come.
    """
    code = 0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal code
        if not code:
            code = 128 + number
            first()
        elif number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            last()
            signal.raise_signal(signal.SIGINT)

    with _handled_by(stop):
        yield lambda: code


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def what_is_kept(trials: "Trials", context: "RunContext") -> str:
    """Describe what a stopped command leaves in its store."""
    from eailab.studies.progress import ENDED

    ended = sum(cell.state in ENDED for cell in trials.todo.values())
    several = len(trials.todo) > 1
    lines = [f"stopped: {ended} of {len(trials.todo)} trials have ended and are kept." if several else "stopped."]
    if context.on != "local":
        return f"{lines[0]} The machines were asked to stop; what they have written of the other trials is kept too."
    training = [(name, cell) for name, cell in trials.todo.items() if cell.state == "training"]
    for name, cell in training[:MOST_NAMED]:
        lines.append(f"{cell.label}: {_reached(context.store.folder(name).checkpoint_file)}.")
    if len(training) > MOST_NAMED:
        lines.append(f"{len(training) - MOST_NAMED} more were in training, and are kept up to their last checkpoint.")
    return "\n".join(lines) if several else " ".join(lines)


def _reached(file: Path) -> str:
    """Describe how far a trial is, from its checkpoint file."""
    from eailab.runs import checkpoint
    from eailab.runs.records import Position

    try:
        _, facts = checkpoint.load(file)
        return f"kept up to {Position.read(facts)}"
    except (DamagedError, KeyError, ValueError):
        return "nothing of it is kept yet"
