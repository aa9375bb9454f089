"""Gather what every export writes of a study or a path ablation: its trials with settings and scores, its table."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from eailab.errors import UsageError
from eailab.findings.arm import ArmFindings
from eailab.findings.study import StudyFindings, StudyState
from eailab.findings.trial import TrialFindings, TrialState
from eailab.findings.words import written
from eailab.metrics import TRAIN, VALIDATION, recorded
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import digest, flatten
from eailab.report import json_report, markdown
from eailab.report.compose import path_document, study_document
from eailab.report.document import Document
from eailab.report.study_report import PathReport, StudyReport
from eailab.runs.records import Timing
from eailab.runs.store import Store
from eailab.studies.factor import word

RATE = "learning_rate"
"""What the learning rate at the end of an epoch is exported as."""

PREFIX = "eailab."
"""Goes before the names of labels, where a tool keeps its own or the user's too."""


@dataclass(frozen=True)
class ExportEpoch:
    """One finished epoch."""

    number: int
    ended: float | None
    """In seconds since 1970; see `_ends`."""
    seconds: float | None
    """How long it took, validation included; None where that is not known."""
    scores: Mapping[str, float]
    """By quantity and split, such as `loss/train`, in the units shown, always finite."""


@dataclass(frozen=True)
class ExportTrial:
    """One arm in one block, whether it has been trained or not."""

    name: str
    """Unique in its study, and safe as a path: `batch_size=16/block-0`."""
    recipe: Recipe
    state: TrialState
    labels: Mapping[str, str]
    """What it is of, and how it ended: study, factor, level, arm, block, trial, state, …"""
    epochs: tuple[ExportEpoch, ...]
    final: Mapping[str, float]
    """By the metric's key, such as `final/test_loss`, after the last epoch; empty unless the trial has finished."""
    finished: float | None
    """When its result was written, in seconds since 1970, and never before its last epoch; None without one."""

    @property
    def settings(self) -> dict[str, str | bool | int | float]:
        """Return the recipe's settings by dotted path, defaults too; what is not a number or truth value, in words."""
        return {
            path: value if isinstance(value, bool | int | float) else written(value)
            for path, value in flatten(self.recipe).items()
        }

    @property
    def clock(self) -> tuple[float, ...]:
        """Return when each epoch ended, for a tool that needs it: where not known, counted on, the first from 0."""
        times: list[float] = []
        for epoch in self.epochs:
            counted = (times[-1] if times else 0.0) + (epoch.seconds or 0.0)
            times.append(counted if epoch.ended is None else epoch.ended)
        return tuple(times)

    @property
    def began(self) -> float:
        """Return when the first epoch began, by the same clock."""
        if not self.epochs:
            return self.finished or 0.0
        return self.clock[0] - (self.epochs[0].seconds or 0.0)

    @property
    def ended(self) -> float:
        """Return when it ended, or its last epoch so far, by the same clock."""
        if self.finished is not None:
            return self.finished
        return self.clock[-1] if self.epochs else 0.0

    @property
    def tags(self) -> dict[str, str]:
        """Return the labels, for a tool that keeps tags of its own or the user's too."""
        return {f"{PREFIX}{name}": value for name, value in self.labels.items()}

    @property
    def group(self) -> str:
        """Name of its study or path ablation."""
        return self.labels["study"]

    @property
    def last_epoch(self) -> int:
        """Return the number of its last epoch; 0 for none."""
        return self.epochs[-1].number if self.epochs else 0

    @property
    def outcome(self) -> str:
        """Return how it ended, and why, as markdown."""
        return markdown.escaped(": ".join(self.labels[name] for name in ("state", "reason") if name in self.labels))

    @property
    def content(self) -> str:
        """Return a digest, which tells whether anything has changed since an earlier export."""
        epochs = [asdict(epoch) for epoch in self.epochs]
        return digest([self.name, self.settings, dict(self.labels), epochs, dict(self.final), self.finished])


@dataclass(frozen=True)
class ExportStudy:
    """A study or a path ablation, and all its trials."""

    name: str
    """Of its folder in the store, which is safe as a path."""
    title: str
    """What a reader calls it."""
    state: StudyState
    document: Document
    """Its answer, its table, and what they rest on."""
    verdicts: Mapping[str, str]
    """The verdict of each arm that has one, by its label."""
    trials: tuple[ExportTrial, ...]
    """Arm by arm, block by block; of a path ablation each trial once, under the step that trained it first."""
    parts: tuple[StudyReport, ...]
    """The study itself, or the studies of a path ablation's ends and steps."""

    @cached_property
    def markdown(self) -> str:
        """Return its table as text."""
        return markdown.render(self.document)

    @cached_property
    def json(self) -> str:
        """Return the same, with every number unrounded."""
        return json_report.render(self.document)

    @property
    def content(self) -> str:
        """Return a digest, which tells whether its table has changed since an earlier export."""
        return digest([self.markdown, self.json])

    @property
    def began(self) -> float:
        """Return when the first of its epochs began; see `ExportTrial.clock`."""
        return min((trial.began for trial in self.trials if trial.epochs), default=0.0)

    @property
    def ended(self) -> float:
        """Return when the last of its trials ended, so far."""
        return max((trial.ended for trial in self.trials), default=0.0)


def export_study(study: StudyReport) -> ExportStudy:
    """Gather what is exported of a study."""
    findings = study.findings
    results = {arm.label: arm.against_baseline for arm in findings.arms}
    return ExportStudy(
        name=study.folder,
        title=findings.name,
        state=findings.state,
        document=study_document(study),
        verdicts={label: str(one.verdict) for label, one in results.items() if one is not None and one.verdict},
        trials=tuple(_trials(study, study.folder)),
        parts=(study,),
    )


def export_path(path: PathReport) -> ExportStudy:
    """Gather what is exported of a path ablation."""
    trials: dict[str, ExportTrial] = {}
    for part in path.studies:
        for trial in _trials(part, path.folder):
            trials.setdefault(trial.labels["trial"], trial)
    return ExportStudy(
        name=path.folder,
        title="-to-".join(path.findings.names),
        state="complete" if all(part.findings.state == "complete" for part in path.studies) else "running",
        document=path_document(path.findings, with_figure=False),
        verdicts={},
        trials=tuple(trials.values()),
        parts=path.studies,
    )


def check_names(studies: Sequence[ExportStudy]) -> None:
    """Refuse two studies of one name and fingerprint, from two stores: the second would take the first one's place.

    Raises:
        UsageError: There are two.
    """
    names = [study.name for study in studies]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]} is there twice, from two stores: export them one by one, each to its own --out.")


def arm_names(findings: StudyFindings) -> list[str]:
    """Return a name for each arm that any file system takes, no two alike."""
    names: list[str] = []
    for arm in findings.arms:
        text = arm.label if findings.factor is None else f"{word(findings.factor)}={arm.label}"
        safe = name = re.sub(r"[^A-Za-z0-9_.+=-]+", "-", text)[:80].strip(".-") or "arm"
        number = 2
        while name.casefold() in {other.casefold() for other in names}:
            name, number = f"{safe}~{number}", number + 1
        names.append(name)
    return names


def _trials(study: StudyReport, group: str) -> Iterator[ExportTrial]:
    """Yield the trials of a study, arm by arm, block by block."""
    store, names = study.store, epoch_names(study.findings)
    for index, (found, name) in enumerate(zip(study.findings.arms, arm_names(study.findings), strict=True)):
        for trial in found.trials:
            if trial.state == "absent":
                continue
            labels = {"study": group, **_labels(study.findings, found, trial)}
            recipe = study.recipe_of(index, trial)
            yield _trial(store, recipe, trial, labels, f"{name}/block-{trial.block}", names, found.learning_rates)


def _labels(findings: StudyFindings, arm: ArmFindings, trial: TrialFindings) -> dict[str, str]:
    factor = findings.factor
    labels = {
        "factor": factor,
        "level": None if factor is None else arm.label,
        "arm": arm.label,
        "baseline": None if factor is None else written(arm.is_baseline),
        "block": str(trial.block),
        "trial": trial.fingerprint,
        "state": trial.state,
        "reason": trial.reason,
        "metric": findings.metric,
        "environment": None if trial.environment is None else str(trial.environment),
    }
    return {name: value for name, value in labels.items() if value is not None}


def epoch_names(findings: StudyFindings) -> dict[str, str]:
    """Return what each metric of an epoch, and the learning rate, is exported as, by its key."""
    of_epochs = recorded(findings.metrics, TRAIN, VALIDATION)
    names = {one.key: "/".join(filter(None, (one.quantity, one.split))) for one in of_epochs}
    return names | ({RATE: RATE} if any(arm.learning_rates for arm in findings.arms) else {})


def _trial(
    store: Store,
    recipe: Recipe,
    trial: TrialFindings,
    labels: Mapping[str, str],
    name: str,
    names: Mapping[str, str],
    rates: Sequence[float],
) -> ExportTrial:
    folder, curves = store.folder(trial.fingerprint) if trial.fingerprint else None, trial.curves
    record: Mapping[str, Any] | None = folder.record() if folder and trial.has_outcome else None
    finished = None if record is None else datetime.fromisoformat(record["provenance"]["finished"]).timestamp()
    timings = folder.timings() if folder and curves.epochs else {}
    ends = _ends(curves.epochs, timings, finished)
    if finished is not None and ends and ends[-1] is not None:
        finished = max(finished, ends[-1])  # the store gives it in whole seconds
    return ExportTrial(
        name=name,
        recipe=recipe,
        state=trial.state,
        labels=labels,
        epochs=tuple(
            ExportEpoch(
                number,
                ended,
                timings[number].seconds if number in timings else None,
                {names[key]: value for key, values in curves.values.items() if (value := values[place]) is not None}
                | ({RATE: rates[number - 1]} if number <= len(rates) and math.isfinite(rates[number - 1]) else {}),
            )
            for place, (number, ended) in enumerate(zip(curves.epochs, ends, strict=True))
        ),
        final={f"final/{key}": value for key, value in trial.final.items()},
        finished=finished,
    )


def _ends(epochs: Sequence[int], timings: Mapping[int, Timing], finished: float | None) -> list[float | None]:
    """Return when each epoch ended: as written down, else counted back by seconds from what came after it.

    Stores of earlier versions say when a trial finished, and how long each epoch took. A trial that was interrupted in
    between is then dated as if it had not been. None where nothing that came after is dated.
    """
    ends: list[float | None] = []
    later = finished
    for number in reversed(epochs):
        timing = timings.get(number)
        if timing is not None and timing.ended is not None:
            later = timing.ended
        ends.append(later)
        later = None if later is None or timing is None else later - timing.seconds
    return ends[::-1]
