"""Documents from findings: which blocks a report has, and in which order. No format is known here."""

from enum import IntEnum
from pathlib import PurePosixPath

from eailab.findings import noise, path
from eailab.findings.design import design_facts, effects_table
from eailab.findings.methods import Answer
from eailab.findings.statements import facts, headlines, state_sentences
from eailab.findings.study import StudyFindings
from eailab.findings.tables import main_table
from eailab.report.document import (
    Block,
    Bullets,
    Document,
    Facts,
    FigureBlock,
    Heading,
    Paragraph,
    Section,
    TableBlock,
    Title,
    Verbatim,
)
from eailab.report.figures import TITLES, figure_names
from eailab.report.record import as_mapping, noise_mapping, report_mapping, waterfall_mapping
from eailab.report.study_report import Report, StudyReport


class Detail(IntEnum):
    """How much a document says of a study."""

    BRIEF = 0
    """For a terminal: the tables and what they rest on."""
    TABLE = 1
    """The answer in words too: a study's own `table.md`, which says nothing of time."""
    REPORT = 2
    """Figures, and what a paper says of the study, too."""
    PAGE = 3
    """Everything."""


def study_section(
    findings: StudyFindings, detail: Detail, *, level: int = 2, answers: tuple[Answer, ...] = ()
) -> Section:
    """Return one study: its answer, its tables and figures, and what they rest on.

    Args:
        findings: Of the study.
        detail: How much to say.
        level: Of the heading, 1 for the title of a document.
        answers: What a paper says of it.
    """
    answer: list[Block] = [Paragraph((sentence,), "alert") for sentence in state_sentences(findings)]
    if detail > Detail.BRIEF or findings.factor is None:
        answer.append(Bullets(headlines(findings)))
    evidence: list[Block] = [TableBlock(main_table(findings))]
    if (effects := effects_table(findings)) is not None:
        evidence.append(TableBlock(effects))
    if detail >= Detail.REPORT:
        evidence += [
            FigureBlock(Title(TITLES[name], findings.apart), figure_path(findings.folder_name, name))
            for name in figure_names(findings)
        ]
    evidence.append(Facts((*design_facts(findings), *facts(findings))))
    if answers:
        evidence += [Heading("For a paper", level + 1), Facts(answers)]
    return Section(
        Title(findings.title, findings.apart),
        level,
        name=f"{findings.name}-{findings.fingerprint}" if detail > Detail.BRIEF else "",
        answer=tuple(answer),
        evidence=tuple(evidence),
    )


def figure_path(folder: str, name: str) -> str:
    """Return where a report's figure of a study lies, without its suffix, relative to the report."""
    return str(PurePosixPath("figures", folder, name))


def study_document(study: StudyReport, detail: Detail = Detail.TABLE) -> Document:
    """Return one study that is not verified by itself, as exports hold it."""
    section = study_section(study.findings, detail, level=1)
    return Document(study.findings.name, (section,), lambda: as_mapping(study.findings), (study,))


def report_document(report: Report, detail: Detail) -> Document:
    """Return a report over studies, or a study's own."""
    if report.kind == "lab":
        from eailab.report.lab import lab_blocks

        title, blocks = "Lab report", lab_blocks(report.distinguished)
    elif report.kind == "study":
        (study,) = report.distinguished
        title, blocks = Verbatim(study.findings.name), [study_section(study.findings, Detail.TABLE, level=1)]
    else:
        title = "Report"
        blocks = [study_section(one.findings, detail, answers=one.answers) for one in report.distinguished]
    if report.unreadable:
        messages = Bullets(tuple(map(Verbatim, report.unreadable)))
        blocks.append(Section(Title("Studies that could not be read"), answer=(messages,)))
    return Document(
        title,
        tuple(blocks),
        lambda: _numbers(report),
        report.distinguished,
        report.lang,
        report.manifest,
    )


def _numbers(report: Report) -> dict[str, object]:
    if report.kind == "study":
        return as_mapping(report.studies[0].findings)
    return report_mapping([study.findings for study in report.studies], report.unreadable)


def noise_document(found: noise.Noise) -> Document:
    """Return what `noise` found."""
    blocks = (TableBlock(noise.noise_table(found)), Bullets(noise.sentences(found)))
    return Document(noise.title(found), blocks, lambda: noise_mapping(found))


def walk_document(found: path.Waterfall) -> Document:
    """Return what `explain` found; its figure lies beside it."""
    blocks = (
        TableBlock(path.waterfall_table(found)),
        FigureBlock(Title(path.TITLE), "figures/waterfall"),
        Bullets(path.sentences(found)),
    )
    return Document(path.title(found), blocks, lambda: waterfall_mapping(found))
