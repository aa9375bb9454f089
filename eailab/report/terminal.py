"""A study on a terminal: a table that is legible at 80 columns, what qualifies its rows, and what it rests on.

Where a table's columns do not fit side by side, its cells stand below each other, row by row: no word is cut off.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eailab.findings.design import design_facts, effects_table
from eailab.findings.study import StudyFindings
from eailab.findings.tables import NOTHING, facts, headlines, main_table, state_sentences
from eailab.findings.tables import Table as Content
from eailab.plain import plain

STYLES = {"BETTER": "green", "WORSE": "red", "SAME": "cyan", "UNDECIDED": "yellow", "SCREEN": "yellow"}
"""Of the verdicts; the word is always there too."""

LABEL_WIDTH = 18
"""Characters that an arm's label may take before it is folded."""

GAP = 2
"""Cells between two columns."""

ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""`rich.box.SIMPLE_HEAD` for files and pipes."""


@dataclass(frozen=True)
class StudyView:
    """A study as rich prints it: with lines on a terminal, in plain ASCII elsewhere."""

    findings: StudyFindings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the parts from top to bottom."""
        findings = self.findings
        yield Text(plain(findings.headed(findings.title, str)), style="bold")
        for sentence in state_sentences(findings):
            yield Text(plain(sentence), style="yellow")
        ascii_only = not console.is_terminal or options.ascii_only
        yield _table(main_table(findings), options.max_width, ascii_only=ascii_only)
        for arm in findings.arms:
            if arm.notes:
                yield _indented(f"{arm.label}: {'; '.join(arm.notes)}")
        if (effects := effects_table(findings)) is not None:
            yield Text()
            yield _table(effects, options.max_width, ascii_only=ascii_only)
        if findings.factor is None:
            yield from (_indented(line) for line in headlines(findings))
        for fact in (*design_facts(findings), *facts(findings)):
            yield _indented(f"{fact.name}: {fact.sentence}", style="dim")


def _table(content: Content, width: int, *, ascii_only: bool) -> RenderableType:
    """Return a table as rich sets it, or its rows one below the other where the columns would lose letters."""
    kept = [(index, column) for index, column in enumerate(content.columns) if column.narrow is not None]
    widths = _widths([_needs(content, index) for index, _ in kept], width)
    if widths is None:
        return _stacked(content)
    lines = ASCII_HEAD if ascii_only else box.SIMPLE_HEAD
    table = Table(box=lines, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for (_, column), cells in zip(kept, widths, strict=True):
        table.add_column(
            Text(plain(column.narrow or column.heading)),
            justify="right" if column.is_number else "left",
            width=cells,
            no_wrap=column.is_number,
            overflow="fold",
        )
    for row in content.rows:
        table.add_row(*(Text(plain(row[index]), style=STYLES.get(row[index], "")) for index, _ in kept))
    return table


def _needs(content: Content, index: int) -> tuple[int, int]:
    """Return the cells that a column needs at least, and those with which it wraps nothing.

    Numbers do not wrap. A label needs `LABEL_WIDTH` at most, other text its longest word, of which one beyond
    `LABEL_WIDTH` may be folded, as the path of a setting.
    """
    column = content.columns[index]
    texts = [plain(column.narrow or column.heading), *(plain(row[index]) for row in content.rows)]
    most = max(map(cell_len, texts))
    if column.is_number:
        return most, most
    pieces = texts[1:] if index == 0 else [word for text in texts for word in text.split()]
    return min(LABEL_WIDTH, max(map(cell_len, pieces), default=0)), most


def _widths(needs: Sequence[tuple[int, int]], width: int) -> list[int] | None:
    """Return the width of each column, earlier ones wide first; None when the columns do not fit side by side.

    >>> _widths([(5, 20), (6, 6), (4, 9)], 40)
    [20, 6, 9]
    >>> _widths([(5, 20), (6, 6), (4, 9)], 30)
    [16, 6, 4]
    """
    spare = width - GAP * (len(needs) - 1) - sum(least for least, _ in needs)
    if spare < 0:
        return None
    widths = []
    for least, most in needs:
        widths.append(least + min(spare, most - least))
        spare -= widths[-1] - least
    return widths


def _stacked(content: Content) -> Group:
    """Return each row as its name and, below it, the cells that say something, under the headings of narrow tables."""
    lines: list[RenderableType] = []
    for row in content.rows:
        lines.append(Text(plain(row[0]), style="bold"))
        for column, cell in zip(content.columns[1:], row[1:], strict=True):
            if column.narrow is not None and cell not in {"", NOTHING}:
                heading = plain(column.narrow or column.heading)
                said = Text.assemble(f"{heading}: " if heading else "", (plain(cell), STYLES.get(cell, "")))
                lines.append(Padding(said, (0, 0, 0, 2), expand=False))
    return Group(*lines)


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(plain(text), style=style), (0, 0, 0, 2), expand=False)


def print_study(findings: StudyFindings, console: Console | None = None) -> None:
    """Print a study; to standard output unless another console is given."""
    _print(console or Console(highlight=False), StudyView(findings))


def print_table(title: str, content: Content, lines: Sequence[str], console: Console | None = None) -> None:
    """Print a table under its title, and lines of text below it; to standard output unless another console is given."""
    console = console or Console(highlight=False)
    ascii_only = not console.is_terminal or console.options.ascii_only
    table = _table(content, console.width, ascii_only=ascii_only)
    _print(console, Text(plain(title), style="bold"), table, *map(_indented, lines))


def _print(console: Console, *parts: RenderableType) -> None:
    """Print parts below each other; in files and pipes without the blanks with which rich fills lines up."""
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    console.file.write("\n".join(line.rstrip(" ") for line in capture.get().split("\n")))
