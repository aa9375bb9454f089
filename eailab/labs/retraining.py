"""Train some of a submission again: trials of the student's, and one block that the student has not seen."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from eailab.engines.base import DeviceName
from eailab.engines.registry import engine_of
from eailab.errors import EailabError, TrialFailedError
from eailab.findings.study import StudyFindings
from eailab.labs.limited import run_limited
from eailab.labs.rubric import Limits
from eailab.metrics import Metric
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import to_yaml
from eailab.recipe.load import parse_recipe
from eailab.runs.context import RunContext
from eailab.runs.retrain import RetrainedTrial, compared
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.stats.p_values import bonferroni_critical_value

CONFIDENCE = 0.999
"""Of the prediction intervals of a hidden block, all of its arms together."""
WHOLE = 100.0
"""Percent: no share, and no difference of two, lies beyond."""


@dataclass(frozen=True)
class RetrainPlace:
    """Hold where submitted trials are trained again."""

    submission: Path
    data_dir: Path | None
    device: DeviceName
    run_code: bool
    """Whether a student's own network may run, with limits."""
    limits: Limits

    def train(self, trial: Trial) -> dict[str, Any]:
        """Train a trial in a store of its own, and return its record.

        Raises:
            EailabError: It cannot be trained.
        """
        if not runs_own_code(trial.recipe):
            return _record_of(trial, self.data_dir, self.device)
        job = {"recipe": to_yaml(trial.recipe), "block": trial.block, "data": trial.data, "device": self.device,
               "data_dir": None if self.data_dir is None else str(self.data_dir.absolute())}  # fmt: skip
        arguments = ("-m", "eailab.labs.retraining", json.dumps(job))
        outcome = run_limited(arguments, self.submission, self.limits)
        if outcome.result is None:
            raise TrialFailedError(f"the submitted network gave no result: {outcome.why}")
        return dict(outcome.result)


def runs_own_code(recipe: Recipe) -> bool:
    """Return whether training a recipe runs code that does not come with eailab."""
    return engine_of(recipe).is_foreign or (recipe.images is not None and recipe.images.has_own_network)


def _record_of(trial: Trial, data_dir: Path | None, device: DeviceName) -> dict[str, Any]:
    with TemporaryDirectory(prefix="eailab-again-") as folder:
        context = RunContext(Path(folder), data_dir, device)
        run_trial(trial, context)
        record = context.store.folder(trial.fingerprint).record()
    if record is None:
        raise TrialFailedError("the trial ended without a result.")
    return record


# --- a trial of the student's ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repeated:
    """A trial of the student's, and its repetition."""

    again: RetrainedTrial
    values: tuple[float | None, float | None]
    """Of the study's metric, then and now."""
    within: float
    """How far apart they may be on another processor."""

    @property
    def is_same(self) -> bool:
        """Return whether every value and file is the same to the bit."""
        return not self.again.differences

    @property
    def is_near(self) -> bool:
        """Return whether the value lies within the stated spread."""
        then, now = self.values
        return then == now if then is None or now is None else abs(then - now) <= self.within


def repeat(place: RetrainPlace, trial: Trial, before: Mapping[str, Any], measure: Metric, within: float) -> Repeated:
    """Train a trial again, and compare it with its record."""
    after = place.train(trial)
    values = (measure.value(_values(before)), measure.value(_values(after)))
    return Repeated(compared(dict(before), after), values, within)


def _values(record: Mapping[str, Any]) -> Mapping[str, float | None]:
    return dict(record["metrics"])


# --- a hidden block --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predicted:
    """A value of a hidden block, and where the student's blocks say that it lies."""

    what: str
    value: float | None
    low: float
    high: float

    @property
    def is_inside(self) -> bool:
        """Return whether it lies there."""
        return self.value is not None and self.low <= self.value <= self.high


def hidden(
    place: RetrainPlace, findings: StudyFindings, recipes: Sequence[Recipe], data: Sequence[str], block: int
) -> list[Predicted]:
    """Train all arms of a study in a block that the student has not seen, and compare with 99.9% prediction intervals.

    The baseline's own value is predicted, and each arm's difference from it, so that what blocks share does not count.
    """
    measure = findings.measure
    values = []
    for recipe, one in zip(recipes, data, strict=True):
        record = place.train(Trial(recipe, block, one))
        values.append(measure.value(_values(record)) if record["status"] == "finished" else None)
    base = findings.baseline_arm
    known: list[tuple[str, list[float], float | None, float]] = []
    for arm, value in zip(findings.arms, values, strict=True):
        own = values[findings.baseline]
        if arm.is_baseline:
            known.append((f"{arm.label}, {measure.title}", arm.values, value, 0.0))
        else:
            pairs = zip(arm.trials, base.trials, strict=True)
            differences = [a.value - b.value for a, b in pairs if a.value is not None and b.value is not None]
            known.append((f"{arm.label} minus {base.label}", differences,
                          None if value is None or own is None else value - own, -WHOLE))  # fmt: skip
    known = [one for one in known if len(one[1]) > 1]
    images = findings.validation_images
    step = 100.0 / images if images and measure.is_share else 0.0
    found = []
    for what, before, value, least in known:
        low, high = prediction_interval(before, len(known), step)
        if measure.is_share:
            low, high = max(low, least), min(high, WHOLE)
        found.append(Predicted(what, value, low, high))
    return found


def prediction_interval(values: Sequence[float], intervals: int, step: float = 0.0) -> tuple[float, float]:
    """Return where one more value than these two or more lies with 99.9% confidence.

    So many `intervals` hold together, by Bonferroni; each is widened by the smallest `step` of a value on each side.
    """
    n, mean = len(values), fmean(values)
    half = bonferroni_critical_value(CONFIDENCE, intervals, n - 1) * stdev(values) * sqrt(1.0 + 1.0 / n)
    return mean - max(half, step), mean + max(half, step)


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    asked = Trial(parse_recipe(job["recipe"].encode(), "recipe"), job["block"], job["data"])
    try:
        found = _record_of(asked, job["data_dir"] and Path(job["data_dir"]), job["device"])
    except EailabError as problem:
        sys.exit(str(problem))
    sys.stdout.write(f"\n{json.dumps(found)}\n")
