"""Run studies from Python: a line of progress in notebooks and terminals, interrupts, and what must not go unsaid."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from eailab.engines.registry import engine_of
from eailab.errors import StoppedError
from eailab.plain import plain_lines
from eailab.runs.context import Ended, Event, Failed, RunContext, SetAside, TriedAgain, never
from eailab.studies.progress import ENDED, Trials
from eailab.studies.run import Runner
from eailab.studies.storage import Plan

WIDTH = 78
"""Letters of the line of progress."""
SECONDS = 0.2
"""Between two changes of it."""
IGNORED_SEED = (
    "the training ignores its seed: two seeds gave the same numbers to the last digit, so that several blocks would "
    "be one run several times. Make all its chance depend on `seed`, as in numpy.random.default_rng(seed); "
)
"""Said in place of what names options of the command line."""
WITHOUT_CHANCE = "where it has no chance, one block is enough: seeds=1, audit=False."
WITHOUT_NOISE = "where it has no chance, there is no noise to measure."


class Session(Runner):
    """Runs studies from Python."""

    def note(self, text: str) -> None:
        """Print a note to standard error."""
        say(f"note: {text}")

    @contextmanager
    def followed(self, plans: Sequence[Plan]) -> Iterator[RunContext]:
        """Show how far the trials are, and let an interrupt stop them.

        Raises:
            StoppedError: There was one; all that is finished is kept.
        """
        line = _Line(plans, self.context.on_event)
        own = any(engine_of(trial.recipe).is_foreign for planned in plans for trial in planned.todo)
        try:
            with _interrupts(at_once=own) as is_asked:
                yield self.context.followed(line, lambda: is_asked() or self.context.should_stop())
        except (KeyboardInterrupt, StoppedError) as error:
            ended = sum(cell.state in ENDED for cell in line.trials.todo.values())
            raise StoppedError(
                f"stopped: {ended} of {len(line.trials.todo)} trials have ended and are kept"
                f"{'' if own else ', and one in training up to its last step'}. The same call goes on from there."
            ) from error
        finally:
            line.end()

    def said_of_ignored_seed(self, plans: Sequence[Plan]) -> str:
        """Return what is said of a function that ignores its seed."""
        compares = any(planned.record.study.factor is not None for planned in plans)
        return IGNORED_SEED + (WITHOUT_CHANCE if compares else WITHOUT_NOISE)


def say(text: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(f"{plain_lines(text)}\n")


@contextmanager
def _interrupts(*, at_once: bool) -> Iterator[Callable[[], bool]]:
    """Collect the first interrupt (Ctrl-C, or a notebook's button), and let a second one raise `KeyboardInterrupt`.

    Args:
        at_once: Let the first one raise it too, where code runs that does not ask whether to stop.

    Yields:
        A function that tells whether an interrupt has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never  # signals reach the main thread only
        return
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a handler is called with
        nonlocal asked
        if asked or at_once:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


class _Line:
    """One line of progress, rewritten by carriage returns alone, as notebooks understand them.

    Failures are printed in any case; the line where someone looks on, in a notebook or at a terminal.
    """

    def __init__(self, plans: Sequence[Plan], then: Callable[[Event], None]) -> None:
        self.trials, self.then = Trials(plans), then
        self.is_shown = bool(self.trials.todo) and (sys.stderr.isatty() or "JPY_PARENT_PID" in os.environ)
        self.shown, self.changed = "", 0.0

    def __call__(self, event: Event) -> None:
        """Update the line by what happened in a trial."""
        self.trials.update(event)
        if isinstance(event, Failed | TriedAgain | SetAside):
            self._write("")
            label = self.trials.cells[event.trial].label
            if said := self.trials.failure(event) if isinstance(event, Failed) else f"{label}: {event.reason}":
                say(said)
        now = time.monotonic()
        if isinstance(event, Ended) or now - self.changed >= SECONDS:
            self.changed = now
            training = [
                f"{cell.label}: {', '.join(filter(None, [cell.progress, cell.score]))}"
                if cell.epochs > 1 or cell.reported
                else cell.label
                for cell in self.trials.training()[:1]
            ]
            self._write(" · ".join(filter(None, [self.trials.count(), *training, self.trials.time_left()])))
        self.then(event)

    def end(self) -> None:
        """Leave what is done on the line."""
        self._write(self.trials.count())
        if self.is_shown and self.shown:
            sys.stderr.write("\n")

    def _write(self, text: str) -> None:
        if self.is_shown and text != self.shown:
            sys.stderr.write(f"\r{text[:WIDTH].ljust(len(self.shown))}" + "\r" * (not text))
            sys.stderr.flush()
            self.shown = text[:WIDTH]
