"""Studies in progress on a terminal: arms by blocks, each trial's state, epoch and accuracy, and interim numbers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eailab.engines.base import Scores
from eailab.errors import StoreError
from eailab.report.measures import MEASURES
from eailab.runs.events import Ended, EpochEnded, Event, Failed, Started, Stepped, TriedAgain, Waiting
from eailab.runs.records import Epoch
from eailab.runs.store import Store
from eailab.stats.model import Comparison, compare
from eailab.studies.conduct import Plan
from eailab.studies.factor import word

State = Literal["waiting", "training", "elsewhere", "finished", "diverged", "failed"]
STYLES: dict[State, str] = {
    "waiting": "dim",
    "training": "cyan",
    "elsewhere": "yellow",
    "finished": "green",
    "diverged": "magenta",
    "failed": "red",
}
ENDED: tuple[State, ...] = ("finished", "diverged", "failed")
CELL_WIDTH = 12
"""Characters of a block's column with its gap."""
OTHER_WIDTH = 62
"""Characters of all other columns."""


@dataclass
class _Cell:
    """One trial."""

    state: State = "waiting"
    epoch: int = 0
    epochs: int = 0
    done: float = 0.0
    """Share of the trial, from 0 to 1."""
    last: Epoch | None = None
    """The last epoch that ended."""
    value: float = float("nan")
    """The study's metric in the unit shown; NaN until the trial has finished."""

    def text(self) -> Text:
        """Return what the grid shows of it."""
        accuracy = "" if self.last is None else f"{100 * self.last.validation.accuracy:.1f}%"
        said = {
            "waiting": "-",
            "training": f"{self.epoch}/{self.epochs} {accuracy}".rstrip(),
            "elsewhere": "elsewhere",
            "finished": accuracy or "done",
        }.get(self.state, self.state)
        return Text(said, style=STYLES[self.state], no_wrap=True)


class Grid:
    """What is known of every trial of some studies, drawn again and again while they are trained."""

    def __init__(self, plans: Sequence[Plan], console: Console, hear: Callable[[Event], None]) -> None:
        """Begin with what the store has.

        Args:
            plans: What is trained.
            console: A terminal.
            hear: Told every event too; says in words what a grid cannot.
        """
        self._plans = plans
        self._console = console
        self._hear = hear
        self._cells = {trial.fingerprint: _Cell() for planned in plans for trial in planned.trials}
        self._todo = {trial.fingerprint for planned in plans for trial in planned.todo}
        for planned in plans:
            self._take_up(planned)
        self._interim = [self._compared(planned) for planned in plans]
        self._began: float | None = None
        """When the first trial began to train; before that, machines may have been waited for."""
        self._live = Live(get_renderable=self.picture, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in what happened in a trial."""
        self._hear(event)
        cell = self._cells[event.trial]
        match event:
            case Waiting():
                cell.state = "elsewhere"
            case Started():
                self._began = self._began or time.monotonic()
                cell.state, cell.epochs, cell.epoch = "training", event.epochs, event.resumed
            case Stepped():
                cell.epoch = event.epoch
                cell.done = (event.epoch - 1 + event.step.step / event.step.steps) / max(cell.epochs, 1)
            case EpochEnded():
                cell.epoch, cell.last = event.epoch.number, event.epoch
                cell.done = event.epoch.number / max(cell.epochs, 1)
            case Ended():
                self._end(event, cell)
            case Failed():
                cell.state, cell.done = "failed", 1.0
            case TriedAgain():
                cell.state, cell.done = "waiting", 0.0

    def picture(self) -> RenderableType:
        """Return the grid of each study, and how much is left."""
        grids = [self._grid(planned, found) for planned, found in zip(self._plans, self._interim, strict=True)]
        return Group(*grids, Text(self._progress(), style="bold"))

    # --- what is known ---

    def _take_up(self, planned: Plan) -> None:
        """Fill in the trials that were finished before."""
        measure = MEASURES[planned.record.study.metric]
        store = Store(planned.folder.parent.parent)
        for trial in planned.trials:
            cell = self._cells[trial.fingerprint]
            if trial.fingerprint in self._todo or cell.state != "waiting":
                continue
            try:
                result = store.folder(trial.fingerprint).result()
            except StoreError:
                continue
            if result is None:
                continue
            cell.state, cell.done = result.status, 1.0
            if result.train is not None and result.validation is not None:
                cell.last = Epoch(result.epochs, result.train, result.validation)
                cell.value = measure.value(result) or float("nan")

    def _end(self, event: Ended, cell: _Cell) -> None:
        cell.state, cell.done = event.status, 1.0
        for number, planned in enumerate(self._plans):
            if event.trial in planned.record.trials.values():
                cell.value = _value(planned, cell.last, event.test)
                self._interim[number] = self._compared(planned)

    def _compared(self, planned: Plan) -> Comparison:
        """Compare what has finished so far."""
        study, record = planned.record.study, planned.record
        measure = MEASURES[study.metric]
        rows = [[self._cells[record.trials[arm, block]] for arm in range(len(study.arms))] for block in study.blocks]
        return compare(
            np.array([[cell.value for cell in row] for row in rows]),
            study.baseline,
            study.margin * measure.margin_scale,
            measure.higher_is_better,
            diverged=np.array([[cell.state == "diverged" for cell in row] for row in rows]),
        )

    # --- how it looks ---

    def _grid(self, planned: Plan, found: Comparison) -> Table:
        study, record = planned.record.study, planned.record
        measure = MEASURES[study.metric]
        blocks = self._shown_blocks(planned)
        table = Table(box=box.SIMPLE_HEAD, title=f"{study.name} (interim: no verdict yet)", title_justify="left")
        table.add_column(word(study.factor), max_width=20, overflow="ellipsis", no_wrap=True)
        for block in blocks:
            table.add_column(f"block {block}", no_wrap=True)
        for heading in (f"mean {measure.unit}".rstrip(), measure.with_unit("diff."), "95% interval"):
            table.add_column(heading, justify="right", no_wrap=True)
        for index, (arm, result) in enumerate(zip(study.arms, found.arms, strict=True)):
            is_baseline = index == study.baseline
            interval = result.interval95
            table.add_row(
                f"{arm.label}{' (base)' if is_baseline else ''}",
                *(self._cells[record.trials[index, block]].text() for block in blocks),
                "" if result.mean is None else f"{result.mean:.{measure.decimals}f}",
                "" if result.difference is None or is_baseline else f"{result.difference:+.{measure.decimals}f}",
                ""
                if interval is None
                else f"[{interval[0]:+.{measure.decimals}f}, {interval[1]:+.{measure.decimals}f}]",
            )
        return table

    def _shown_blocks(self, planned: Plan) -> tuple[int, ...]:
        """Return as many blocks as the terminal is wide for, from the last one before the first with work left."""
        study, record = planned.record.study, planned.record
        room = max(2, (self._console.width - OTHER_WIDTH) // CELL_WIDTH)
        arms = range(len(study.arms))
        first = next(
            (
                place
                for place, block in enumerate(study.blocks)
                if any(self._cells[record.trials[arm, block]].done < 1.0 for arm in arms)
            ),
            len(study.blocks),
        )
        start = max(0, min(first - 1, len(study.blocks) - room))
        return study.blocks[start : start + room]

    def _progress(self) -> str:
        from eailab.cli.progress import duration

        done = sum(self._cells[trial].done for trial in self._todo)
        ended = sum(self._cells[trial].state in ENDED for trial in self._todo)
        seconds = 0.0 if self._began is None else time.monotonic() - self._began
        left = f", about {duration(seconds * (len(self._todo) - done) / done)} left" if done and seconds > 1.0 else ""
        return f"{ended} of {len(self._todo)} trials{left}"


def _value(planned: Plan, last: Epoch | None, test: Scores | None) -> float:
    """Return the study's metric of a trial that has just ended; NaN where it diverged."""
    if last is None or test is None:
        return float("nan")
    measure = MEASURES[planned.record.study.metric]
    return measure.scale * measure.read(last.train, last.validation, test)
