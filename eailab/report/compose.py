"""Compose documents from findings: which blocks a report has, and in which order. No format is known here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum
from pathlib import PurePosixPath

from eailab.findings import noise, path
from eailab.findings.ablation import ablations, shared_facts
from eailab.findings.design import TO_DECIDE, design_facts, effects_table
from eailab.findings.statements import facts, headlines, state_sentences
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Fact, blocks_table, main_table
from eailab.findings.tuning import carried_table, tuning_table
from eailab.report.ablation_blocks import ablation_blocks, all_factors
from eailab.report.captions import caption, path_caption
from eailab.report.describe import path_bars, study_figure
from eailab.report.document import (
    Block,
    BlockGroup,
    Bullets,
    Document,
    Facts,
    FigureBlock,
    Heading,
    Paragraph,
    Section,
    TableBlock,
    Title,
)
from eailab.report.figures import PATH_FIGURE, TITLES, figure_names
from eailab.report.json_report import as_mapping, noise_mapping, path_mapping, report_mapping
from eailab.report.lab import lab_blocks
from eailab.report.page_sections import augmented_blocks, class_blocks, cost_blocks, network_blocks
from eailab.report.study_report import PathReport, Report, StudyReport
from eailab.translation import COLON, english, joined, tr, trn

MOST_COLUMNS = 1000
"""Blocks whose values a page shows one by one; `table.json` has all."""


class Detail(IntEnum):
    """The extent to which a document describes a study."""

    BRIEF = 0
    """For a terminal: the tables and what they rest on."""
    TABLE = 1
    """The answer in words too: a study's own `table.md`, which says nothing of time."""
    REPORT = 2
    """Figures, and what a paper says of the study, too."""
    PAGE = 3
    """Everything; see `page_section`."""


def study_section(
    findings: StudyFindings, detail: Detail, *, level: int = 2, answers: tuple[Fact, ...] = ()
) -> Section:
    """Return one study: its answer, its tables and figures, and what they rest on.

    A heading of level 1 is the title of a document; for a page, see `page_section`.
    """
    figures = figure_blocks(findings).values() if detail >= Detail.REPORT else ()
    return Section(
        Title(findings.title, findings.apart),
        level,
        name=f"{findings.name}-{findings.fingerprint}" if detail > Detail.BRIEF else "",
        answer=_answer(findings, in_words=detail > Detail.BRIEF or findings.factor is None),
        evidence=(*_tables(findings), *figures, Facts(_stated(findings)), *_for_a_paper(answers, level + 1)),
    )


def _answer(findings: StudyFindings, *, in_words: bool) -> tuple[Block, ...]:
    alerts = (Paragraph((sentence,), "alert") for sentence in state_sentences(findings))
    return (*alerts, *([Bullets(headlines(findings))] if in_words else []))


def _tables(findings: StudyFindings) -> list[Block]:
    caption = tr("Scores after the last epoch") if findings.counted is None else tr("Scores")
    caption = tr("Arms against the baseline") if findings.factor else caption
    tables: list[Block] = [TableBlock(main_table(findings), caption, is_sortable=findings.factor is not None)]
    if (effects := effects_table(findings)) is not None:
        tables.append(TableBlock(effects, tr("Main effects and interactions")))
    if findings.tuning is not None:
        tables.append(TableBlock(tuning_table(findings, findings.tuning), tr("Tuning of each arm, on other blocks")))
    if findings.carried:
        tables.append(TableBlock(carried_table(findings), tr("Values of each arm in the blocks of the comparison")))
    return tables


def figure_blocks(findings: StudyFindings, *, described: bool = False) -> dict[str, FigureBlock]:
    """Return a study's figures by their names, with what they show where a format draws them itself."""
    return {
        name: FigureBlock(
            Title(TITLES[name], findings.apart),
            figure_path(findings.folder_name, name),
            caption(findings, name),
            study_figure(findings, name) if described else None,
        )
        for name in figure_names(findings)
    }


def _stated(findings: StudyFindings) -> tuple[Fact, ...]:
    return (*design_facts(findings), *facts(findings))


def _for_a_paper(answers: tuple[Fact, ...], level: int) -> list[Block]:
    return [Heading(tr("For a paper"), level), Facts(answers)] if answers else []


def page_section(study: StudyReport, label: str) -> Section:
    """Return one study with all that a page has room for: every block's value, classes, images and costs too.

    `label` is what its card is called.
    """
    findings = study.findings
    figures = figure_blocks(findings, described=True)
    evidence = _tables(findings)
    if findings.factor and len(findings.blocks) <= MOST_COLUMNS:
        values = TableBlock(blocks_table(findings), tr("Values by arm and block"))
        summary = tr("The {measure} of every trial", measure=findings.measure.title)
        evidence.append(BlockGroup(summary, (values,)))
    if "tuning" in figures:
        evidence += [Heading(tr("Tuning")), figures["tuning"]]
    if "curves" in figures:
        evidence += [Heading(tr("Learning curves")), figures["curves"]]
    if "training-validation" in figures:
        evidence += [Heading(tr("Training and validation of each arm")), figures["training-validation"]]
    evidence += network_blocks(study.networks)
    evidence += augmented_blocks(study.sheet)
    evidence += class_blocks(findings, study.classes, study.no_classes)
    if any(cost.epochs for cost in study.costs):
        evidence += cost_blocks(findings, study.costs, study.tuning_costs)
    evidence += [Heading(tr("What this rests on")), Facts(_stated(findings)), *_for_a_paper(study.answers, 3)]
    return Section(
        Title(findings.title, findings.apart),
        name=f"{findings.name}-{findings.fingerprint}",
        label=label,
        answer=(*_answer(findings, in_words=True), *([figures["intervals"]] if "intervals" in figures else [])),
        evidence=tuple(evidence),
    )


def _page_sections(studies: Sequence[StudyReport]) -> list[Section]:
    """Return the studies of a page, those that compare nothing last; of one name each has its folder's on its card."""
    uses = Counter(study.findings.name for study in studies)
    sections = []
    for study in sorted(studies, key=lambda study: study.findings.factor is None):
        findings = study.findings
        name = findings.name if uses[findings.name] == 1 else findings.folder_name
        arms = trn("{n} arm", "{n} arms", len(findings.arms))
        blocks = trn("{n} block", "{n} blocks", len(findings.blocks))
        label = tr("{name} · {arms} × {blocks}", name=name, arms=arms, blocks=blocks)
        sections.append(
            page_section(study, label if findings.is_blocked else tr("{name} · {arms}", name=name, arms=arms))
        )
    return sections


def figure_path(folder: str, name: str) -> str:
    """Return where a report's figure of a study lies, without its suffix, relative to the report."""
    return str(PurePosixPath("figures", folder, name))


def studies_document(studies: Sequence[StudyFindings]) -> Document:
    """Return several studies as a terminal has room for: every answer first, then what they rest on, once."""
    groups = ablations(studies)
    grouped = {findings.folder_name for group in groups for findings in group.studies}
    blocks: list[Block] = []
    for group in groups:
        blocks.append(Heading(Title(group.title, group.apart).translated(english), 1))
        for findings in group.studies:
            named = (joined((findings.heading, said), COLON) for said in state_sentences(findings))
            blocks += [Paragraph((said,), "alert") for said in named]
        blocks += ablation_blocks(group)
        for findings in group.studies:
            blocks += _tables(findings)[1:]
    for findings in studies:
        if findings.folder_name not in grouped:
            blocks.append(Heading(Title(findings.title, findings.apart).translated(english), 1))
            blocks += [*_answer(findings, in_words=findings.factor is None), *_tables(findings)]
    shared, own = shared_facts(studies)
    blocks += [Heading(tr("In all {n} studies", n=len(studies)), 1), Facts(shared)] if shared else []
    for findings, left in zip(studies, own, strict=True):
        stated = (*design_facts(findings), *left)
        title = Title(findings.title, findings.apart).translated(english)
        blocks += [Heading(title, 1), Facts(stated)] if stated else []
    return Document("", tuple(blocks), dict)


def _lab_results(studies: Sequence[StudyReport]) -> list[Block]:
    """Return what the studies of a task found: all factors in one table, each study, and what all rest on, once."""
    every = [study.findings for study in studies]
    in_one_table = {findings.folder_name for group in ablations(every) for findings in group.studies}
    shared, own = shared_facts(every) if len(every) > 1 else ((), [facts(every[0])])
    blocks = all_factors(every)
    for findings, left in zip(every, own, strict=True):
        stated = (*(fact for fact in design_facts(findings) if fact.name != TO_DECIDE), *left)
        tables = _tables(findings)[1 if findings.folder_name in in_one_table else 0 :]
        blocks.append(
            Section(
                Title(findings.title, findings.apart),
                4,
                name=f"{findings.name}-{findings.fingerprint}",
                answer=_answer(findings, in_words=True),
                evidence=(*tables, *figure_blocks(findings).values(), *([Facts(stated)] if stated else [])),
            )
        )
    return [*blocks, Heading(tr("In all {n} studies", n=len(every)), 4), Facts(shared)] if shared else blocks


def study_document(study: StudyReport) -> Document:
    """Return one study that is not verified by itself, as exports hold it."""
    section = study_section(study.findings, Detail.TABLE, level=1)
    return Document(study.findings.name, (section,), lambda: as_mapping(study.findings), (study,))


def report_document(report: Report, detail: Detail) -> Document:
    """Return a report over studies, or a study's own."""
    title: str
    blocks: list[Block]
    if report.kind == "lab":
        title, blocks = tr("Lab report"), lab_blocks(report.distinguished, _lab_results)
    else:
        title = tr("Report") if report.kind == "report" else report.studies[0].findings.name
        if detail is Detail.PAGE:
            blocks = [*_page_sections(report.distinguished)]
        elif report.kind == "study":
            blocks = [study_section(report.studies[0].findings, Detail.TABLE, level=1)]
        else:
            blocks = [study_section(one.findings, detail, answers=one.answers) for one in report.distinguished]
        if report.kind == "report":
            groups = ablations([one.findings for one in report.distinguished])
            blocks = [*(Section(Title(one.title, one.apart), answer=ablation_blocks(one)) for one in groups), *blocks]
    blocks += [] if report.kind == "lab" else [_path_section(one, detail) for one in report.paths]
    if report.unreadable:
        messages = Bullets(tuple(report.unreadable))
        blocks.append(Section(Title(tr("Studies that could not be read")), answer=(messages,)))
    return Document(
        title,
        tuple(blocks),
        lambda: _numbers(report),
        report.distinguished,
        report.paths,
        report.lang,
        report.manifest,
    )


def _numbers(report: Report) -> dict[str, object]:
    if report.kind == "study":
        return as_mapping(report.studies[0].findings)
    paths = [one.findings for one in report.paths]
    return report_mapping([study.findings for study in report.studies], report.unreadable, paths)


def _path_section(one: PathReport, detail: Detail) -> Section:
    """Return a path ablation as a part of a report over studies."""
    found = one.findings
    figure = path_bars(found) if detail is Detail.PAGE else None
    return Section(
        Title(path.title(found)),
        name=one.folder,
        label=one.folder,
        answer=(Bullets(path.sentences(found)),),
        evidence=(TableBlock(path.path_table(found), path.TITLE), replace(path_figure_block(one), figure=figure)),
    )


def path_figure_block(one: PathReport) -> FigureBlock:
    """Return the figure of a path ablation as a report has it next to it."""
    return FigureBlock(Title(path.TITLE), figure_path(one.folder, PATH_FIGURE), path_caption(one.findings))


def noise_document(found: noise.Noise) -> Document:
    """Return what `noise` found."""
    blocks = (TableBlock(noise.noise_table(found)), Bullets(noise.sentences(found)))
    return Document(noise.title(found), blocks, lambda: noise_mapping(found))


def path_document(found: path.PathFindings, *, with_figure: bool = True) -> Document:
    """Return what `explain` found; its figure lies next to it."""
    figure = (FigureBlock(Title(path.TITLE), f"figures/{PATH_FIGURE}", path_caption(found)),) if with_figure else ()
    blocks = (TableBlock(path.path_table(found)), *figure, Bullets(path.sentences(found)))
    return Document(path.title(found), blocks, lambda: path_mapping(found))
