"""Define a report without a format: a document of blocks, which each renderer sets in its own way.

`compose` makes documents; a renderer sets every block that a document holds, and adds no content of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from eailab.findings.tables import NOTE, Fact, Table
from eailab.report.figures import Figure
from eailab.report.manifest import Manifest
from eailab.report.study_report import PathReport, StudyReport
from eailab.translation import ENGLISH, Say, joined, language, tr

STUDY = tr("Study")
"""Goes before the name of a study's folder."""


def notes(table: Table, say: Say) -> Iterator[tuple[str, str]]:
    """Yield the name and the note of each row that has one, for formats in which notes stand under the table."""
    if table.columns[-1].heading == NOTE:
        for row in table.rows:
            if row[-1]:
                yield say(row[0]), say(row[-1])


@dataclass(frozen=True)
class Title:
    """A heading or a caption, with what tells its study from others of the same report."""

    text: str
    apart: tuple[str, ...] = ()

    def translated(self, say: Say) -> str:
        """Return it in a language."""
        if not self.apart:
            return say(self.text)
        return say(tr("{title} ({apart})", title=self.text, apart=joined(self.apart, " · ")))


# --- blocks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str
    level: int = 3


@dataclass(frozen=True)
class Name:
    """The name of a study's folder, under the heading of its section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Sentences, translated one by one."""

    sentences: tuple[str, ...]
    kind: Literal["", "alert", "note"] = ""
    """`alert` for what must be known first, `note` for small type."""


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class TableBlock:
    """A table with its caption."""

    table: Table
    caption: str = ""
    is_sortable: bool = False
    """Whether a reader may sort it, where the format can."""


@dataclass(frozen=True)
class Facts:
    """Named statements."""

    items: tuple[Fact, ...]


@dataclass(frozen=True)
class FigureBlock:
    """A figure: drawn in place from its description, or the file next to the report."""

    caption: Title
    path: str
    """Of the file, without its suffix, relative to the report."""
    legend: tuple[str, ...] = ()
    """Sentences that say in print, in place of the caption, what the figure shows, whose file has no title there."""
    figure: Figure | None = None
    """What it shows, for formats that draw; None where the file alone is used."""


@dataclass(frozen=True)
class Matrix:
    """A table of counts, shaded by their share of the row."""

    caption: str
    names: tuple[str, ...]
    """Of rows and columns alike."""
    counts: Sequence[Sequence[int]]
    shades: Sequence[Sequence[int]]
    """From 0 to 9."""


@dataclass(frozen=True)
class Picture:
    """A small image with the lines under it."""

    address: str
    """All of the image, as an address."""
    spoken: str
    """What it is, for whoever cannot see it."""
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """Small images side by side."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class PictureTable:
    """Small images in rows and columns."""

    caption: str
    corner: str
    """What the rows differ in."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Picture, ...]], ...]


@dataclass(frozen=True)
class BlockGroup:
    """Blocks that are folded away under a summary."""

    summary: str
    blocks: "tuple[Block, ...]"
    is_grid: bool = False
    """Whether they stand side by side where there is room."""


@dataclass(frozen=True)
class Section:
    """One study: its answer, and what the answer rests on; or a part of a report with neither."""

    title: Title
    level: int = 2
    name: str = ""
    """Of the study's folder; empty for a section that is not a study."""
    label: str = ""
    """What else a page calls it, with how large it is."""
    answer: "tuple[Block, ...]" = ()
    evidence: "tuple[Block, ...]" = ()


Block: TypeAlias = (
    Heading
    | Name
    | Paragraph
    | Bullets
    | TableBlock
    | Facts
    | FigureBlock
    | Section
    | Matrix
    | Gallery
    | PictureTable
    | BlockGroup
)
"""The blocks of a document; matrices, galleries, tables of pictures and groups are of pages only."""


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    blocks: Sequence[Block]
    data: Callable[[], Mapping[str, Any]]
    """Returns all of its numbers as plain values, for programs."""
    studies: tuple[StudyReport, ...] = ()
    paths: tuple[PathReport, ...] = ()
    """Path ablations."""
    lang: str = ENGLISH
    manifest: Manifest | None = None
    """What it was made of; None for one that cannot be verified."""

    @property
    def say(self) -> Say:
        """Return the function that translates texts into its language."""
        return language(self.lang)

    def lines(self) -> Iterator[Block]:
        """Yield its title and blocks for formats in lines, a section as its heading, its name and its blocks.

        A section of level 1 is as large as the document, whose title it replaces.
        """
        if not any(isinstance(block, Section) and block.level == 1 for block in self.blocks[:1]):
            yield Heading(self.title, 1)
        for block in self.blocks:
            if isinstance(block, Section):
                yield Heading(block.title.translated(self.say), block.level)
                yield from [Name(block.name)] if block.name else []
                yield from (*block.answer, *block.evidence)
            else:
                yield block
