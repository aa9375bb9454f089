"""Read one trial: its state, last values and curves.

A trial that cannot be read is a marked gap.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from eailab.engines.registry import engine_of
from eailab.engines.summary import NetworkSummary
from eailab.errors import StoreError
from eailab.metrics import TRAIN, VALIDATION, Metric, recorded
from eailab.runs.records import Epoch, Provenance, Result
from eailab.runs.trial_folder import TrialFolder
from eailab.stats.blocked_model import Mask, Values
from eailab.translation import Text, joined, tr

TrialState = Literal[
    "finished", "collapsed", "diverged", "timed-out", "unfinished", "missing", "damaged", "spared", "absent"
]
"""`collapsed` was trained to its end and is at chance (`eailab.stats.collapse`); `timed-out` is of a person's program
that was ended at its time limit; `unfinished` has epochs but no result yet; `missing` has neither; `damaged` has files
that cannot be trusted, or read; `spared` is not asked for, since its arm was decided before; `absent` was never run,
since arms without shared seeds may have unequal numbers of runs."""

FAILED: dict[TrialState, Text] = {
    "diverged": tr("diverged"),
    "collapsed": tr("collapsed"),
    "timed-out": tr("timed out"),
}
"""States of trials that have ended, and whose values no mean contains, and how sentences say them."""


Axis = Literal["epoch", "step"]


@dataclass(frozen=True)
class Curves:
    """The values recorded after each epoch, or at each step, all sequences of one length."""

    epochs: tuple[int, ...] = ()
    """Their numbers, rising."""
    values: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """By the metric's key, in the unit shown; None in an epoch that lacks it."""
    axis: Axis = "epoch"
    """What the numbers count."""

    @property
    def is_empty(self) -> bool:
        """Return whether there is no value to draw."""
        return all(value is None for values in self.values.values() for value in values)


@dataclass(frozen=True)
class Environment:
    """The device and software of a trial, as far as they may change bits; no host, date or path."""

    device: str
    software: tuple[str, ...]
    """Name and version of each package that the result depends on."""

    def __str__(self) -> str:
        return f"{self.device}; {', '.join(self.software)}"


def environment_sentences(environments: Sequence[str]) -> list[Text]:
    """Say what trials ran on, where it is a sentence by itself."""
    if len(environments) == 1:
        return [tr("Device and versions: {environment}.", environment=environments[0])]
    if not environments:
        return []
    listed = joined(environments, tr(" and on "))
    return [tr("MIXED, which may change results: trials ran on {listed}.", listed=listed)]


@dataclass(frozen=True)
class TrialFindings:
    """One arm in one block."""

    block: int
    fingerprint: str
    """Empty of one that eailab did not run, which has no folder."""
    state: TrialState
    reason: str | None = None
    """Why a damaged trial is not read, where a diverged one stopped, at what a collapsed one ended, or the time limit
    of one that timed out."""
    value: float | None = None
    """The study's metric in the unit shown; None unless finished."""
    collapsed_value: float | None = None
    """The same of one that has collapsed."""
    final: Mapping[str, float] = field(default_factory=dict)
    """After the last epoch, by the metric's key, in the unit shown; empty unless finished or collapsed."""
    parameters: int | None = None
    network: NetworkSummary | None = None
    """Of one whose code is not eailab's, as the trial recorded it."""
    environment: Environment | None = None
    curves: Curves = Curves()
    """Of the epochs finished so far; empty for a missing or damaged trial."""
    reported: Curves = Curves()
    """What a person's own training has said of its epochs, which to eailab are one; empty of other trials."""

    @property
    def drawn(self) -> Curves:
        """Return what is drawn by epoch."""
        return self.curves if self.reported.is_empty else self.reported

    @property
    def has_ended(self) -> bool:
        """Return whether there is nothing left to train."""
        return self.has_outcome or self.state in ("spared", "absent")

    @property
    def has_outcome(self) -> bool:
        """Return whether it was trained to its end, or to where it failed."""
        return self.state in ("finished", *FAILED)

    @property
    def has_failed(self) -> bool:
        """Return whether it has an outcome that no mean may hide."""
        return self.state in FAILED


def read_trial(
    folder: TrialFolder, block: int, measure: Metric, planned: int, metrics: Sequence[Metric]
) -> TrialFindings:
    """Read a trial; damage becomes a state with its reason, never an error and never a number.

    `planned` are the epochs that its recipe asks for; a finished trial has each of them once.
    """
    name = folder.path.name
    try:
        result = folder.result(thorough=False)
        epochs = folder.epochs()
        reported = reported_curves(folder, metrics) if result is not None and result.status == "finished" else Curves()
    except StoreError as error:
        return TrialFindings(block, name, "damaged", _without_path(str(error), folder))
    curves = curves_of(epochs, metrics)
    if result is None:
        return TrialFindings(block, name, "unfinished" if epochs else "missing", curves=curves)
    if result.status == "finished" and [epoch.number for epoch in epochs] != list(range(1, planned + 1)):
        return TrialFindings(block, name, "damaged", tr("its epochs are not 1 to {planned}", planned=planned))
    return TrialFindings(
        block=block,
        fingerprint=name,
        state=result.status,
        reason=_where(result),
        value=measure.value(result.values),
        final={one.key: value for one in recorded(metrics) if (value := one.value(result.values)) is not None},
        parameters=result.parameters,
        network=result.network,
        environment=_environment(result.provenance),
        curves=curves,
        reported=reported,
    )


def imported_trial(block: int, value: float | None, measure: Metric) -> TrialFindings:
    """Return a trial that eailab did not run.

    Its value is as recorded, infinite where it was not finite; None where there is no such run.
    """
    if value is None:
        return TrialFindings(block, "", "absent")
    if math.isinf(value):
        return TrialFindings(block, "", "diverged", tr("its value is not finite"))
    shown = measure.scale * value
    return TrialFindings(block, "", "finished", value=shown, final={measure.key: shown})


def went_the_same(first: Sequence[TrialFindings], second: Sequence[TrialFindings]) -> bool:
    """Return whether two arms' trials finished with the same values in every epoch and at the end, to the digit."""
    pairs = zip(first, second, strict=True)
    ended = ("finished", "collapsed")
    return all(a.state in ended and b.state in ended and (a.curves, a.final) == (b.curves, b.final) for a, b in pairs)


def not_needed(trial: TrialFindings) -> TrialFindings:
    """Return a trial that its study does not ask for, though another study may have trained it."""
    return replace(
        trial,
        state="spared",
        reason=None,
        value=None,
        collapsed_value=None,
        final={},
        environment=None,
        curves=Curves(),
        reported=Curves(),
    )


def _without_path(message: str, folder: TrialFolder) -> str:
    """Name files from the trial's folder on: tables hold no path of a machine."""
    return message.replace(f"{folder.path.parent}/", "").replace(f"{folder.path.parent}\\", "")


def _where(result: Result) -> str | None:
    if result.limit_seconds is not None:
        return tr("it was ended after its time limit, {seconds:g} s", seconds=result.limit_seconds)
    if result.diverged_at is None:
        return None
    epoch, step = result.diverged_at
    if step:
        return tr("a value was not finite at epoch {epoch}, step {step}", epoch=epoch, step=step)
    return tr("a value was not finite after epoch {epoch}", epoch=epoch)


def _environment(provenance: Provenance) -> Environment:
    software = {"eailab": provenance["eailab"], "python": provenance["python"], **provenance["packages"]}
    return Environment(provenance["device"], tuple(f"{name} {version}" for name, version in software.items()))


def curves_of(epochs: Sequence[Epoch], metrics: Sequence[Metric]) -> Curves:
    """Return what a trial's epochs recorded of its metrics as sequences."""
    return Curves(
        tuple(epoch.number for epoch in epochs),
        {
            metric.key: tuple(metric.value(epoch.values) for epoch in epochs)
            for metric in recorded(metrics, TRAIN, VALIDATION)
        },
    )


MOST_REPORTED = 10_000
"""Epochs or steps that a program's curves are drawn of."""


def reported_curves(folder: TrialFolder, metrics: Sequence[Metric]) -> Curves:
    """Return what a person's own training has reported step by step, at the steps that it reported.

    Nothing where the judged metric, the first, was reported once, or too often to be drawn.

    Raises:
        DamagedError: The file that holds it is damaged.
    """
    own = engine_of(folder.recipe()).reported(folder.path)
    points = {key: dict(one) for key, one in own.points.items()}
    steps = sorted(set().union(*points.values()))
    if len(points.get(metrics[0].key, ())) < 2 or len(steps) > MOST_REPORTED:
        return Curves()

    def value(metric: Metric, step: int) -> float | None:
        found = points[metric.key].get(step, math.nan)
        return metric.value({metric.key: found}) if math.isfinite(found) else None

    values = {one.key: tuple(value(one, step) for step in steps) for one in metrics if one.key in points}
    return Curves(tuple(steps), values, "step" if own.axis == "step" else "epoch")


def in_state(state: TrialState, trials: Sequence[Sequence[TrialFindings]]) -> Mask:
    """Return which trials are in a state, `[B, A]`."""
    return np.array([[trial.state == state for trial in row] for row in trials]).T


def values_of(trials: Sequence[Sequence[TrialFindings]]) -> Values:
    """Return the metric as `[B, A]`, with a gap wherever a trial has no value."""
    return np.array([[np.nan if trial.value is None else trial.value for trial in row] for row in trials]).T
