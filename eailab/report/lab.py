"""Compose the lab report: its tasks, filled from studies, with published figures next to ours."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from eailab.findings.ablation import ablations
from eailab.findings.methods import COMPUTE
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Fact, Table
from eailab.findings.trial import FAILED, TrialState
from eailab.findings.words import (
    data_in_words,
    model_in_words,
    number,
    setting_as_named,
    setting_in_words,
    value_in_words,
    written,
)
from eailab.recipe.base import ImageRecipe, Recipe
from eailab.recipe.canonical import flatten
from eailab.recipe.override import model_word
from eailab.recipe.parts import Mlp
from eailab.report.document import Block, Bullets, Facts, Heading, Paragraph, TableBlock, Title
from eailab.report.study_report import StudyReport
from eailab.studies.factor import listed
from eailab.studies.storage import StudyRecord
from eailab.translation import BETWEEN_SENTENCES, COMMA, OR, Text, capitalized, english, joined, members_of, tr, trn

# --- published figures -----------------------------------------------------------------------------------------------

NOT_STATED = "not stated"
"""Of a setting that a source does not give."""
OWN_SOURCES = {"lab": tr("the lab report's author")}
"""Those that are not publications, by their keys."""


@dataclass(frozen=True)
class PublishedFigure:
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
    task: int
    """Of the lab report: 1 or 2."""
    what: str
    test_accuracy: float


@dataclass(frozen=True)
class Beside:
    """A published figure next to one of our arms."""

    figure: PublishedFigure
    differing: tuple[str, ...]
    """Settings of the protocol that differ, a clause each."""
    not_stated: tuple[str, ...]
    """Settings that the source is silent on."""

    @property
    def check(self) -> Text:
        """Return the protocol check in words."""
        silent = tr("not stated: {settings}", settings=joined(self.not_stated, COMMA)) if self.not_stated else None
        if self.differing:
            said = tr("not comparable: {differences}", differences=joined(self.differing, COMMA))
            return joined([said, *([silent] if silent else [])])
        return tr("comparable as far as stated ({silent})", silent=silent) if silent else tr("comparable")


def beside(recipe: Recipe) -> list[Beside]:
    """Return the published figures that belong to an arm of this recipe, with the protocol check of each."""
    ours = flatten(recipe)
    return [_checked(figure, ours) for figure in figures() if _belongs(figure, ours)]


@cache
def figures() -> tuple[PublishedFigure, ...]:
    """Return what `published.yaml` lists."""
    return tuple(PublishedFigure(**{"runs": 1} | entry) for entry in _content()["figures"])


def context() -> tuple[Context, ...]:
    """Return the well-known figures that are only named."""
    return tuple(Context(**entry) for entry in _content()["context"])


@cache
def _content() -> dict[str, Any]:
    """Return what `published.yaml` holds, with the citation of each entry's source."""
    content = dict(yaml.safe_load(files("eailab.report").joinpath("published.yaml").read_text(encoding="utf-8")))
    sources = OWN_SOURCES | content["sources"]
    for entry in (*content["figures"], *content["context"]):
        entry["source"] = sources[entry["source"]]
    return content


def _belongs(figure: PublishedFigure, ours: Mapping[str, Any]) -> bool:
    """Return whether an arm has what the figure is about; the rest of its settings is the protocol's affair."""
    return all(path in ours and ours[path] == value for path, value in figure.arm.items())


def _checked(figure: PublishedFigure, ours: Mapping[str, Any]) -> Beside:
    differing, silent = list[str](), list[str]()
    for path, theirs in figure.protocol.items():
        if path in figure.arm:
            continue
        name = path.removesuffix(".name").rpartition(".")[2]
        if theirs == NOT_STATED:
            silent.append(setting_as_named(name))
        elif ours.get(path) != theirs:
            values = {"setting": setting_as_named(name), "ours": written(ours.get(path)), "theirs": written(theirs)}
            differing.append(tr("{setting} {ours} here, {theirs} there", **values))
    if (limit := ours.get("data.limit")) is not None:
        differing.append(tr("{n} training images here", n=limit))
    return Beside(figure, tuple(differing), tuple(silent))


# --- the report ------------------------------------------------------------------------------------------------------

TASKS = {
    1: tr("Task 1: a multi-layer perceptron"),
    2: tr("Task 2: a residual network, one factor at a time"),
}

LESSON = tr(
    "One factor at a time: where two settings change together, no difference can be attributed to either. Every "
    "comparison here varies one factor, or is declared as a bundle or a factorial, over blocks that all arms share; a "
    "single run of each arm would have shown the block as much as the factor."
)


def lab_blocks(
    studies: Sequence[StudyReport], results: Callable[[Sequence[StudyReport]], Iterable[Block]]
) -> list[Block]:
    """Return a lab report: the tasks that have studies, published figures, methods, problems met and the lesson.

    Each of the studies is of a task; `results` composes what those of a task found.
    """
    blocks: list[Block] = []
    by_task = {task: [study for study in studies if task_of(study.record) == task] for task in TASKS}
    tasks = {task: own for task, own in by_task.items() if own}
    for task, own in tasks.items():
        blocks += [Heading(TASKS[task], 2), *setup_blocks(own), Heading(tr("Results")), *results(own)]
        blocks += published_blocks(own)
    known = tuple(f"{one.what}: {one.test_accuracy:.2f}% ({one.source})" for one in context() if one.task in tasks)
    blocks += [Heading(tr("Well-known figures, not compared")), Bullets(known)] if known else []
    blocks.append(Heading(tr("Methods, error bars and compute"), 2))
    for task, own in tasks.items():
        is_alone = len(tasks) == 1
        blocks += [*([] if is_alone else [Heading(TASKS[task])]), *_methods(own, 3 if is_alone else 4)]
    met = [problem for own in tasks.values() for study in own for problem in problems_met(study)]
    blocks.append(Heading(tr("Problems met, and the lesson"), 2))
    blocks.append(Bullets(tuple(met)) if met else _text(tr("None that the studies show.")))
    return [*blocks, _text(LESSON)]


def task_of(record: StudyRecord) -> int | None:
    """Return which task of the lab report a study is of; None of a study of none."""
    images = record.study.arms[0].recipe.images
    if images is None:
        return None
    return 1 if isinstance(images.model, Mlp) else 2


def _methods(studies: Sequence[StudyReport], level: int) -> list[Block]:
    """Return how the studies of a task were made: what is true of all once, then what differs, study by study."""
    by_study = [{fact.name: members_of(fact.sentence) for fact in study.answers} for study in studies]
    first = by_study[0]
    shared = {name: [one for one in said if all(one in own[name] for own in by_study)] for name, said in first.items()}
    if ablations([study.findings for study in studies]):
        shared[COMPUTE] = [*shared[COMPUTE], tr("Each study counts the trials of the common baseline, which ran once.")]
    blocks: list[Block] = [Facts(tuple(Fact(name, _said(said)) for name, said in shared.items() if said))]
    for study, own in zip(studies, by_study, strict=True):
        left = {name: [one for one in said if one not in shared[name]] for name, said in own.items()}
        facts = tuple(Fact(name, _said(said)) for name, said in left.items() if said)
        blocks += [Heading(_called(study.findings.title, study), level), Facts(facts)] if facts else []
    return blocks


def _called(name: str, study: StudyReport) -> str:
    """Return a study's title or name, with what tells it from others of the report."""
    return Title(name, study.findings.apart).translated(english)


def _said(sentences: Sequence[str]) -> Text:
    return joined(sentences, BETWEEN_SENTENCES)


def _text(sentence: str) -> Paragraph:
    return Paragraph((sentence,))


def setup_blocks(studies: Sequence[StudyReport]) -> list[Block]:
    """Return split, hyper-parameters and architecture of the studies' baselines, once where they are the same.

    Args:
        studies: At least one; those that train on no images are passed over.
    """
    blocks: list[Block] = []
    for title, describe in SETUP.items():
        said: dict[str, list[str]] = {}
        for study in studies:
            if recipe := study.record.study.arms[study.record.study.baseline].recipe.images:
                said.setdefault(describe(study, recipe), []).append(_called(study.findings.name, study))
        if said:
            blocks.append(Heading(title))
        if len(said) == 1:
            blocks += map(_text, said)
        elif said:
            of_each = (tr("Baseline of {studies}: {setup}", studies=listed(of), setup=one) for one, of in said.items())
            blocks.append(Bullets(tuple(of_each)))
    return blocks


def _split(study: StudyReport, recipe: ImageRecipe) -> Text:
    found = study.findings
    data = {"data": capitalized(data_in_words(recipe.data.name)), "seed": recipe.data.split_seed}
    sizes = {"training": found.training_images, "validation": found.validation_images, "test": found.test_images}
    if None in sizes.values():
        return tr("{data} (seed {seed}).", **data)
    return tr(
        "{data}: {training:,} images for training, {validation:,} for validation and {test:,} for testing "
        "(seed {seed}).",
        **data,
        **sizes,
    )


def _hyper_parameters(_: StudyReport, recipe: ImageRecipe) -> Text:
    return trn(
        "{optimizer} ({settings}), schedule {schedule}, batch size {batch_size}, {epochs} epoch.",
        "{optimizer} ({settings}), schedule {schedule}, batch size {batch_size}, {epochs} epochs.",
        recipe.epochs,
        optimizer=value_in_words(recipe.optimizer.name),
        settings=_listed(recipe.optimizer.model_dump(mode="json", exclude={"name"})),
        schedule=value_in_words(recipe.schedule.name),
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
    )


def _architecture(study: StudyReport, recipe: ImageRecipe) -> Text:
    trials = study.findings.baseline_arm.trials
    parameters = sorted({trial.parameters for trial in trials if trial.parameters is not None})
    settings = recipe.model.model_dump(mode="json", exclude={"name", "code"})
    network = {"model": capitalized(model_in_words(model_word(recipe))), "settings": _listed(settings)}
    if not parameters:
        return tr("{model} ({settings}).", **network)
    return tr(
        "{model} ({settings}), {parameters} trained parameters.",
        parameters=joined((f"{count:,}" for count in parameters), OR),
        **network,
    )


SETUP: Mapping[Text, Callable[[StudyReport, ImageRecipe], Text]] = {
    tr("Split"): _split,
    tr("Hyper-parameters"): _hyper_parameters,
    tr("Architecture"): _architecture,
}
"""Parts of a task's set-up."""


def _listed(settings: Mapping[str, object]) -> Text:
    return joined(
        tr("{setting} {value}", setting=setting_in_words(key), value=value_in_words(value))
        for key, value in settings.items()
    )


def published_blocks(studies: Sequence[StudyReport]) -> list[Block]:
    """Return the published figures next to the arms that they belong to."""
    rows: dict[object, tuple[str, ...]] = {}
    for study in studies:
        for index, found in enumerate(study.findings.arms):
            trials = tuple(trial.fingerprint for trial in found.trials)
            for one in beside(study.recipe_of(index, found.trials[0])):
                # The baseline of several studies has one row.
                place = (trials, one.figure.source, one.figure.test_accuracy)
                rows.setdefault(place, _beside_row(study.findings, found.label, found.test, one))
    heading = Heading(tr("Beside published figures"))
    if not rows:
        return [heading, _text(tr("No published figure belongs to an arm of these studies."))]
    columns = (
        Column(tr("study")),
        Column(tr("arm")),
        Column(tr("ours, test %"), is_number=True),
        Column(tr("published, test %"), is_number=True),
        Column(tr("source")),
        Column(tr("protocol")),
    )
    return [heading, TableBlock(Table(columns, tuple(rows.values())))]


def _beside_row(findings: StudyFindings, arm: str, ours: float | None, one: Beside) -> tuple[str, ...]:
    runs = one.figure.runs
    return (
        findings.name,
        arm,
        number(ours, 2),
        f"{one.figure.test_accuracy:.2f}",
        tr("{source} (one run)", source=one.figure.source)
        if runs == 1
        else tr("{source} (mean of {n} runs)", source=one.figure.source, n=runs),
        one.check,
    )


def problems_met(study: StudyReport) -> Iterator[Text]:
    """Yield what went wrong or stayed open in a study."""
    findings, called = study.findings, _called(study.findings.name, study)
    for state, said in STATES.items():
        if count := sum(arm.count(state) for arm in findings.arms):
            yield tr(
                "{study}: {n} of {total} trials {state}.", study=called, n=count, total=findings.planned, state=said
            )
    compared = [(arm.label, arm.against_baseline) for arm in findings.arms if arm.against_baseline]
    if undecided := [label for label, result in compared if result.verdict in ("UNDECIDED", "SCREEN")]:
        yield tr(
            "{study}: {arms} could not be distinguished from the baseline with these blocks.",
            study=called,
            arms=listed(undecided),
        )
    if len(findings.environments) > 1:
        yield tr("{study}: its trials ran in {n} environments.", study=called, n=len(findings.environments))


STATES: dict[TrialState, Text] = {
    **FAILED,
    "damaged": tr("are damaged"),
    "missing": tr("are missing"),
}
"""Of trials that are a problem, and how it is said."""
