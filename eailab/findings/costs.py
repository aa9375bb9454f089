"""Add up what a study cost in time: apart from its table, since the same trials take another time another day."""

from collections.abc import Sequence
from dataclasses import dataclass

from eailab.errors import StoreError
from eailab.findings.study import StudyFindings
from eailab.runs.records import Timing
from eailab.runs.store import Store
from eailab.translation import Text, tr, trn


@dataclass(frozen=True)
class ArmCost:
    """The time that one arm's trials took: of the epochs that count, validation included."""

    label: str
    seconds_by_block: tuple[float | None, ...]
    """An epoch that was trained twice counts once; 0 for a trial without epochs, None for one that lacks timings."""
    seconds: float
    """Of the epochs that were timed."""
    timed: int
    """Epochs whose timing is there and whole."""
    epochs: int
    """That were trained."""
    images_per_second: float | None
    """Training images over all the arm's seconds; None where there are none."""
    devices: tuple[str, ...]
    joules: float | None = None
    """That its devices used in those seconds, other processes included; None unless it was counted in every epoch."""

    @property
    def seconds_a_trial(self) -> float | None:
        """Return the mean over the trials of which every epoch was timed; None where there is none."""
        timed = [seconds for seconds in self.seconds_by_block if seconds]
        return sum(timed) / len(timed) if timed else None


def costs(store: Store, findings: StudyFindings) -> tuple[ArmCost, ...]:
    """Return what each arm of a study cost."""
    return tuple(
        _arm(
            arm.label,
            [
                _timings(store, trial.fingerprint, trial.curves.epochs) if trial.fingerprint else ([], 0)
                for trial in arm.trials
            ],
        )
        for arm in findings.arms
    )


def tuning_costs(store: Store, findings: StudyFindings) -> tuple[ArmCost, ...]:
    """Return what the tuning of each arm of a study cost, with the trials of other values than those it is compared by.

    Nothing where the arms were not tuned.
    """
    arms = () if findings.tuning is None else findings.tuning.arms
    return tuple(
        _arm(
            arm.before,
            [
                _timings(store, name, _epochs(store, name))
                for name in (*(one.trial for one in arm.trainings), *findings.left_out.get(arm.before, ()))
            ],
        )
        for arm in arms
    )


def _epochs(store: Store, name: str) -> list[int]:
    """Return the numbers of a trial's epochs; none of one that cannot be read."""
    try:
        return [epoch.number for epoch in store.folder(name).epochs()]
    except StoreError:
        return []


def _timings(store: Store, name: str, epochs: Sequence[int]) -> tuple[list[Timing], int]:
    """Return the timings of a trial's epochs, and how many epochs it has; of one that cannot be read, those timed."""
    timings = store.folder(name).timings()
    return [timings[number] for number in epochs or timings if number in timings], len(epochs) or len(timings)


def with_timed(time: str, timed: int, epochs: int) -> str:
    """Return a time with the number of epochs that it is of, where some lack theirs.

    >>> with_timed("3.5", 4, 4), with_timed("3.5", 3, 4), with_timed("-", 0, 1)
    ('3.5', '3.5 (3 of 4 epochs timed)', '- (0 of 1 epoch timed)')
    """
    if timed == epochs:
        return time
    return trn(
        "{time} ({timed} of {n} epoch timed)", "{time} ({timed} of {n} epochs timed)", epochs, time=time, timed=timed
    )


def energy_sentence(arms: Sequence[ArmCost]) -> Text:
    """Say what a figure of energy is of, or that there is none."""
    if all(cost.joules is None for cost in arms):
        return tr("Energy was not measured.")
    return tr("Energy is all that the GPU used in those seconds, by its own counter, for trials side by side too.")


def _energy(timings: list[Timing]) -> float | None:
    counted = [timing.joules for timing in timings if timing.joules is not None]
    return round(sum(counted), 1) if timings and len(counted) == len(timings) else None


def _arm(label: str, trials: list[tuple[list[Timing], int]]) -> ArmCost:
    timings = [timing for trial, _ in trials for timing in trial]
    seconds = sum(timing.seconds for timing in timings)
    images = sum(timing.seconds * (timing.images_per_second or 0.0) for timing in timings)
    epochs = sum(number for _, number in trials)
    return ArmCost(
        label=label,
        seconds_by_block=tuple(
            round(sum(timing.seconds for timing in trial), 4) if len(trial) == number else None
            for trial, number in trials
        ),
        seconds=round(seconds, 4),
        timed=len(timings),
        epochs=epochs,
        images_per_second=round(images / seconds, 1) if seconds > 0.0 and images else None,
        devices=tuple(sorted({timing.device for timing in timings})),
        joules=_energy(timings) if len(timings) == epochs else None,
    )
