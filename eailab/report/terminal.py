"""A study on a terminal: a table that is legible at 80 columns, what qualifies its rows, and what it rests on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eailab.report.designs import design_facts, effects_table
from eailab.report.escaping import plain
from eailab.report.findings import StudyFindings
from eailab.report.tables import Table as Content
from eailab.report.tables import facts, headlines, main_table, state_sentence

STYLES = {"BETTER": "green", "WORSE": "red", "SAME": "cyan", "UNDECIDED": "yellow", "SCREEN": "yellow"}
"""Of the verdicts; the word is always there too."""

LABEL_WIDTH = 18
"""Characters that an arm's label may take before it is folded."""

ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""`rich.box.SIMPLE_HEAD` for files and pipes."""


@dataclass(frozen=True)
class StudyView:
    """A study as rich prints it: with lines on a terminal, in plain ASCII elsewhere."""

    findings: StudyFindings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the parts from top to bottom."""
        findings = self.findings
        yield Text(plain(findings.title), style="bold")
        if (interim := state_sentence(findings)) is not None:
            yield Text(interim, style="yellow")
        ascii_only = not console.is_terminal or options.ascii_only
        yield _table(main_table(findings), ascii_only=ascii_only)
        for arm in findings.arms:
            if arm.notes:
                yield _indented(f"{arm.label}: {'; '.join(arm.notes)}")
        if (effects := effects_table(findings)) is not None:
            yield Text()
            yield _table(effects, ascii_only=ascii_only)
        if findings.factor is None:
            yield from (_indented(line) for line in headlines(findings))
        for fact in (*design_facts(findings), *facts(findings)):
            yield _indented(f"{fact.name}: {fact.sentence}", style="dim")


def _table(content: Content, *, ascii_only: bool) -> Table:
    """Return a table as rich sets it."""
    lines = ASCII_HEAD if ascii_only else box.SIMPLE_HEAD
    table = Table(box=lines, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    kept = [(index, column) for index, column in enumerate(content.columns) if column.narrow is not None]
    for index, column in kept:
        table.add_column(
            Text(plain(column.narrow or column.heading)),
            justify="right" if column.is_number else "left",
            min_width=min(LABEL_WIDTH, max(len(row[0]) for row in content.rows)) if index == 0 else None,
            no_wrap=column.is_number,
            overflow="fold",
        )
    for row in content.rows:
        table.add_row(*(Text(plain(row[index]), style=STYLES.get(row[index], "")) for index, _ in kept))
    return table


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(plain(text), style=style), (0, 0, 0, 2), expand=False)


def print_study(findings: StudyFindings, console: Console | None = None) -> None:
    """Print a study; to standard output unless another console is given."""
    (console or Console(highlight=False)).print(StudyView(findings))


def print_table(title: str, content: Content, lines: Sequence[str], console: Console | None = None) -> None:
    """Print a table under its title, and lines of text below it; to standard output unless another console is given."""
    console = console or Console(highlight=False)
    console.print(Text(plain(title), style="bold"))
    console.print(_table(content, ascii_only=not console.is_terminal or console.options.ascii_only))
    for line in lines:
        console.print(_indented(line))
