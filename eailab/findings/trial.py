"""What one trial has to say: its state, its last scores, its curves. A trial that cannot be read is a marked gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from eailab.errors import StoreError
from eailab.metrics import TRAIN, VALIDATION, Metric, recorded
from eailab.runs.provenance import Provenance
from eailab.runs.records import Epoch, Result
from eailab.runs.trial_folder import TrialFolder
from eailab.translation import tr

TrialState = Literal["finished", "diverged", "unfinished", "missing", "damaged", "spared"]
"""`unfinished` has epochs but no result yet; `missing` has neither; `damaged` has files that cannot be
trusted, or read; `spared` is not asked for, since its arm was decided before."""


@dataclass(frozen=True)
class Curves:
    """What was recorded after each epoch, all sequences of one length."""

    epochs: tuple[int, ...] = ()
    values: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """By the metric's key, in the unit shown; None in an epoch that lacks it."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no value to draw."""
        return all(value is None for values in self.values.values() for value in values)


@dataclass(frozen=True)
class Environment:
    """What a trial ran on, as far as it may change bits; no host, date or path."""

    device: str
    software: tuple[str, ...]
    """Name and version of each package that the result depends on."""

    def __str__(self) -> str:
        return f"{self.device}; {', '.join(self.software)}"


@dataclass(frozen=True)
class TrialFindings:
    """One arm in one block."""

    block: int
    fingerprint: str
    state: TrialState
    reason: str | None
    """Why a damaged trial is not read, or where a diverged one stopped."""
    value: float | None
    """The study's metric in the unit shown; None unless finished."""
    final: Mapping[str, float]
    """After the last epoch, by the metric's key, in the unit shown; empty unless finished."""
    parameters: int | None
    environment: Environment | None
    curves: Curves
    """Of the epochs finished so far; empty for a missing or damaged trial."""

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to train."""
        return self.state in ("finished", "diverged", "spared")


def read_trial(
    folder: TrialFolder, block: int, measure: Metric, planned: int, metrics: Sequence[Metric]
) -> TrialFindings:
    """Read a trial; damage becomes a state with its reason, never an error and never a number.

    Args:
        folder: Its folder.
        block: Its block.
        measure: What its study judges by.
        planned: Epochs that its recipe asks for; a finished trial has each of them once.
        metrics: What it records.
    """
    try:
        result = folder.result(thorough=False)
        epochs = folder.epochs()
    except StoreError as error:
        return _without_result(folder, block, "damaged", _without_path(str(error), folder), Curves())
    curves = curves_of(epochs, metrics)
    if result is None:
        return _without_result(folder, block, "unfinished" if epochs else "missing", None, curves)
    if result.status == "finished" and [epoch.number for epoch in epochs] != list(range(1, planned + 1)):
        reason = tr("its epochs are not 1 to {planned}", planned=planned)
        return _without_result(folder, block, "damaged", reason, Curves())
    return TrialFindings(
        block=block,
        fingerprint=folder.path.name,
        state=result.status,
        reason=_where(result),
        value=measure.value(result.values),
        final={one.key: value for one in recorded(metrics) if (value := one.value(result.values)) is not None},
        parameters=result.parameters,
        environment=_environment(result.provenance),
        curves=curves,
    )


def went_the_same(first: Sequence[TrialFindings], second: Sequence[TrialFindings]) -> bool:
    """Return whether two arms' trials finished with the same values in every epoch and at the end, to the digit."""
    pairs = zip(first, second, strict=True)
    return all(a.state == b.state == "finished" and (a.curves, a.final) == (b.curves, b.final) for a, b in pairs)


def spared(trial: TrialFindings) -> TrialFindings:
    """Return a trial that its study does not ask for, whatever another study may have trained."""
    return replace(trial, state="spared", reason=None, value=None, final={}, environment=None, curves=Curves())


def _without_result(
    folder: TrialFolder, block: int, state: TrialState, reason: str | None, curves: Curves
) -> TrialFindings:
    return TrialFindings(
        block=block,
        fingerprint=folder.path.name,
        state=state,
        reason=reason,
        value=None,
        final={},
        parameters=None,
        environment=None,
        curves=curves,
    )


def _without_path(message: str, folder: TrialFolder) -> str:
    """Name files from the trial's folder on: tables hold no path of a machine."""
    return message.replace(f"{folder.path.parent}/", "").replace(f"{folder.path.parent}\\", "")


def _where(result: Result) -> str | None:
    if result.diverged_at is None:
        return None
    epoch, step = result.diverged_at
    if step:
        return tr("the loss was not finite at epoch {epoch}, step {step}", epoch=epoch, step=step)
    return tr("the loss was not finite at epoch {epoch}, in validation", epoch=epoch)


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
