"""Studies as a LaTeX document, or to be cut up for a paper: booktabs tables, and figures from the files beside it."""

from collections.abc import Mapping, Sequence

from eailab.report.designs import design_facts, effects_table
from eailab.report.escaping import latex as escaped
from eailab.report.figures import TITLES
from eailab.report.findings import StudyFindings
from eailab.report.manifest import MARK
from eailab.report.tables import Table, facts, headlines, main_table, state_sentence
from eailab.report.wording import ENGLISH, Say

PREAMBLE = r"""\documentclass[a4paper,10pt]{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[T1]{fontenc}
  \usepackage{textcomp}
\else
  \usepackage{fontspec}
\fi
\usepackage[margin=20mm]{geometry}
\usepackage{booktabs,graphicx,array}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt}"""

CHINESE = r"""% Needs XeLaTeX or tectonic, and the font named here.
\usepackage{xeCJK}
\setCJKmainfont{Noto Serif CJK TC}"""

NOTE_WIDTH = "0.24\\linewidth"
"""Of the column of notes, which alone is folded."""


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
    parts = [f"% {MARK}: {manifest}", PREAMBLE, *([] if lang == ENGLISH else [CHINESE])]
    parts += [r"\begin{document}", rf"\section*{{{escaped(title)}}}", *sections]
    if unreadable:
        heading = escaped(say("Studies that could not be read"))
        parts.append(rf"\subsection*{{{heading}}}" + "\n" + _items([escaped(message) for message in unreadable]))
    return "\n\n".join([*parts, r"\end{document}"]) + "\n"


def study_section(findings: StudyFindings, figures: Mapping[str, str], say: Say) -> str:
    """Return one study: its answer, its table, its figures, and what it rests on.

    Args:
        findings: What to tell.
        figures: Path of each figure by its name, relative to the file.
        say: The language.
    """

    def told(text: str) -> str:
        return escaped(say(text))

    study = rf"{told('Study')} \texttt{{{escaped(findings.name)}-{findings.fingerprint}}}"
    parts = [rf"\subsection*{{{told(findings.title)}}}", study]
    if (interim := state_sentence(findings)) is not None:
        parts.append(rf"\textbf{{{told(interim)}}}")
    parts.append(_items([told(line) for line in headlines(findings)]))
    parts.append(table_text(main_table(findings), say))
    if (effects := effects_table(findings)) is not None:
        parts.append(table_text(effects, say))
    for name, path in figures.items():
        image = rf"\includegraphics[width=0.9\linewidth]{{{path}}}"
        parts.append(rf"\begin{{center}}{image}\\ \small {told(TITLES[name])}\end{{center}}")
    stated = (*design_facts(findings), *facts(findings))
    parts.append(_items([rf"\textbf{{{told(fact.name)}:}} {told(fact.sentence)}" for fact in stated]))
    return "\n\n".join(part for part in parts if part)


def table_text(table: Table, say: Say) -> str:
    """Return a table between booktabs' rules, as wide as the text at most."""
    last = len(table.columns) - 1
    kinds = "".join(
        "r" if column.is_number else rf"p{{{NOTE_WIDTH}}}" if index == last and index > 2 else "l"
        for index, column in enumerate(table.columns)
    )
    head = " & ".join(escaped(say(column.heading)) for column in table.columns)
    rows = [" & ".join(escaped("; ".join(map(say, cell.split("; ")))) for cell in row) for row in table.rows]
    lines = [rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", r"\toprule", rf"{head} \\", r"\midrule"]
    lines += [rf"{row} \\" for row in rows]
    return "\n".join(["{\\footnotesize\\setlength{\\tabcolsep}{4pt}", *lines, r"\bottomrule", r"\end{tabular}", "}"])


def _items(items: Sequence[str]) -> str:
    if not items:
        return ""
    return "\n".join([r"\begin{itemize}", *(rf"\item {item}" for item in items), r"\end{itemize}"])
