"""Draw training on a terminal: what is left, what trains now, arms by blocks with interim numbers, as far as fits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eailab.findings.collapse import chance_level
from eailab.findings.study import images_evaluated
from eailab.findings.tables import Table as Interim
from eailab.findings.tables import interim_table
from eailab.metrics import VALIDATION, Metric
from eailab.plain import blocks_in_words, counted, plain
from eailab.runs.store import Store
from eailab.stats.collapse import Chance, collapsed
from eailab.studies.progress import ENDED, ROUNDING, Cell, State, Trials
from eailab.studies.storage import Plan

STYLES: dict[State, str] = {
    "waiting": "dim",
    "training": "cyan",
    "elsewhere": "yellow",
    "finished": "green",
    "diverged": "magenta",
    "timed-out": "magenta",
    "failed": "red",
}
GAP = 2
"""Cells between two columns."""
BAR_WIDTH = 10
LABEL_WIDTH = 20
"""Cells that an arm's label may take; a third of a narrow terminal."""
HEAD_LINES = 3
"""Of a study: its title, the headings, a rule."""
INTERVAL_WIDTH = 16
"""Cells of an interval in percentage points, so that the column keeps its width."""
LEAST_BLOCKS = 2
"""Columns of blocks that come before interim numbers."""
LEAST_COUNT = 8
"""Cells of the count next to the time left; where there are fewer, only the time is shown."""
MOST_IN_TRAINING = 4
"""Trials that are named one by one."""


class GridPicture:
    """Draws some studies as they stand, no larger than a terminal is."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self._interim: dict[int, tuple[tuple[str, ...], Interim, list[list[bool]]]] = {}
        """By the study's place: the states of its trials, what those that have ended show, and which have collapsed."""
        self._chances: dict[int, tuple[Metric, Chance] | None] = {}
        """By the study's place: by which metric its trials collapse, and its chance level, once that is known."""

    def draw(self, width: int, height: int) -> RenderableType:
        """Return the picture for a terminal of this many cells and lines."""
        trials = self.trials
        lines: list[RenderableType] = [self._head(width), *self._now(width, 1 if height < 10 else MOST_IN_TRAINING)]
        if trials.stage is None:
            lines += self._studies(width, height - 1 - len(lines))
        return Group(*lines[: max(1, height - 1)])

    # --- lines ---

    def _head(self, width: int) -> Text:
        """Say how much is done and left: the time left always, of the count what fits, the time spent if it fits."""
        trials = self.trials
        if trials.is_stopping:
            return Text(_cut("stopping; Ctrl-C again stops at once", width), style="bold", no_wrap=True)
        left = trials.time_left()
        if trials.is_starting():
            left = "starting"
        count = trials.count()
        if left and count:
            room = width - cell_len(left) - len(", ")
            count = _cut(count, room) if room >= LEAST_COUNT else ""
        line = ", ".join(filter(None, [count, left]))
        spent = trials.time_spent()
        if cell_len(line) + GAP + len(spent) <= width:
            line = ", ".join(filter(None, [line, spent]))
        return Text(_cut(line, width), style="bold", no_wrap=True)

    def _now(self, width: int, most: int) -> list[Text]:
        """Say what trains, a line each, and how many more there are."""
        if self.trials.stage is not None:
            return []
        cells = self.trials.training()
        named = cells if len(cells) <= most else cells[: most - 1]
        lines = [_trial_line(cell, width) for cell in named]
        if more := len(cells) - len(named):
            lines.append(Text(f"{more} more in training", style="cyan", no_wrap=True))
        return lines

    def _studies(self, width: int, room: int) -> list[RenderableType]:
        """Draw as many studies as there is room for, those in training first, and say which are not shown."""
        compared = [
            number for number, planned in enumerate(self.trials.plans) if planned.record.study.factor is not None
        ]
        compared.sort(key=self._urgency)
        drawn: list[RenderableType] = []
        for place, number in enumerate(compared):
            left_out = len(compared) - place - 1
            rest = room - (left_out > 0)
            lines, used = self._study(number, width, rest)
            if not used or (drawn and used > rest):
                return [*drawn, _note(f"{counted(left_out + 1, 'study')} not shown", width)]
            drawn += lines
            room -= used
        return drawn

    def _urgency(self, number: int) -> int:
        states = {cell.state for row in self._rows(number) for cell in row}
        return 0 if states & {"training", "elsewhere"} else 1 if "waiting" in states else 2

    # --- a study ---

    def _study(self, number: int, width: int, room: int) -> tuple[list[RenderableType], int]:
        """Draw one study, and say how many lines it takes; none where the room is too small for an arm of it."""
        study = self.trials.plans[number].record.study
        rows = self._rows(number)
        labels = [f"{plain(arm.label)}{' (base)' if arm is study.arms[study.baseline] else ''}" for arm in study.arms]
        heading = plain(study.factor.word if study.factor else "")
        label_width = min(max(map(cell_len, [heading, *labels])), LABEL_WIDTH, max(8, width // 3))
        numbers, fallen = self._numbers(number)
        widths = [max(map(cell_len, column)) for column in numbers]
        widths[-1] = max(widths[-1], INTERVAL_WIDTH)
        shown = _fitting(width - label_width, study.blocks, rows[0][0].epochs, widths, _first_open(rows))
        blocks = [study.blocks[place] for place in shown.blocks]
        hidden = [column[0] for column in numbers[shown.numbers :]]
        if others := [block for block in study.blocks if block not in blocks]:
            hidden.insert(0, f"block{'s' * (len(others) > 1)} {blocks_in_words(others)}")
        arms = _fitting_arms(rows, study.baseline, room - HEAD_LINES - bool(hidden))
        if len(arms) < len(rows):
            arms = arms[: max(0, room - HEAD_LINES - 1)]
            hidden.append(counted(len(rows) - len(arms), "arm"))
        if not arms:
            return [], 0
        table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
        table.add_column(Text(heading), width=label_width, no_wrap=True, overflow="ellipsis")
        for block in blocks:
            table.add_column(Text(f"block {block}"), width=shown.cell_width, no_wrap=True)
        for column, cells in zip(numbers[: shown.numbers], widths, strict=False):
            table.add_column(Text(column[0]), width=cells, justify="right", no_wrap=True)
        for arm in arms:
            table.add_row(
                Text(labels[arm]),
                *(
                    _cell_text(rows[arm][place], has_score=shown.has_scores, is_collapsed=fallen[arm][place])
                    for place in shown.blocks
                ),
                *(Text(column[arm + 1]) for column in numbers[: shown.numbers]),
            )
        title = Text(_cut(f"{plain(study.name)} (interim: no verdict yet)", width), style="italic", no_wrap=True)
        notes = [_note(f"not shown: {'; '.join(hidden)}", width)] if hidden else []
        return [title, table, *notes], HEAD_LINES + len(arms) + len(notes)

    def _rows(self, number: int) -> list[list[Cell]]:
        """Return the trials of each arm, block by block."""
        record = self.trials.plans[number].record
        return [
            [self.trials.cells[record.trials[arm, block]] for block in record.study.blocks]
            for arm in range(len(record.study.arms))
        ]

    def _numbers(self, number: int) -> tuple[list[list[str]], list[list[bool]]]:
        """Return the columns of interim numbers, heading and a cell for each arm, and which trials have collapsed.

        Both are computed again as trials end.
        """
        rows = self._rows(number)
        ended = tuple(cell.state if cell.state in ENDED else "" for row in rows for cell in row)
        if number not in self._interim or self._interim[number][0] != ended:
            values = [[cell.value for cell in row] for row in rows]
            diverged, late = (
                [[cell.state == how for cell in row] for row in rows] for how in ("diverged", "timed-out")
            )
            fallen = self._collapsed(number, rows)
            table = interim_table(self.trials.plans[number].record.study, values, diverged, late, fallen)
            self._interim[number] = ended, table, fallen
        _, table, fallen = self._interim[number]
        columns = [
            [column.narrow or column.heading, *(row[place] for row in table.rows)]
            for place, column in enumerate(table.columns)
        ]
        return columns, fallen

    def _collapsed(self, number: int, rows: list[list[Cell]]) -> list[list[bool]]:
        """Return which trials have collapsed, by those that have finished so far, as the table of all will say it."""
        if self._chances.get(number) is None:
            self._chances[number] = _chance(self.trials.plans[number], rows)
        known = self._chances[number]
        if known is None:
            return [[False] * len(row) for row in rows]
        metric, chance = known

        def value(cell: Cell) -> float:
            found = metric.value(cell.last.values) if cell.state == "finished" and cell.last is not None else None
            return math.nan if found is None else found

        values = np.array([[value(cell) for cell in row] for row in rows]).T
        mask: list[list[bool]] = collapsed(values, chance, metric.higher_is_better).T.tolist()
        return mask


def _chance(planned: Plan, rows: list[list[Cell]]) -> tuple[Metric, Chance] | None:
    """Return by which metric trials collapse, and its chance level; None before a trial has finished."""
    record = planned.record
    finished = (
        record.trials[arm, record.study.blocks[place]]
        for arm, row in enumerate(rows)
        for place, cell in enumerate(row)
        if cell.state == "finished"
    )
    if (first := next(finished, None)) is None:
        return None
    images = images_evaluated(Store(planned.folder.parent.parent), record.study, first).get(VALIDATION)
    return chance_level(record, rows[0][0].metrics, images)


@dataclass(frozen=True)
class _Shown:
    """The columns of a study that fit next to its labels."""

    blocks: range
    """Their places."""
    cell_width: int
    has_scores: bool
    """Whether a trial in training shows its score too."""
    numbers: int
    """Columns of interim numbers."""


def _fitting(room: int, blocks: Sequence[int], epochs: int, numbers: Sequence[int], first: int) -> _Shown:
    """Choose the columns next to the labels; the choice stays while trials proceed.

    Args:
        room: Cells.
        blocks: Of the study.
        epochs: Of a trial.
        numbers: Widths of the columns of interim numbers.
        first: Place of the block from which blocks are shown.
    """
    position = len(_position(Cell("", epochs, position=epochs)))
    narrow = max(len("diverged"), len(f"block {max(blocks)}"), position)
    wide = max(narrow, position + len(" 99.9%"))
    has_scores = (wide + GAP) * len(blocks) + sum(numbers) + GAP * len(numbers) <= room
    cell = (wide if has_scores else narrow) + GAP
    least = min(len(blocks), LEAST_BLOCKS if cell * LEAST_BLOCKS <= room else 1)
    room -= cell * least
    shown = 0
    while shown < len(numbers) and numbers[shown] + GAP <= room:
        room -= numbers[shown] + GAP
        shown += 1
    count = min(len(blocks), least + max(0, room) // cell)
    start = max(0, min(first, len(blocks) - count))
    return _Shown(range(start, start + count), cell - GAP, has_scores, shown)


def _first_open(rows: list[list[Cell]]) -> int:
    """Return the place of the block before the first with work left, from which blocks are shown."""
    for place, column in enumerate(zip(*rows, strict=True)):
        if any(cell.state not in ENDED for cell in column):
            return max(0, place - 1)
    return len(rows[0])


def _fitting_arms(rows: list[list[Cell]], baseline: int, room: int) -> list[int]:
    """Return as many arms as there is room for: the baseline and those in training before others."""

    def order(arm: int) -> tuple[bool, bool, int]:
        return arm != baseline, all(cell.state != "training" for cell in rows[arm]), arm

    return sorted(sorted(range(len(rows)), key=order)[: max(0, room)])


def _trial_line(cell: Cell, width: int) -> Text:
    """Say how far a trial has come: the progress whole, of the label what fits, a bar and the score if they fit."""
    progress = f": {cell.progress}"
    label = _cut(plain(cell.label), max(8, width - cell_len(progress)))
    line = label + progress
    share = min(1.0, cell.position / max(cell.epochs, 1))
    filled = int(share * BAR_WIDTH)
    bar = f"{share:4.0%} [{'#' * filled}{'-' * (BAR_WIDTH - filled)}]"
    for part in ("" if cell.is_own and not share else bar, cell.score):
        if part and cell_len(line) + GAP + len(part) <= width:
            line += " " * GAP + part
    return Text(_cut(line, width), style=STYLES["training"], no_wrap=True)


def _cell_text(cell: Cell, *, has_score: bool, is_collapsed: bool) -> Text:
    """Return what the table shows of a trial."""
    if is_collapsed:
        return Text("collapsed", style=STYLES["diverged"], no_wrap=True)
    score = cell.last_value(1)
    text = {
        "waiting": "-",
        "training": f"{_position(cell)} {score if has_score else ''}".rstrip(),
        "finished": score or "done",
        "timed-out": "timeout",  # no wider than other states
    }.get(cell.state, cell.state)
    return Text(text, style=STYLES[cell.state], no_wrap=True)


def _position(cell: Cell) -> str:
    """Return epochs done of all, with as many decimals as show progress inside an epoch.

    >>> [_position(Cell("", epochs, position=position)) for epochs, position in ((1, 0.379), (30, 6.49), (2000, 7.6))]
    ['0.37/1', '6.4/30', '7/2000']
    """
    if cell.is_own:
        return cell.reached or "running"
    digits = 2 if cell.epochs < 10 else 1 if cell.epochs < 1000 else 0
    down = int(cell.position * 10**digits + ROUNDING) / 10**digits
    return f"{down:.{digits}f}/{cell.epochs}"


def _cut(text: str, width: int) -> str:
    """Cut text that is too wide, which an ellipsis shows."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, max(0, width - 1)).rstrip()}…"


def _note(text: str, width: int) -> Text:
    return Text(_cut(text, width), style="dim", no_wrap=True)
