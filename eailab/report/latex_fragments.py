r"""Write parts of a paper for LaTeX's `\input`: tables and figures with caption and label, and paragraphs.

They need the packages booktabs and graphicx, and leave fonts, sizes and numbers of captions to the paper. Figures are
looked for in `fragments/`, or where the paper defines `\eailabpath` to be.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from eailab.findings import path
from eailab.findings.ablation import ablation_caption, ablation_note, ablations, paper_ablation_table
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Table, paper_table
from eailab.report.compose import figure_blocks, path_figure_block
from eailab.report.document import FigureBlock, notes
from eailab.report.figures import PATH_FIGURE
from eailab.report.latex import caption_text, escaped, foreign_letters, preamble, tabular
from eailab.report.study_report import Report
from eailab.translation import BETWEEN_SENTENCES, COLON, ENGLISH, Say, Text, capitalized, joined, language, tr, trn

FOLDER = "fragments"
"""Where they lie, next to a report."""
EXAMPLE = "example.tex"
"""A document of all of them."""

_FOREIGN = r"\providecommand\foreign[2]{\texttt{\textless#2\textgreater}}"
_PATH = rf"\providecommand\eailabpath{{{FOLDER}/}}"


def names(report: Report) -> dict[str, str]:
    """Return what the files of each study and path ablation are called, by its folder.

    A study is called by its name, with what tells it from others of that name; by its folder where that is not enough.
    """
    findings = [study.findings for study in report.distinguished]
    full = {one.folder_name: _plain_name("-".join((one.name, *one.apart))) for one in findings}
    uses = Counter(full.values())
    called = {folder: name if uses[name] == 1 else _plain_name(folder) for folder, name in full.items()}
    return called | {one.folder: _plain_name(one.folder) for one in report.paths}


def fragments(report: Report) -> dict[str, str]:
    """Return the text of each file by its name."""
    say = language(report.lang)
    called = names(report)
    texts: dict[str, str] = {}
    for number, group in enumerate(ablations([study.findings for study in report.distinguished]), start=1):
        name = "ablation" if number == 1 else f"ablation-{number}"
        caption = (ablation_caption(group), ablation_note())
        texts[f"{name}-table.tex"] = _table(paper_ablation_table(group), caption, name, say)
    for study in report.distinguished:
        name, found = called[study.folder], study.findings
        texts[f"{name}-table.tex"] = _table(paper_table(found), table_caption(found), name, say)
        for figure, block in figure_blocks(found).items():
            texts[f"{name}-{figure}.tex"] = _figure(block, f"{name}-{figure}", say)
        texts[f"{name}-methods.tex"] = "\n\n".join(_paragraph(fact.name, fact.sentence, say) for fact in study.answers)
    for one in report.paths:
        name = called[one.folder]
        texts[f"{name}-table.tex"] = _table(path.path_table(one.findings), (path.title(one.findings),), name, say)
        block = path_figure_block(one)
        texts[f"{name}-{PATH_FIGURE}.tex"] = _figure(block, f"{name}-{PATH_FIGURE}", say)
        said = say(joined(path.sentences(one.findings), BETWEEN_SENTENCES))
        texts[f"{name}-methods.tex"] = _literal(said)
    return {file: _whole(text, report.lang) for file, text in texts.items()} | {EXAMPLE: _example(texts, report.lang)}


def _paragraph(title: str, sentence: str, say: Say) -> str:
    return rf"\paragraph{{{_literal(say(title))}.}} {_literal(say(sentence))}"


def _plain_name(name: str) -> str:
    r"""Return a name that `\input`, `\label` and `\includegraphics` take as it is."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") or "study"


def _literal(text: str) -> str:
    """Return text as LaTeX sets it literally, in a paper with fonts of its own."""
    return _with_usual_quotes(escaped(text))


def _with_usual_quotes(text: str) -> str:
    """Replace upright quotation marks, which the fonts of a paper may lack."""
    return text.replace(r"\textquotesingle{}", "'").replace(r"\textquotedbl{}", "''")


def _whole(text: str, lang: str) -> str:
    """Return a file's text: letters that the usual fonts lack are set by their codes, unless all of it is Chinese."""
    if lang != ENGLISH:
        return f"{text}\n"
    marked, letters = foreign_letters(text)
    return f"{_FOREIGN}\n{marked}\n" if letters else f"{marked}\n"


def _table(table: Table, caption: Sequence[str], name: str, say: Say) -> str:
    """Return a table as a float, as wide as a column at most, its notes under it."""
    said = [f"{_literal(label)}{say(COLON)}{_literal(note)}" for label, note in notes(table, say)]
    below = [r"\par\smallskip", r"\parbox{\linewidth}{\raggedright", "\n\\par ".join(said) + "}"] if said else []
    return "\n".join(
        [
            r"\begin{table}[tbp]",
            r"\centering",
            rf"\caption{{{_literal(say(joined(caption, BETWEEN_SENTENCES)))}}}",
            rf"\label{{tab:{name}}}",
            r"\smallskip\footnotesize\setlength{\tabcolsep}{3pt}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            _with_usual_quotes(tabular(table, say)) + "}",
            *below,
            r"\end{table}",
        ]
    )


def table_caption(findings: StudyFindings) -> tuple[Text, ...]:
    """Return what stands above a study's table in a paper."""
    measure = findings.measure
    apart = [tr("{said}.", said=joined(findings.apart))] if findings.apart else []
    if findings.factor is None:
        return (tr("Scores of {name} after the last epoch.", name=findings.name), *apart)
    values = {"metric": capitalized(measure.title), "factor": findings.spoken_factor}
    return (
        trn(
            "{metric} by {factor}, over {n} block of shared seeds.",
            "{metric} by {factor}, over {n} blocks of shared seeds.",
            len(findings.blocks),
            **values,
        )
        if findings.is_blocked
        else tr("{metric} by {factor}.", **values),
        tr("Intervals of differences from the baseline hold for all rows at once."),
        *(
            [tr("Differences within ±{margin} do not matter.", margin=measure.with_unit(f"{findings.margin:g}"))]
            if findings.margin
            else []
        ),
        *apart,
    )


def _figure(block: FigureBlock, name: str, say: Say) -> str:
    """Return a figure as a float."""
    return "\n".join(
        [
            _PATH,
            r"\begin{figure}[tbp]",
            r"\centering",
            rf"\includegraphics[width=\linewidth]{{\eailabpath {name}.pdf}}",
            rf"\caption{{{_with_usual_quotes(caption_text(block, say))}}}",
            rf"\label{{fig:{name}}}",
            r"\end{figure}",
        ]
    )


def _example(texts: Mapping[str, str], lang: str) -> str:
    """Return a document that takes in every fragment, to be compiled in their folder."""
    letters = any(foreign_letters(text)[1] for text in texts.values())
    inputs = "\n".join(rf"\input{{{name.removesuffix('.tex')}}}" for name in texts)
    lines = [
        preamble(lang, letters, columns=2),
        r"\newcommand\eailabpath{}",
        r"\begin{document}",
        inputs,
        r"\end{document}",
    ]
    return "\n\n".join(lines) + "\n"
