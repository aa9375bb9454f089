"""The lab report: a structure of its own, filled from studies, with published figures beside ours."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from eailab.findings.numbers import number
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Table
from eailab.findings.trial import TrialState
from eailab.recipe.naming import model_word
from eailab.report.document import Block, Bullets, Facts, Heading, Paragraph, TableBlock
from eailab.report.published import Beside, beside, context
from eailab.report.study_report import StudyReport
from eailab.studies.factor import listed
from eailab.studies.storage import StudyRecord

TASKS = {1: "Task 1: a multi-layer perceptron", 2: "Task 2: a residual network, one factor at a time"}

STATES: tuple[tuple[TrialState, str], ...] = (
    ("diverged", "diverged"),
    ("damaged", "are damaged"),
    ("missing", "are missing"),
)
"""Of trials that are a problem, and how it is said."""

LESSON = (
    "One factor at a time: where two settings change together, no difference can be laid to either. Every comparison "
    "here varies one factor, or is declared as a bundle or a factorial, over blocks that all arms share; a single run "
    "of each arm would have shown the block as much as the factor."
)


def lab_blocks(studies: Sequence[StudyReport], section: Callable[[StudyFindings], Block]) -> list[Block]:
    """Return a lab report: both tasks, published figures, methods and compute, problems met and the lesson.

    Args:
        studies: Those of the report.
        section: Composes what is said of one study.
    """
    blocks: list[Block] = []
    for task, title in TASKS.items():
        own = [study for study in studies if _task(study.record) == task]
        blocks.append(Heading(title, 2))
        if own:
            blocks += [*_plan(own[0]), *(section(one.findings) for one in own)]
            blocks += _published(own)
        else:
            command = f"eailab ablate --study lab-task{task}"
            blocks.append(_text(f"There is no study of this task yet. This makes them all: {command}"))
    known = (f"{one.what}: {one.test_accuracy:.2f}% ({one.source})" for one in context())
    blocks += [Heading("Well-known figures, not compared"), Bullets(tuple(known))]
    blocks.append(Heading("Methods, error bars and compute", 2))
    for study in studies:
        blocks += [Heading(study.folder), Facts(study.answers)]
    met = [problem for study in studies for problem in _problems(study)]
    blocks.append(Heading("Problems met, and the lesson", 2))
    blocks.append(Bullets(tuple(met)) if met else _text("None that the studies show."))
    return [*blocks, _text(LESSON)]


def _text(sentence: str) -> Paragraph:
    return Paragraph((sentence,))


def _task(record: StudyRecord) -> int:
    return 1 if model_word(record.study.arms[0].recipe) == "mlp" else 2


def _plan(study: StudyReport) -> list[Block]:
    """Return split, hyper-parameters and architecture of a task's first baseline."""
    recipe = study.record.study.arms[study.record.study.baseline].recipe.images
    if recipe is None:
        return []
    model = recipe.model.model_dump(mode="json")
    name = model.pop("name")
    trials = [trial for arm in study.findings.arms for trial in arm.trials]
    parameters = sorted({trial.parameters for trial in trials if trial.parameters is not None})
    counted = f", {' or '.join(f'{count:,}' for count in parameters)} trained parameters" if parameters else ""
    settings = recipe.optimizer.model_dump(mode="json")
    optimizer = settings.pop("name")
    return [
        Heading("Split"),
        _text(
            f"{recipe.data.name}: {study.findings.training_images:,} training images; {recipe.data.val_fraction:g} of "
            f"the official training images validate (seed {recipe.data.split_seed}); the official test images test."
        ),
        Heading("Hyper-parameters"),
        _text(
            f"{optimizer} ({_listed(settings)}), schedule {recipe.schedule.name}, batch size {recipe.batch_size}, "
            f"{recipe.epochs} epochs."
        ),
        Heading("Architecture"),
        _text(f"{name} ({_listed(model)}){counted}."),
        Heading("Results"),
    ]


def _listed(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _published(studies: Sequence[StudyReport]) -> list[Block]:
    """Return the published figures beside the arms that they belong to."""
    rows = [
        _beside_row(study.findings, arm.label, found.test, one)
        for study in studies
        for arm, found in zip(study.record.study.arms, study.findings.arms, strict=True)
        for one in beside(arm.recipe)
    ]
    heading = Heading("Beside published figures")
    if not rows:
        return [heading, _text("No published figure belongs to an arm of these studies.")]
    columns = (
        Column("study"),
        Column("arm"),
        Column("ours, test %", is_number=True),
        Column("published, test %", is_number=True),
        Column("source"),
        Column("protocol"),
    )
    return [heading, TableBlock(Table(columns, tuple(dict.fromkeys(rows))))]


def _beside_row(findings: StudyFindings, arm: str, ours: float | None, one: Beside) -> tuple[str, ...]:
    runs = "one run" if one.figure.runs == 1 else f"mean of {one.figure.runs} runs"
    return (
        findings.name,
        arm,
        number(ours, 2),
        f"{one.figure.test_accuracy:.2f}",
        f"{one.figure.source} ({runs})",
        one.check,
    )


def _problems(study: StudyReport) -> Iterator[str]:
    """Yield what went wrong or stayed open in a study."""
    findings = study.findings
    for state, said in STATES:
        if count := sum(arm.count(state) for arm in findings.arms):
            yield f"{study.folder}: {count} of {findings.planned} trials {said}."
    compared = [(arm.label, arm.against_baseline) for arm in findings.arms if arm.against_baseline]
    if undecided := [label for label, result in compared if result.verdict in ("UNDECIDED", "SCREEN")]:
        yield f"{study.folder}: {listed(undecided)} could not be distinguished from the baseline with these blocks."
    if len(findings.environments) > 1:
        yield f"{study.folder}: its trials ran in {len(findings.environments)} environments."
