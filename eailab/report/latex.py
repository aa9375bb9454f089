"""Render studies as a LaTeX document: booktabs tables, and figures, a column wide, from the files next to it.

A report in English compiles with pdfLaTeX, XeLaTeX, LuaLaTeX and tectonic; letters that their usual fonts lack, of a
recipe's name for one, are set from a CJK font where compiler and machine have one, else by their codes. A report in
Chinese needs XeLaTeX or tectonic, and such a font.
"""

import re
from collections.abc import Sequence

from eailab.findings.tables import NOTE, Table
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
    notes,
)
from eailab.report.figure_style import PRINT
from eailab.report.figures import CJK_FONTS
from eailab.report.manifest import MARK
from eailab.translation import BETWEEN_SENTENCES, COLON, ENGLISH, Say, joined, tr

PREAMBLE = r"""\documentclass[a4paper,10pt]{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage{cmap}
  \usepackage[T1]{fontenc}
  \usepackage{textcomp}
  \IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\else
  \usepackage{fontspec}
\fi
\usepackage[margin=20mm]{geometry}
\usepackage{booktabs,graphicx,array}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt}
\setlength{\emergencystretch}{4em}
% A table that is wider than the text is made smaller.
\newsavebox\tablebox
\newcommand\fitted[1]{\sbox\tablebox{#1}\ifdim\wd\tablebox>\linewidth\resizebox{\linewidth}{!}{\usebox\tablebox}%
  \else\usebox\tablebox\fi}"""

CHINESE = r"""% Needs XeLaTeX or tectonic, and a font with Chinese letters.
\ifXeTeX
  \XeTeXlinebreaklocale "zh"
  \XeTeXlinebreakskip=0pt plus 1pt
\else
  \errmessage{This report is in Chinese: compile it with xelatex or tectonic}
\fi
\newcommand\cjkfont{\normalfont}"""

FOREIGN = r"""% A letter, and its code, which is set where no font has the letter.
\newcommand\foreign[2]{\texttt{\textless#2\textgreater}}
\ifdefined\cjkfont
  \renewcommand\foreign[2]{{\cjkfont\iffontchar\font`#1 #1\else\texttt{\textless#2\textgreater}\fi}}
\fi"""

_FOREIGN_TO_ENGLISH = re.compile(
    r"[^\x00-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e"
    r"\u2013\u2014\u2018\u2019\u201c\u201d\u2026]"
)
"""Letters that LaTeX's usual fonts (T1, TS1) lack."""

_FOREIGN_TO_CHINESE = re.compile(r"[^\x00-\x7f\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
"""Letters that a CJK font may lack."""


_LITERAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "[": "{[}",  # at the start of a row it would be an option of the line break before it
    "]": "{]}",
    "\ufffd": "?",
}


def escaped(text: str) -> str:
    r"""Return text as LaTeX sets it literally.

    >>> print(escaped(r"\input{/etc/passwd} 50%"))
    \textbackslash{}input\{/etc/passwd\} 50\%
    """
    literal = "".join(_LITERAL.get(letter, letter) for letter in plain(text))
    literal = re.sub("([-,])(?=\\1)", r"{\1}", literal)  # two in a row would become a dash, or a quotation mark
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", literal)  # a minus, not a hyphen


def render(document: Document) -> str:
    """Return the text of a LaTeX file."""
    say = document.say
    body = "\n\n".join(text for block in document.lines() if (text := _block(block, say)))
    body, letters = foreign_letters(body, document.lang)
    mark = [] if document.manifest is None else [f"% {MARK}: {document.manifest.text()}"]
    head = preamble(document.lang, letters > 0)
    return "\n\n".join([*mark, head, r"\begin{document}", body, r"\end{document}"]) + "\n"


def foreign_letters(text: str, lang: str = ENGLISH) -> tuple[str, int]:
    """Return text with the letters marked that the usual fonts of a language lack, and how many there are."""
    foreign = _FOREIGN_TO_ENGLISH if lang == ENGLISH else _FOREIGN_TO_CHINESE
    return foreign.subn(lambda found: rf"\foreign{{{found[0]}}}{{U+{ord(found[0]):04X}}}", text)


def preamble(lang: str, has_foreign: bool, columns: int = 1) -> str:
    """Return what stands before the body of a document.

    Args:
        lang: Code of its language.
        has_foreign: Whether letters are marked that the usual fonts lack.
        columns: Of the text.
    """
    parts = [PREAMBLE.replace("10pt", "10pt,twocolumn") if columns == 2 else PREAMBLE]
    if lang != ENGLISH:
        missing = r"\errmessage{No font with Chinese letters is installed}"
        parts += [CHINESE, _first_cjk_font((r"\setmainfont", r"\setmonofont"), missing), FOREIGN]
    elif has_foreign:
        parts += ["\n".join([r"\ifPDFTeX\else", _first_cjk_font([r"\newfontfamily\cjkfont"], ""), r"\fi"]), FOREIGN]
    return "\n\n".join(parts)


def _first_cjk_font(uses: Sequence[str], otherwise: str) -> str:
    """Return what puts the first of the CJK fonts that is installed to some uses."""
    chain = otherwise
    for name in reversed(CJK_FONTS):
        taken = "".join(rf"{use}{{{name}}}[AutoFakeBold]" for use in uses)
        chain = rf"\IfFontExistsTF{{{name}}}{{{taken}}}{{{chain}}}"
    return chain


def _block(block: Block, say: Say) -> str:
    def text(english: str) -> str:
        return escaped(say(english))

    colon = say(COLON).rstrip()
    match block:
        case Heading():
            return rf"\{'sub' * (block.level - 1)}section*{{{text(block.text)}}}"
        case Name():
            return rf"{text(STUDY)} \texttt{{{escaped(block.text)}}}"
        case Paragraph():
            said = say(BETWEEN_SENTENCES).join(map(text, block.sentences))
            return rf"\textbf{{{said}}}" if block.kind == "alert" else said
        case Bullets():
            return _items([text(item) for item in block.items])
        case Facts():
            return _items([rf"\textbf{{{text(fact.name)}{colon}}} {text(fact.sentence)}" for fact in block.items])
        case TableBlock():
            return _table(block.table, say)
        case FigureBlock():
            image = rf"\includegraphics[width={PRINT.width}in]{{{block.path}.pdf}}"
            said = caption_text(block, say)
            return rf"\begin{{minipage}}{{\linewidth}}\centering {image}\par\small {said}\end{{minipage}}"
    raise TypeError(f"{type(block).__name__} is set in pages only")


def caption_text(block: FigureBlock, say: Say) -> str:
    """Return what stands under a figure: its legend, and what tells its study from others."""
    if not block.legend:
        return escaped(block.caption.translated(say))
    words = block.caption.apart
    apart = [tr("({apart}).", apart=joined(words, " · "))] if words else []
    return escaped(say(joined([*block.legend, *apart], BETWEEN_SENTENCES)))


def _table(table: Table, say: Say) -> str:
    """Return a table as wide as the text at most; its notes stand under it."""
    lines = [rf"\fitted{{{tabular(table, say)}}}"]
    lines += [rf"\par {escaped(name)}{say(COLON)}{escaped(note)}" for name, note in notes(table, say)]
    return "\n".join([r"{\footnotesize\setlength{\tabcolsep}{4pt}\setlength{\parskip}{2pt}", *lines, "}"])


def tabular(table: Table, say: Say) -> str:
    """Return a table between booktabs' rules, without its notes."""
    columns = [column for column in table.columns if column.heading != NOTE]
    kinds = "".join("r" if column.is_number else "l" for column in columns)
    head = " & ".join(escaped(say(column.heading)) for column in columns)
    lines = [rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", r"\toprule", rf"{head} \\", r"\midrule"]
    lines += [" & ".join(escaped(say(cell)) for cell in row[: len(columns)]) + r" \\" for row in table.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _items(items: Sequence[str]) -> str:
    if not items:
        return ""
    return "\n".join([r"\begin{itemize}", *(rf"\item {item}" for item in items), r"\end{itemize}"])
