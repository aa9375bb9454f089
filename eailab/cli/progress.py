"""Show training: live bars on a terminal, few plain lines elsewhere; always on standard error."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from eailab.cli.advice import on_small_data, with_command
from eailab.cli.grid import GridPicture
from eailab.cli.output import LOG, as_called, echo, narrowed, wrapped
from eailab.plain import counted, plain_lines
from eailab.runs.context import Compiling, Ended, EpochEnded, Event, Failed, SetAside, Started, TriedAgain, Waiting
from eailab.runs.records import Position
from eailab.runs.trial import Trial
from eailab.studies.design import single
from eailab.studies.progress import Cell, Trials
from eailab.studies.storage import Plan, StudyRecord
from eailab.studies.time_left import Stage
from eailab.units import roughly

SILENCE_SECONDS = 30.0
"""After which a line says how far the work has come, where there is no picture."""
WORTH_SAYING_SECONDS = 60.0
"""Expected, from which on a quicker command is named."""
COMPILING_SECONDS = 15
"""That compiling the numpy engine takes, or somewhat less."""
NAMED_IN_A_LINE = 3
"""Trials in training."""
SHOW_CURSOR = "\x1b[?25h"


def can_move_cursor(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether a stream is a terminal on which lines can be drawn again; a notebook's pseudo terminal is not."""
    if not stream.isatty() or "JPY_PARENT_PID" in environment:
        return False
    return os.name == "nt" or environment.get("TERM", "").lower() not in {"", "dumb", "unknown"}


class Watch:
    """Shows what happens while some plans are trained and their files are written.

    Events may come from one thread while another draws. So both hold a lock; what a signal sets needs none.
    """

    def __init__(self, plans: Sequence[Plan], clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing shown; there are no plans where only files are written."""
        self.trials = Trials(plans, clock)
        self.is_quiet = not LOG.isEnabledFor(logging.INFO)
        self._quicker = on_small_data(plans[0].record.study.arms[0].recipe) if plans else None
        self._lock = threading.RLock()
        self._devices: set[str] = set()
        self._has_compiled = False
        self._shared: set[str] = set()
        """Studies that another process trains too."""
        self._said = self.trials.clock()
        self._over = threading.Event()
        is_live = not self.is_quiet and can_move_cursor(sys.stderr, os.environ)
        self._live = _screen(self._draw) if is_live else None
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    @classmethod
    def of_one(cls, trial: Trial, name: str) -> Self:
        """Return what shows a single trial, whatever studies it is of."""
        study = replace(single(trial.recipe, trial.block), name=name)
        record = StudyRecord(study, {(0, trial.block): trial.fingerprint}, (0,), 0)
        return cls([Plan(record, Path(), (trial,), (trial,), ())])

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        elif not self.is_quiet:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Update the state by what happened in a trial, and print what is worth a line."""
        with self._lock:
            self.trials.update(event)
            text = self._sentence(event, self.trials.cells[event.trial])
            if text and (not self.is_quiet or isinstance(event, Failed | TriedAgain | SetAside)):
                self._say(text)
            self._name_quicker()

    def stage(self, text: str, total: int = 1) -> None:
        """Start the work that follows the training; see `advance`."""
        with self._lock:
            self.trials.stage = Stage(text, total, self.trials.clock)
            if self._live is None and total > 1 and not self.is_quiet:
                self._say(text)

    def advance(self) -> None:
        """Count one more thing of the stage as done."""
        with self._lock:
            if self.trials.stage is not None:
                self.trials.stage.advance()

    def stopping(self) -> None:
        """Show that a signal has come; safe in the midst of anything."""
        self.trials.is_stopping = True
        if self._live is None:
            os.write(2, b"\nstopping; press Ctrl-C again to stop at once\n")

    def stopped_at_once(self, message: str) -> None:
        """Say what is kept, and leave the terminal as it was; safe in the midst of anything."""
        cursor = "" if self._live is None else SHOW_CURSOR
        os.write(2, f"{cursor}\n{as_called(plain_lines(with_command(message)))}\n".encode(errors="replace"))

    def say_if_silent(self) -> None:
        """Say how far the work has come if nothing was printed for a while."""
        with self._lock:
            if self.trials.clock() - self._said < SILENCE_SECONDS:
                return
            cells = self.trials.training()
            named = [f"{cell.label}: {', '.join(filter(None, [cell.progress, cell.score]))}" for cell in cells]
            if len(named) > NAMED_IN_A_LINE:
                named[NAMED_IN_A_LINE:] = [f"{len(named) - NAMED_IN_A_LINE} more in training"]
            head = "starting" if self.trials.is_starting() else self.trials.count()
            self._say(
                "; ".join(filter(None, [self._with_time_left(head), *(named if self.trials.stage is None else [])]))
            )

    # --- parts ---

    def _sentence(self, event: Event, cell: Cell) -> str:
        """Return what is printed for an event; empty for most."""
        match event:
            case Waiting():
                return self._waiting(event, cell)
            case Started():
                return "\n".join(self._beginning(event, cell))
            case Compiling() if not self._has_compiled:
                self._has_compiled = True
                return f"compiling the numpy engine, once for this kind of network: about {COMPILING_SECONDS} s"
            case TriedAgain() | SetAside():
                return f"{cell.label}: {event.reason}"
            case Failed():
                return self.trials.failure(event)
            case EpochEnded() if LOG.isEnabledFor(logging.DEBUG):
                epoch = event.epoch
                return f"{cell.label}: epoch {epoch.number}/{cell.epochs}  {cell.scores(epoch)}{event.seconds:.2f} s"
            case Ended(status="diverged"):
                return self._ended(f"{cell.label}: diverged (recorded as a result; the study continues)")
            case Ended(status="timed-out"):
                said = self._ended(f"{cell.label}: timed out (recorded as a result; the study continues)")
                return f"{said}\n{event.reason}" if event.reason else said
            case Ended() if self._live is None:
                return self._ended(f"{cell.label}: {cell.score or 'finished'}")
            case _:
                return ""

    def _waiting(self, event: Waiting, cell: Cell) -> str:
        """Say that another process trains a study's trials, once a study, however many they are."""
        names = {one.record.study.name for one in self.trials.plans if event.trial in one.record.trials.values()}
        new = names - self._shared
        self._shared |= names
        if not new:
            return ""
        return (
            f"{cell.label}: another process is training trials of {', '.join(sorted(new))}; waiting for their results"
        )

    def _beginning(self, event: Started, cell: Cell) -> list[str]:
        lines = []
        if event.device not in self._devices:
            self._devices.add(event.device)
            lines.append(f"device: {event.device} ({counted(event.threads, 'CPU thread')} a trial)")
        if event.resumed or event.step:
            lines.append(f"{cell.label}: continues after {Position(event.resumed, event.step)}")
        if event.unused:
            lines.append(f"{cell.label}: starts again: {event.unused}")
        return lines

    def _ended(self, text: str) -> str:
        count = self.trials.count()
        return self._with_time_left(f"{count}: {text}" if count else text)

    def _with_time_left(self, text: str) -> str:
        return ", ".join(filter(None, [text, self.trials.time_left()]))

    def _name_quicker(self) -> None:
        """Name a command on small data, once, where training takes long without a GPU."""
        if self._quicker is None or self._devices != {"cpu"}:
            return
        seconds = self.trials.seconds_left()
        if seconds is None:
            return
        if seconds > WORTH_SAYING_SECONDS and not self.is_quiet:
            self._say(f"this takes about {roughly(seconds)} on this CPU. Quicker, on small images:\n  {self._quicker}")
        self._quicker = None

    def _say(self, text: str) -> None:
        self._said = self.trials.clock()
        if self._live is None:
            echo(text, err=True)
        else:
            lines = wrapped(plain_lines(as_called(text)), narrowed(self._live.console.width, os.environ), 2)
            self._live.console.print(Text(lines), soft_wrap=True)

    def _tick(self) -> None:
        while not self._over.wait(1.0):
            self.say_if_silent()

    def _draw(self, width: int, height: int) -> RenderableType:
        with self._lock:
            return GridPicture(self.trials).draw(width, height)


def _screen(draw: Callable[[int, int], RenderableType]) -> Live:
    """Return what draws a picture again and again, as large as the terminal is; `COLUMNS` may make it narrower."""
    unsized = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    console = Console(stderr=True, force_terminal=True, force_jupyter=False, highlight=False, _environ=unsized)

    def picture() -> RenderableType:
        width, height = console.size
        return draw(narrowed(width, os.environ), height)

    return Live(get_renderable=picture, console=console, transient=True, refresh_per_second=4, vertical_overflow="crop")
