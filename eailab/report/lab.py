"""Compose the lab report: both tasks, filled from studies, with published figures next to ours."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Table
from eailab.findings.trial import TrialState
from eailab.findings.words import number, written
from eailab.recipe.canonical import flatten
from eailab.recipe.override import model_word
from eailab.recipe.schema import Recipe
from eailab.report.document import Block, Bullets, Facts, Heading, Paragraph, TableBlock
from eailab.report.study_report import StudyReport
from eailab.studies.factor import listed
from eailab.studies.storage import StudyRecord

# --- published figures -----------------------------------------------------------------------------------------------

NOT_STATED = "not stated"
"""Of a setting that a source does not give."""


@dataclass(frozen=True)
class Figure:
    """A published test accuracy."""

    source: str
    """Citation."""
    task: int
    """Of the lab report: 1 or 2."""
    arm: Mapping[str, Any]
    """Settings, by dotted path, of the arms that it belongs to."""
    test_accuracy: float
    """In percent."""
    runs: int
    """Over which it is a mean."""
    protocol: Mapping[str, Any]
    """Settings that must agree for a comparison; `not stated` where the source is silent."""


@dataclass(frozen=True)
class Context:
    """A well-known figure of another network, which is named and not compared."""

    source: str
    what: str
    test_accuracy: float


@dataclass(frozen=True)
class Beside:
    """A published figure beside one of our arms."""

    figure: Figure
    differing: tuple[str, ...]
    """Settings of the protocol that differ, a clause each."""
    not_stated: tuple[str, ...]
    """Settings that the source is silent on."""

    @property
    def check(self) -> str:
        """The protocol check in words."""
        silent = f"not stated: {', '.join(self.not_stated)}" if self.not_stated else ""
        if self.differing:
            return "; ".join([f"not comparable: {', '.join(self.differing)}", *([silent] if silent else [])])
        return f"comparable as far as stated ({silent})" if silent else "comparable"


def beside(recipe: Recipe) -> list[Beside]:
    """Return the published figures that belong to an arm of this recipe, with the protocol check of each."""
    ours = flatten(recipe)
    return [_checked(figure, ours) for figure in figures() if _belongs(figure, ours)]


@cache
def figures() -> tuple[Figure, ...]:
    """Return what `published.yaml` lists."""
    content = _content()
    return tuple(
        Figure(
            source=content["sources"][entry["source"]],
            task=entry["task"],
            arm=entry["arm"],
            test_accuracy=entry["test_accuracy"],
            runs=entry.get("runs", 1),
            protocol=entry["protocol"],
        )
        for entry in content["figures"]
    )


def context() -> tuple[Context, ...]:
    """Return the well-known figures that are only named."""
    content = _content()
    return tuple(
        Context(content["sources"][entry["source"]], entry["what"], entry["test_accuracy"])
        for entry in content["context"]
    )


@cache
def _content() -> dict[str, Any]:
    text = files("eailab.report").joinpath("published.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def _belongs(figure: Figure, ours: Mapping[str, Any]) -> bool:
    """Return whether an arm has what the figure is about; the rest of its settings is the protocol's affair."""
    return all(path in ours and ours[path] == value for path, value in figure.arm.items())


def _checked(figure: Figure, ours: Mapping[str, Any]) -> Beside:
    differing, silent = [], []
    for path, theirs in figure.protocol.items():
        if path in figure.arm:
            continue
        name = path.removesuffix(".name").rpartition(".")[2]
        if theirs == NOT_STATED:
            silent.append(name)
        elif ours.get(path) != theirs:
            differing.append(f"{name} {written(ours.get(path))} here, {written(theirs)} there")
    if (limit := ours.get("data.limit")) is not None:
        differing.append(f"{limit} training images here")
    return Beside(figure, tuple(differing), tuple(silent))


# --- the report ------------------------------------------------------------------------------------------------------

TASKS = {1: "Task 1: a multi-layer perceptron", 2: "Task 2: a residual network, one factor at a time"}

STATES: tuple[tuple[TrialState, str], ...] = (
    ("diverged", "diverged"),
    ("collapsed", "collapsed"),
    ("damaged", "are damaged"),
    ("missing", "are missing"),
)
"""Of trials that are a problem, and how it is said."""

LESSON = (
    "One factor at a time: where two settings change together, no difference can be attributed to either. Every "
    "comparison here varies one factor, or is declared as a bundle or a factorial, over blocks that all arms share; a "
    "single run of each arm would have shown the block as much as the factor."
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
    found = study.findings
    sizes = {"training": found.training_images, "validation": found.validation_images, "testing": found.test_images}
    images = ", ".join(f"{size:,} images for {split}" for split, size in sizes.items() if size is not None)
    settings = recipe.optimizer.model_dump(mode="json")
    optimizer = settings.pop("name")
    return [
        Heading("Split"),
        _text(f"{recipe.data.name}: {images} (seed {recipe.data.split_seed})."),
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
