"""What one trial has to say: its state, its last scores, its curves. A trial that cannot be read is a marked gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eailab.errors import StoreError
from eailab.metrics import Metric
from eailab.runs.provenance import Provenance
from eailab.runs.records import Epoch, Result
from eailab.runs.trial_folder import TrialFolder
from eailab.translation import tr

TrialState = Literal["finished", "diverged", "unfinished", "missing", "damaged", "spared"]
"""`unfinished` has epochs but no result yet; `missing` has neither; `damaged` has files that cannot be
trusted, or read; `spared` is not asked for, since its arm was decided before."""


@dataclass(frozen=True)
class Curves:
    """Scores by epoch, all sequences of one length; losses in nats, accuracies in percent."""

    epochs: tuple[int, ...]
    train_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]


@dataclass(frozen=True)
class FinalScores:
    """One split's scores after the last epoch."""

    loss: float
    accuracy: float
    """In percent."""


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
    train: FinalScores | None
    validation: FinalScores | None
    test: FinalScores | None
    parameters: int | None
    environment: Environment | None
    curves: Curves
    """Of the epochs finished so far; empty for a missing or damaged trial."""

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to train."""
        return self.state in ("finished", "diverged", "spared")


def read_trial(folder: TrialFolder, block: int, measure: Metric, planned: int) -> TrialFindings:
    """Read a trial; damage becomes a state with its reason, never an error and never a number.

    Args:
        folder: Its folder.
        block: Its block.
        measure: What its study judges by.
        planned: Epochs that its recipe asks for; a finished trial has each of them once.
    """
    try:
        result = folder.result(thorough=False)
        epochs = folder.epochs()
    except StoreError as error:
        return _without_result(folder, block, "damaged", _without_path(str(error), folder), [])
    if result is None:
        return _without_result(folder, block, "unfinished" if epochs else "missing", None, epochs)
    if result.status == "finished" and [epoch.number for epoch in epochs] != list(range(1, planned + 1)):
        return _without_result(folder, block, "damaged", tr("its epochs are not 1 to {planned}", planned=planned), [])
    return TrialFindings(
        block=block,
        fingerprint=folder.path.name,
        state=result.status,
        reason=_where(result),
        value=measure.value(result.values),
        train=_final(result.values, "train"),
        validation=_final(result.values, "validation"),
        test=_final(result.values, "test"),
        parameters=result.parameters,
        environment=_environment(result.provenance),
        curves=curves_of(epochs),
    )


def went_the_same(first: Sequence[TrialFindings], second: Sequence[TrialFindings]) -> bool:
    """Return whether two arms' trials finished with the same losses and accuracies in every epoch, to the digit."""
    pairs = zip(first, second, strict=True)
    return all(a.state == b.state == "finished" and (a.curves, a.test) == (b.curves, b.test) for a, b in pairs)


def spared(trial: TrialFindings) -> TrialFindings:
    """Return a trial that its study does not ask for, whatever another study may have trained."""
    return replace(
        trial,
        state="spared",
        reason=None,
        value=None,
        train=None,
        validation=None,
        test=None,
        environment=None,
        curves=curves_of([]),
    )


def _without_result(
    folder: TrialFolder, block: int, state: TrialState, reason: str | None, epochs: list[Epoch]
) -> TrialFindings:
    return TrialFindings(
        block=block,
        fingerprint=folder.path.name,
        state=state,
        reason=reason,
        value=None,
        train=None,
        validation=None,
        test=None,
        parameters=None,
        environment=None,
        curves=curves_of(epochs),
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


def _final(values: Mapping[str, float | None], split: str) -> FinalScores | None:
    loss, accuracy = values.get(f"{split}_loss"), values.get(f"{split}_accuracy")
    return None if loss is None or accuracy is None else FinalScores(loss, 100.0 * accuracy)


def _environment(provenance: Provenance) -> Environment:
    software = {"eailab": provenance["eailab"], "python": provenance["python"], **provenance["packages"]}
    return Environment(provenance["device"], tuple(f"{name} {version}" for name, version in software.items()))


def curves_of(epochs: list[Epoch]) -> Curves:
    """Return the scores of a trial's epochs as sequences."""
    return Curves(
        epochs=tuple(epoch.number for epoch in epochs),
        train_loss=tuple(epoch.values["train_loss"] for epoch in epochs),
        train_accuracy=tuple(100.0 * epoch.values["train_accuracy"] for epoch in epochs),
        validation_loss=tuple(epoch.values["validation_loss"] for epoch in epochs),
        validation_accuracy=tuple(100.0 * epoch.values["validation_accuracy"] for epoch in epochs),
    )
