"""What goes out of a study: its trials with settings, labels and scores, the same for every tool."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from eailab.errors import UsageError
from eailab.findings.arm import ArmFindings
from eailab.findings.numbers import written
from eailab.findings.study import StudyFindings
from eailab.findings.trial import TrialFindings, TrialState
from eailab.metrics import TRAIN, VALIDATION, recorded
from eailab.recipe.canonical import digest, flatten
from eailab.recipe.schema import Recipe
from eailab.report import markdown
from eailab.report.compose import study_document
from eailab.report.json_report import as_json
from eailab.report.study_report import StudyReport
from eailab.runs.records import Timing
from eailab.runs.store import Store
from eailab.studies.factor import word

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
        """The recipe's settings by dotted path, defaults included; what is not a number or truth value, in words."""
        return {
            path: value if isinstance(value, bool | int | float) else written(value)
            for path, value in flatten(self.recipe).items()
        }

    @property
    def clock(self) -> tuple[float, ...]:
        """When each epoch ended, for a tool that needs one: where it is not known, counted on, the first from 0."""
        times: list[float] = []
        for epoch in self.epochs:
            counted = (times[-1] if times else 0.0) + (epoch.seconds or 0.0)
            times.append(counted if epoch.ended is None else epoch.ended)
        return tuple(times)

    @property
    def began(self) -> float:
        """When the first epoch began, by the same clock."""
        if not self.epochs:
            return self.finished or 0.0
        return self.clock[0] - (self.epochs[0].seconds or 0.0)

    @property
    def ended(self) -> float:
        """When it ended, or its last epoch so far, by the same clock."""
        if self.finished is not None:
            return self.finished
        return self.clock[-1] if self.epochs else 0.0

    @property
    def said(self) -> str:
        """How it ended, and why, as markdown."""
        return markdown.escaped(": ".join(self.labels[name] for name in ("state", "reason") if name in self.labels))

    @property
    def content(self) -> str:
        """Tells whether anything has changed since an earlier export."""
        epochs = [asdict(epoch) for epoch in self.epochs]
        return digest([self.name, self.settings, dict(self.labels), epochs, dict(self.final), self.finished])


@dataclass(frozen=True)
class ExportStudy:
    """A study and all its trials."""

    report: StudyReport
    trials: tuple[ExportTrial, ...]
    """Arm by arm, block by block."""

    @property
    def name(self) -> str:
        """Of its folder in the store: the study's name and fingerprint, safe as a path."""
        return self.report.folder

    @property
    def markdown(self) -> str:
        """Its answer, its table, and what they rest on."""
        return markdown.render(study_document(self.report))

    @property
    def json(self) -> str:
        """The same, with every number unrounded."""
        return as_json(self.report.findings)

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each arm that has one, by its label."""
        results = {arm.label: arm.against_baseline for arm in self.report.findings.arms}
        return {label: str(one.verdict) for label, one in results.items() if one is not None and one.verdict}


def export_study(store: Store, study: StudyReport) -> ExportStudy:
    """Gather what goes out of a study.

    Args:
        store: Where its trials lie.
        study: The study with all that reports say of it.
    """
    arms = zip(study.record.study.arms, study.findings.arms, arm_names(study.findings), strict=True)
    return ExportStudy(
        study,
        tuple(
            _trial(store, study, arm.recipe, found, trial, f"{name}/block-{trial.block}")
            for arm, found, name in arms
            for trial in found.trials
        ),
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
    taken: set[str] = set()
    names = []
    for arm in findings.arms:
        text = arm.label if findings.factor is None else f"{word(findings.factor)}={arm.label}"
        safe = re.sub(r"[^A-Za-z0-9_.+=-]+", "-", text)[:80].strip(".-") or "arm"
        name, number = safe, 2
        while name.casefold() in taken:
            name, number = f"{safe}~{number}", number + 1
        taken.add(name.casefold())
        names.append(name)
    return names


def _trial(
    store: Store, study: StudyReport, recipe: Recipe, arm: ArmFindings, trial: TrialFindings, name: str
) -> ExportTrial:
    folder = store.folder(trial.fingerprint)
    record: Mapping[str, Any] | None = folder.record() if trial.state in ("finished", "diverged") else None
    finished = None if record is None else datetime.fromisoformat(record["provenance"]["finished"]).timestamp()
    curves = trial.curves
    timings = folder.timings() if curves.epochs else {}
    ends = _ends(curves.epochs, timings, finished)
    if finished is not None and ends and ends[-1] is not None:
        finished = max(finished, ends[-1])  # the store gives it in whole seconds
    names = epoch_names(study.findings)
    return ExportTrial(
        name=name,
        recipe=recipe,
        state=trial.state,
        labels=_labels(study, arm, trial),
        epochs=tuple(
            ExportEpoch(
                number,
                ended,
                timings[number].seconds if number in timings else None,
                {names[key]: value for key, values in curves.values.items() if (value := values[place]) is not None},
            )
            for place, (number, ended) in enumerate(zip(curves.epochs, ends, strict=True))
        ),
        final={f"final/{key}": value for key, value in trial.final.items()},
        finished=finished,
    )


def _labels(study: StudyReport, arm: ArmFindings, trial: TrialFindings) -> dict[str, str]:
    factor = study.findings.factor
    labels = {
        "study": study.folder,
        "factor": factor,
        "level": None if factor is None else arm.label,
        "arm": arm.label,
        "baseline": None if factor is None else written(arm.is_baseline),
        "block": str(trial.block),
        "trial": trial.fingerprint,
        "state": trial.state,
        "reason": trial.reason,
        "metric": study.findings.metric,
        "environment": None if trial.environment is None else str(trial.environment),
    }
    return {name: value for name, value in labels.items() if value is not None}


def epoch_names(findings: StudyFindings) -> dict[str, str]:
    """Return what each metric of an epoch goes out as, by its key."""
    return {one.key: f"{one.quantity}/{one.split}" for one in recorded(findings.metrics, TRAIN, VALIDATION)}


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
