"""Studies as a LaTeX document, or to be cut up for a paper: booktabs tables, and figures from the files beside it.

A report in English compiles with pdfLaTeX, XeLaTeX, LuaLaTeX and tectonic; letters that their usual fonts lack, of a
recipe's name for one, are set from a CJK font where compiler and machine have one, else by their codes. A report in
Chinese needs XeLaTeX or tectonic, and such a font.
"""

import re
from collections.abc import Mapping, Sequence

from eailab.findings.design import design_facts, effects_table
from eailab.findings.methods import Answer
from eailab.findings.study import StudyFindings
from eailab.findings.tables import NOTE, Table, facts, headlines, main_table, state_sentences
from eailab.report.escaping import latex as escaped
from eailab.report.figures import CJK_FONTS, TITLES
from eailab.report.manifest import MARK
from eailab.translation import ENGLISH, Say

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


def document(
    title: str, sections: Sequence[str], unreadable: Sequence[str], manifest: str, *, lang: str, say: Say
) -> str:
    """Return the text of `report.tex`.

    Args:
        title: Of the document.
        sections: One a study; see `study_section`.
        unreadable: Messages about studies that could not be read.
        manifest: What the report was made of, set as a comment.
        lang: Code of the report's language.
        say: Into that language.
    """
    parts = [rf"\section*{{{escaped(title)}}}", *sections]
    if unreadable:
        heading = escaped(say("Studies that could not be read"))
        parts.append(rf"\subsection*{{{heading}}}" + "\n" + _items([escaped(message) for message in unreadable]))
    body = "\n\n".join(parts)
    foreign = _FOREIGN_TO_ENGLISH if lang == ENGLISH else _FOREIGN_TO_CHINESE
    body, letters = foreign.subn(lambda found: rf"\foreign{{{found[0]}}}{{U+{ord(found[0]):04X}}}", body)
    preamble = [PREAMBLE]
    if lang != ENGLISH:
        missing = r"\errmessage{No font with Chinese letters is installed}"
        preamble += [CHINESE, _first_cjk_font((r"\setmainfont", r"\setmonofont"), missing), FOREIGN]
    elif letters:
        preamble += ["\n".join([r"\ifPDFTeX\else", _first_cjk_font([r"\newfontfamily\cjkfont"], ""), r"\fi"]), FOREIGN]
    return "\n\n".join([f"% {MARK}: {manifest}", *preamble, r"\begin{document}", body, r"\end{document}"]) + "\n"


def _first_cjk_font(uses: Sequence[str], otherwise: str) -> str:
    """Return what puts the first of the CJK fonts that is installed to some uses."""
    chain = otherwise
    for name in reversed(CJK_FONTS):
        taken = "".join(rf"{use}{{{name}}}[AutoFakeBold]" for use in uses)
        chain = rf"\IfFontExistsTF{{{name}}}{{{taken}}}{{{chain}}}"
    return chain


def study_section(findings: StudyFindings, figures: Mapping[str, str], say: Say, answers: Sequence[Answer] = ()) -> str:
    """Return one study: its answer, its table, its figures, and what it rests on.

    Args:
        findings: What to tell.
        figures: Path of each figure by its name, relative to the file.
        say: The language.
        answers: What a paper says of it.
    """

    def told(text: str) -> str:
        return escaped(say(text))

    study = rf"{told('Study')} \texttt{{{escaped(findings.name)}-{findings.fingerprint}}}"
    parts = [rf"\subsection*{{{escaped(findings.headed(findings.title, say))}}}", study]
    parts += [rf"\textbf{{{told(sentence)}}}" for sentence in state_sentences(findings)]
    parts.append(_items([told(line) for line in headlines(findings)]))
    parts.append(table_text(main_table(findings), say))
    if (effects := effects_table(findings)) is not None:
        parts.append(table_text(effects, say))
    for name, path in figures.items():
        image = rf"\includegraphics[width=0.9\linewidth]{{{path}}}"
        parts.append(rf"\begin{{center}}{image}\\ \small {escaped(findings.headed(TITLES[name], say))}\end{{center}}")
    stated = (*design_facts(findings), *facts(findings))
    parts.append(_items([rf"\textbf{{{told(fact.name)}:}} {told(fact.sentence)}" for fact in stated]))
    parts += [rf"\textbf{{{told(one.name)}.}} {escaped(one.told(say))}" for one in answers]
    return "\n\n".join(part for part in parts if part)


def table_text(table: Table, say: Say) -> str:
    """Return a table between booktabs' rules, as wide as the text at most; its notes stand under it."""
    has_notes = table.columns[-1].heading == NOTE
    columns = table.columns[: -1 if has_notes else None]
    kinds = "".join("r" if column.is_number else "l" for column in columns)
    head = " & ".join(escaped(say(column.heading)) for column in columns)
    lines = [rf"\fitted{{\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", r"\toprule", rf"{head} \\", r"\midrule"]
    lines += [" & ".join(_cell(cell, say) for cell in row[: len(columns)]) + r" \\" for row in table.rows]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if has_notes:
        lines += [rf"\par {_cell(row[0], say)}: {_cell(row[-1], say)}" for row in table.rows if row[-1]]
    return "\n".join([r"{\footnotesize\setlength{\tabcolsep}{4pt}\setlength{\parskip}{2pt}", *lines, "}"])


def _cell(cell: str, say: Say) -> str:
    return escaped("; ".join(map(say, cell.split("; "))))


def _items(items: Sequence[str]) -> str:
    if not items:
        return ""
    return "\n".join([r"\begin{itemize}", *(rf"\item {item}" for item in items), r"\end{itemize}"])
