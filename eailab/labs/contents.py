"""Compose what a marked place of a student's report holds, from the studies of the store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from eailab.errors import EailabError, UsageError
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Fact, Table, arm_name
from eailab.findings.words import number
from eailab.labs.folder import STUDY_FILE, ExpectedStudy, LabFolder
from eailab.labs.places import Place
from eailab.metrics import TRAIN, VALIDATION, by_quantity
from eailab.recipe.describe import nearest
from eailab.report.ablation_blocks import all_factors
from eailab.report.compose import Detail, figure_blocks, study_section
from eailab.report.document import Block, Bullets, Facts, FigureBlock, Heading, Paragraph, TableBlock
from eailab.report.figures import TITLES
from eailab.report.lab import problems_met, published_blocks, setup_blocks
from eailab.report.markdown import render_blocks
from eailab.report.study_report import StudyReport
from eailab.studies.design import Study
from eailab.studies.preregistration import FrozenPlan, read_plans
from eailab.translation import capitalized, language, listed_and, tr


@dataclass(frozen=True)
class PlaceContent:
    """Keep what a place of a report is filled with."""

    blocks: tuple[Block, ...]
    missing: str = ""
    """The command without which it cannot be filled; empty where nothing is missing."""
    figures: Mapping[str, tuple[StudyReport, ...]] = field(default_factory=dict)
    """Names of the figures that it shows, with their study."""

    def text(self, lang: str) -> str:
        """Return it as markdown."""
        return render_blocks(self.blocks, language(lang))


def content_of(lab: LabFolder, place: Place) -> PlaceContent:
    """Return what a place holds now.

    Raises:
        UsageError: The mark asks for something that there is not.
        StoreError: The study that it is about cannot be read.
    """
    kind, *words = place.words or ("",)
    if kind in WHOLE:
        if words:
            raise UsageError(f"{kind} stands alone, and {' '.join(words)!r} is behind it")
        return WHOLE[kind](lab)
    if kind not in OF_A_FACTOR and kind != "figure":
        known = [*WHOLE, *OF_A_FACTOR, "figure"]
        raise UsageError(f"a place cannot hold {kind!r}: {', '.join(known)} are known{nearest(kind, known)}")
    figure = ""
    if kind == "figure":
        figure, *words = words or ("",)
        if figure not in TITLES:
            raise UsageError(f"there is no figure {figure!r}: {', '.join(TITLES)} are known{nearest(figure, TITLES)}")
    if not words:
        raise UsageError(f"{place.asked} names no factor: write one behind it, as in {place.asked} lr")
    wanted = lab.wanted(words)
    study = lab.load(wanted)
    if study is None:
        return _not_yet(command_for(lab, wanted))
    if kind == "figure":
        return _figure(study, figure)
    return PlaceContent(tuple(OF_A_FACTOR[kind](study)))


def command_for(lab: LabFolder, wanted: ExpectedStudy | None = None) -> str:
    """Return the command that trains a comparison: of a tuned one, as the report gives it."""
    if wanted is None or not wanted.is_tuned:
        return f"eailab ablate --study {STUDY_FILE}"
    given = (line.strip() for line in lab.text.splitlines())
    return next(
        (line for line in given if line.startswith("eailab ablate ") and "--tune" in line),
        f"eailab ablate --study {STUDY_FILE} --tune SETTING=VALUES",
    )


def _not_yet(command: str) -> PlaceContent:
    said = tr("Not filled yet. What is missing: {command}, and then {fill}.", command=command, fill="eailab lab fill")
    return PlaceContent((Paragraph((said,)),), missing=command)


# --- of one factor ---------------------------------------------------------------------------------------------------


def _answer(study: StudyReport) -> Sequence[Block]:
    return study_section(study.findings, Detail.TABLE).answer


def _tables(study: StudyReport) -> Sequence[Block]:
    return [one for one in study_section(study.findings, Detail.TABLE).evidence if isinstance(one, TableBlock)]


def _facts(study: StudyReport) -> Sequence[Block]:
    return [one for one in study_section(study.findings, Detail.TABLE).evidence if isinstance(one, Facts)]


def _paper(study: StudyReport) -> Sequence[Block]:
    return (Facts(study.answers),)


def _gap(study: StudyReport) -> Sequence[Block]:
    table = gap_table(study.findings)
    said = (
        tr("Means after the last epoch; the gap is by how much validation is worse."),
        tr("A gap that grows while validation no longer improves is overfitting."),
    )
    return [] if table is None else [TableBlock(table), Paragraph(said, "note")]


def gap_table(findings: StudyFindings) -> Table | None:
    """Return training and validation after the last epoch, and the gap between them; None where one is not recorded."""
    pairs = [
        (by_split[TRAIN], by_split[VALIDATION])
        for by_split in by_quantity(findings.metrics).values()
        if TRAIN in by_split and VALIDATION in by_split
    ]
    rows = []
    for arm in findings.arms:
        cells = [arm_name(arm)]
        for pair in pairs:
            training, validation = (arm.curves.values.get(one.key, (None,))[-1] if arm.curves else None for one in pair)
            gap = None if training is None or validation is None else training - validation
            if gap is not None and not pair[1].higher_is_better:
                gap = -gap
            cells += [number(value, pair[1].decimals) for value in (training, validation, gap)]
        rows.append(tuple(cells))
    columns = [Column(findings.heading)]
    for pair in pairs:
        measure = pair[1]
        for said, unit in (
            (tr("training"), measure.unit),
            (tr("validation"), measure.unit),
            (tr("gap"), measure.difference_unit),
        ):
            of = tr("{metric}, {what}", metric=measure.quantity, what=said)
            heading = tr("{metric} ({unit})", metric=of, unit=unit) if unit else of
            columns.append(Column(capitalized(heading), is_number=True))
    return Table(tuple(columns), tuple(rows)) if pairs else None


def _figure(study: StudyReport, name: str) -> PlaceContent:
    blocks = figure_blocks(study.findings)
    if name not in blocks:
        said = tr("There are no numbers for this figure: {title}.", title=TITLES[name])
        return PlaceContent((Paragraph((said,)),))
    figure: FigureBlock = blocks[name]
    return PlaceContent((figure, Paragraph(figure.legend, "note")), figures={name: (study,)})


OF_A_FACTOR: Mapping[str, Callable[[StudyReport], Sequence[Block]]] = {
    "answer": _answer,
    "table": _tables,
    "gap": _gap,
    "facts": _facts,
    "paper": _paper,
}
"""Kinds of places that name a factor."""


# --- of the whole folder ---------------------------------------------------------------------------------------------


def studies_of(lab: LabFolder) -> list[StudyReport]:
    """Return the studies of the folder that the store has: each factor's, and each tuned one."""
    found = []
    for study in lab.declared:
        for is_tuned in (False, True):
            try:
                one = lab.load(ExpectedStudy(study, is_tuned))
            except EailabError:
                continue  # the place of its own factor says why
            found += [one] if one is not None else []
    return found


def _setup(lab: LabFolder) -> PlaceContent:
    found = lab.load(ExpectedStudy(lab.declared[0]))
    return _not_yet(command_for(lab)) if found is None else PlaceContent(tuple(setup_blocks([found])))


def _factors(lab: LabFolder) -> PlaceContent:
    found = [one for study in lab.declared if (one := lab.load(ExpectedStudy(study))) is not None]
    if len(found) < len(lab.declared):
        return _not_yet(command_for(lab))
    return PlaceContent(tuple(all_factors([one.findings for one in found]) if len(found) > 1 else _tables(found[0])))


def _published(lab: LabFolder) -> PlaceContent:
    found = studies_of(lab)
    if not found:
        return _not_yet(command_for(lab))
    return PlaceContent(tuple(one for one in published_blocks(found) if not isinstance(one, Heading)))


def _problems(lab: LabFolder) -> PlaceContent:
    found = studies_of(lab)
    if not found:
        return _not_yet(command_for(lab))
    met = tuple(problem for study in found for problem in problems_met(study))
    return PlaceContent((Bullets(met) if met else Paragraph((tr("None that the studies show."),)),))


def plans_of(lab: LabFolder) -> list[FrozenPlan]:
    """Return the frozen plans of the store that name a study of the folder."""
    names = {study.name for study in lab.declared}
    return [plan for plan in read_plans(lab.store)[0] if any(_is_part(one.name, names) for one in plan.studies)]


def _is_part(name: str, names: set[str]) -> bool:
    return name in names or any(name.startswith(f"{one}-") for one in names)


def _is_over(lab: LabFolder, study: Study) -> bool:
    """Return whether all results of a declared study are known, so that no plan of it can be frozen any more."""
    try:
        found = lab.load(ExpectedStudy(study))
    except EailabError:
        return False  # the place of its own factor says why
    if found is None or not set(study.blocks) <= set(found.findings.blocks):
        return False
    return all(trial.has_outcome for arm in found.findings.arms for trial in arm.trials)


def _plan(lab: LabFolder) -> PlaceContent:
    plans = plans_of(lab)
    if not plans and any(_is_over(lab, study) for study in lab.declared):
        return PlaceContent((Paragraph((tr("No plan was frozen before these trials, and none can be written now."),)),))
    if not plans:
        return _not_yet(f'eailab ablate --study {STUDY_FILE} --freeze -m "…"')
    facts = [
        Fact(
            tr("Plan {name}", name=plan.fingerprint),
            tr(
                '"{hypothesis}" ({studies})',
                hypothesis=plan.hypothesis,
                studies=listed_and(one.name for one in plan.studies),
            ),
        )
        for plan in plans
    ]
    return PlaceContent((Facts(tuple(facts)),))


WHOLE: Mapping[str, Callable[[LabFolder], PlaceContent]] = {
    "plan": _plan,
    "setup": _setup,
    "factors": _factors,
    "published": _published,
    "problems": _problems,
}
"""Kinds of places that stand alone."""
