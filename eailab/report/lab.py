"""The lab report: its own structure, filled from studies, with published figures beside ours."""

from collections.abc import Mapping, Sequence

from eailab.findings.costs import ArmCost
from eailab.findings.methods import answers
from eailab.findings.study import StudyFindings
from eailab.findings.tables import NOTHING, Column, Table, number
from eailab.findings.trial import TrialState
from eailab.recipe.schema import MlpRecipe
from eailab.report.escaping import markdown as escaped
from eailab.report.markdown import bullets, study_section, table_text
from eailab.report.published import Beside, beside, context
from eailab.studies.design import StudyRecord
from eailab.studies.factor import listed

LabStudy = tuple[StudyRecord, StudyFindings, Sequence[ArmCost], Mapping[str, str]]
"""A study, what was found in it, what it cost, and its figures' paths by their names."""

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


def lab_sections(studies: Sequence[LabStudy]) -> list[str]:
    """Return the parts of a lab report as markdown: both tasks, methods and compute, problems met and the lesson."""
    parts = []
    for task, title in TASKS.items():
        own = [study for study in studies if _task(study[0]) == task]
        parts.append(f"## {title}")
        if not own:
            command = f"eailab ablate --study lab-task{task}"
            parts.append(f"There is no study of this task yet; `{command}` makes them all.")
            continue
        parts += [*_plan(own), *(_result(study) for study in own), _published(own)]
    return [*parts, _context(), _methods(studies), _problems(studies)]


def _task(record: StudyRecord) -> int:
    return 1 if isinstance(record.study.arms[0].recipe, MlpRecipe) else 2


def _plan(studies: Sequence[LabStudy]) -> list[str]:
    """Say split, hyper-parameters and architecture of a task's first baseline."""
    record, findings, _, _ = studies[0]
    recipe = record.study.arms[record.study.baseline].recipe
    model = recipe.model.model_dump(mode="json")
    name = model.pop("name")
    parameters = sorted({t.parameters for a in findings.arms for t in a.trials if t.parameters is not None})
    settings = recipe.optimizer.model_dump(mode="json")
    optimizer = settings.pop("name")
    return [
        "### Split",
        f"{escaped(recipe.data.name)}: {findings.training_images:,} training images; {recipe.data.val_fraction:g} of "
        f"the official training images validate (seed {recipe.data.split_seed}); the official test images test.",
        "### Hyper-parameters",
        f"{optimizer} ({_listed(settings)}), schedule {recipe.schedule.name}, batch size {recipe.batch_size}, "
        f"{recipe.epochs} epochs.",
        "### Architecture",
        f"{name} ({_listed(model)})"
        + (f", {' or '.join(f'{count:,}' for count in parameters)} trained parameters." if parameters else "."),
        "### Results",
    ]


def _listed(settings: Mapping[str, object]) -> str:
    return escaped(", ".join(f"{key} {value}" for key, value in settings.items()))


def _result(study: LabStudy) -> str:
    _, findings, _, figures = study
    return study_section(findings, figures, level=4)


def _published(studies: Sequence[LabStudy]) -> str:
    """Set the published figures beside the arms that they belong to."""
    rows = []
    for record, findings, _, _ in studies:
        for arm, found in zip(record.study.arms, findings.arms, strict=True):
            rows += [_beside_row(findings, arm.label, found.test_accuracy, one) for one in beside(arm.recipe)]
    if not rows:
        return "### Beside published figures\n\nNo published figure belongs to an arm of these studies."
    table = Table(
        columns=(
            Column("study"),
            Column("arm"),
            Column("ours, test %", is_number=True),
            Column("published, test %", is_number=True),
            Column("source"),
            Column("protocol"),
        ),
        rows=tuple(dict.fromkeys(rows)),
    )
    return f"### Beside published figures\n\n{table_text(table)}"


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


def _context() -> str:
    known = [f"{escaped(one.what)}: {one.test_accuracy:.2f}% ({escaped(one.source)})" for one in context()]
    return f"### Well-known figures, not compared\n\n{bullets(known)}"


def _problems(studies: Sequence[LabStudy]) -> str:
    """Say what went wrong or stayed open, from the studies alone, and the lesson."""
    met = []
    for record, findings, _, _ in studies:
        name = escaped(record.study.folder_name)
        for state, said in STATES:
            if count := sum(arm.count(state) for arm in findings.arms):
                met.append(f"{name}: {count} of {findings.planned} trials {said}.")
        undecided = [
            arm.label for arm in findings.arms if arm.against_baseline and _is_open(arm.against_baseline.verdict)
        ]
        if undecided:
            met.append(f"{name}: {escaped(listed(undecided))} could not be told from the baseline with these blocks.")
        if len(findings.environments) > 1:
            met.append(f"{name}: its trials ran in {len(findings.environments)} environments.")
    said = bullets(met) if met else "None that the studies show."
    return f"## Problems met, and the lesson\n\n{said}\n\n{LESSON}"


def _is_open(verdict: str | None) -> bool:
    return verdict in ("UNDECIDED", "SCREEN")


def _methods(studies: Sequence[LabStudy]) -> str:
    parts = ["## Methods, error bars and compute"]
    for record, findings, costs, _ in studies:
        parts.append(f"### {escaped(record.study.folder_name)}")
        parts += [f"**{one.name}:** {escaped(one.told())}" for one in answers(findings, record, costs)]
    return "\n\n".join(parts) if len(parts) > 1 else f"{parts[0]}\n\n{NOTHING}"
