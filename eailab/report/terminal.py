"""Render documents for a terminal: tables legible at 80 columns, what qualifies their rows, what they rest on.

Where a table's columns do not fit side by side, its cells stand below each other, row by row: no word is cut off.
"""

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column
from eailab.findings.tables import Table as Content
from eailab.findings.words import NOTHING
from eailab.plain import plain
from eailab.report.columns import GAP, UNLIMITED, needed, set_side_by_side, shortened, widths
from eailab.report.compose import Detail, studies_document, study_section
from eailab.report.document import Block, Bullets, Document, Facts, Heading, Paragraph, TableBlock, notes
from eailab.translation import english

STYLES = {
    "BETTER": "green",
    "WORSE": "red",
    "SAME": "cyan",
    "UNDECIDED": "yellow",
    "SCREEN": "yellow",
    "alert": "yellow",
}
"""Of the verdicts, whose word is always there too, and of what must be known first."""

ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""`rich.box.SIMPLE_HEAD` for files and pipes."""


def render(document: Document, console: Console | None = None) -> None:
    """Print a document; to standard output unless another console is given.

    With lines on a terminal, in plain ASCII elsewhere; in files and pipes without the blanks with which rich fills up.
    """
    # as wide as the terminal; in files and pipes nothing is wrapped
    console = console or _console(sys.stdout)
    ascii_only = not console.is_terminal or console.options.ascii_only
    parts: list[RenderableType] = []
    before: Block | None = None
    for block in document.lines():
        is_apart = isinstance(block, Heading) or (isinstance(before, TableBlock) and isinstance(block, TableBlock))
        parts += [Text()] if before is not None and is_apart else []
        parts += _parts(block, console.width, ascii_only)
        before = before if isinstance(block, Heading) and not block.text else block
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    console.file.write("\n".join(line.rstrip(" ") for line in capture.get().split("\n")))


def print_study(findings: StudyFindings, console: Console | None = None) -> None:
    """Print a study; to standard output unless another console is given."""
    section = study_section(findings, Detail.BRIEF, level=1)
    render(Document(findings.name, (section,), dict), console)


def print_studies(studies: Sequence[StudyFindings]) -> None:
    """Print studies to standard output, the answers of all first."""
    if len(studies) == 1:
        print_study(studies[0])
    elif studies:
        render(studies_document(studies))


def print_table(title: str, content: Content, lines: Sequence[str], console: Console | None = None) -> None:
    """Print a table under its title, and lines of text below it; to standard output unless another console is given."""
    render(Document(title, (TableBlock(content), Bullets(tuple(lines))), dict), console)


def print_wrapped(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[str],
    names: Collection[str],
    stream: TextIO,
) -> None:
    """Print a list whose columns do not fit side by side; see `eailab.report.lists.print_list`."""
    columns = tuple(Column(one, one in numbers, is_name=one in names) for one in headings)
    content = Content(columns, tuple(map(tuple, rows)))
    render(Document("", (TableBlock(content),), dict), _console(stream))


def _console(stream: TextIO) -> Console:
    return Console(file=stream, highlight=False, width=None if stream.isatty() else UNLIMITED)


def _parts(block: Block, width: int, ascii_only: bool) -> Iterator[RenderableType]:
    """Yield what a block looks like, from top to bottom; a terminal has no figures."""
    match block:
        case Heading(text=""):
            return
        case Heading():
            yield Text(plain(block.text), style="bold")
        case Paragraph():
            yield Text(plain(" ".join(block.sentences)), style=STYLES.get(block.kind, ""))
        case Bullets():
            yield from map(_indented, block.items)
        case Facts():
            for fact in block.items:
                yield _indented(f"{fact.name}: {fact.sentence}", style="dim")
        case TableBlock():
            yield _table(block.table, width, ascii_only=ascii_only)
            yield from (_indented(f"{name}: {note}") for name, note in notes(block.table, english))


def _table(content: Content, width: int, *, ascii_only: bool) -> RenderableType:
    """Return a table as rich sets it, or its rows one below the other where the columns would lose letters."""
    kept = [(index, column) for index, column in enumerate(content.columns) if column.narrow is not None]
    found = widths([_needs(content, index) for index, _ in kept], width)
    if found is None:
        return _stacked(content)
    if width == UNLIMITED:
        return _unwrapped(content, [(index, cells) for (index, _), cells in zip(kept, found, strict=True)])
    lines = ASCII_HEAD if ascii_only else box.SIMPLE_HEAD
    table = Table(box=lines, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for (_, column), cells in zip(kept, found, strict=True):
        table.add_column(
            Text(plain(column.narrow or column.heading)),
            justify="right" if column.is_number else "left",
            width=cells,
            no_wrap=column.is_number or column.is_name,
            overflow="fold",
        )
    for row in content.rows:
        texts = [
            shortened(plain(row[index]), cells) if column.is_name else plain(row[index])
            for (index, column), cells in zip(kept, found, strict=True)
        ]
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in texts))
    return table


def _unwrapped(content: Content, places: Sequence[tuple[int, int]]) -> Text:
    """Set columns, by index and width, for a file or pipe, where nothing wraps; rich takes long for each cell."""
    across, to_right = [width for _, width in places], [content.columns[index].is_number for index, _ in places]
    headings = [plain(content.columns[index].narrow or content.columns[index].heading) for index, _ in places]
    rows = [[plain(row[index]) for index, _ in places] for row in content.rows]
    first, *rest = (set_side_by_side(cells, across, to_right) for cells in (headings, *rows))
    return Text("\n".join([first, "-" * (sum(across) + GAP * (len(places) - 1)), *rest]))


def _needs(content: Content, index: int) -> tuple[int, int]:
    """Return the cells that a column needs at least, and those with which it wraps nothing."""
    column = content.columns[index]
    texts = [plain(column.narrow or column.heading), *(plain(row[index]) for row in content.rows)]
    return needed(texts, is_number=column.is_number, is_name=column.is_name, is_first=index == 0)


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
