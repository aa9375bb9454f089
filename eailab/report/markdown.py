"""Render documents as GitHub's markdown, their figures as files next to it."""

import re
from collections.abc import Iterable, Sequence

from eailab.findings.tables import Table
from eailab.plain import plain
from eailab.report.document import (
    STUDY,
    Block,
    Bullets,
    Document,
    Facts,
    FigureBlock,
    Heading,
    Name,
    Paragraph,
    TableBlock,
)
from eailab.report.manifest import MARK
from eailab.translation import BETWEEN_SENTENCES, COLON, Say

_MARKDOWN = re.compile(
    r"[\\`*<>|~$#]"
    r"|(?<!\w)_|_(?!\w)"  # inside a word an underscore means itself
    r"|&(?=[#\w])"  # an entity
    r"|\](?=[\[(])"  # a link; brackets alone are not, as no reference is ever defined
    r"|:(?=//)|(?<=www)\.(?=\w)"  # an address that GitHub would make a link of
)


def escaped(text: str) -> str:
    r"""Return text as GitHub's markdown shows it literally, in a table's cell too.

    >>> print(escaped("<script>|*a*"))
    \<script\>\|\*a\*
    """
    return _MARKDOWN.sub(r"\\\g<0>", plain(text))


def render(document: Document) -> str:
    """Return the text of a markdown file."""
    text = render_blocks(document.lines(), document.say)
    if document.manifest is not None:
        text += f"\n\n<!-- {MARK}: {document.manifest.text()} -->"
    return f"{text}\n"


def render_blocks(blocks: Iterable[Block], say: Say) -> str:
    """Return blocks as parts of a markdown file."""
    return "\n\n".join(text for block in blocks if (text := _block(block, say)))


def _block(block: Block, say: Say) -> str:
    def text(english: str) -> str:
        return escaped(say(english))

    colon = say(COLON).rstrip()
    match block:
        case Heading():
            return f"{'#' * block.level} {text(block.text)}"
        case Name():
            return f"{text(STUDY)} {escaped(block.text)}"
        case Paragraph():
            said = say(BETWEEN_SENTENCES).join(map(text, block.sentences))
            return f"**{said}**" if block.kind == "alert" else said
        case Bullets():
            return "\n".join(f"- {text(item)}" for item in block.items)
        case Facts():
            return "\n".join(f"- **{text(fact.name)}{colon}** {text(fact.sentence)}" for fact in block.items)
        case TableBlock():
            return _table(block.table, say)
        case FigureBlock():
            return f"![{escaped(block.caption.translated(say))}]({block.path}.png)"
    raise TypeError(f"{type(block).__name__} is set in pages only")


def _table(table: Table, say: Say) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    head = row([escaped(say(column.heading)) for column in table.columns])
    rule = row(["---:" if column.is_number else "---" for column in table.columns])
    return "\n".join([head, rule, *(row([escaped(say(cell)) for cell in cells]) for cells in table.rows)])
