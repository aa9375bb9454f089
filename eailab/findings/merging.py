"""Compare tuned arms of which the study's record has several: the best of the values carried, or each in its blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from eailab.findings.trial import TrialFindings
from eailab.studies.design import Arm
from eailab.studies.storage import StudyRecord
from eailab.studies.tuning_file import TunedArm, Tuning
from eailab.translation import tr

Rows = Sequence[tuple[TrialFindings, ...]]
"""Trials by arm and block."""


@dataclass(frozen=True)
class CarriedArm:
    """One arm of the record, which may stand for a tuned arm."""

    arm: str
    """The tuned arm."""
    value: str
    mean: float | None
    """Over the blocks of the comparison that all values of the arm have; None before there is one."""
    mean_of_all: float | None
    """Over these and the tuning blocks; None as above, or where one of its trainings failed."""
    stands_in: tuple[int, ...]
    """Blocks in which it stands for the arm."""


@dataclass(frozen=True)
class Merging:
    """Describe how the arms of a record become the tuned arms that are compared."""

    record: StudyRecord
    tuning: Tuning

    @property
    def groups(self) -> list[tuple[TunedArm, range]]:
        """Return each tuned arm with the places of its arms in the record."""
        found, start = [], 0
        for arm in self.tuning.arms:
            found.append((arm, range(start, start + len(arm.labels))))
            start += len(arm.labels)
        return found

    def merged(self, rows: Rows) -> tuple[StudyRecord, list[tuple[TrialFindings, ...]]]:
        """Return the record of the tuned arms and their trials, by those trials that are given.

        With `--carry` the value with the best mean over the tuning blocks and the blocks given stands for its arm;
        the arms of a judgement after fewer blocks may therefore have other values.
        """
        arms, baseline = list[Arm](), 0
        merged, chosen = list[tuple[TrialFindings, ...]](), list[list[int]]()
        for tuned, places in self.groups:
            own = self._chosen(tuned, places, rows)
            if self.record.study.baseline in places:
                baseline = len(arms)
            first = self.record.study.arms[own[0]]  # a study has a block
            arms.append(replace(first, level=tuned.before, name=tuned.before) if self.tuning.again else first)
            chosen.append(own)
            merged.append(tuple(_stand_in(tuned, self.tuning, rows[at][number]) for number, at in enumerate(own)))
        blocks = [trial.block for trial in rows[0]]
        trials = {
            (index, block): self.record.trials[at, block]
            for index, own in enumerate(chosen)
            for block, at in zip(blocks, own, strict=True)
        }
        updates = tuple(self.record.updates[own[0]] for own in chosen)
        study = replace(self.record.study, arms=tuple(arms), baseline=baseline)
        return replace(self.record, study=study, trials=trials, updates=updates), merged

    def carried(self, rows: Rows) -> tuple[CarriedArm, ...]:
        """Return what became of each value of the arms that have several."""
        found = []
        for tuned, places in self.groups:
            own = self._chosen(tuned, places, rows)
            for one, place in zip(tuned.carried, places, strict=bool(tuned.carried)):
                mean, of_all = self._means(tuned, places, rows)[place - places[0]]
                blocks = tuple(trial.block for trial, at in zip(rows[0], own, strict=True) if at == place)
                found.append(CarriedArm(tuned.before, one.value, mean, of_all, blocks))
        return tuple(found)

    def left_out(self, rows: Rows) -> dict[str, list[TrialFindings]]:
        """Return the trials of each tuned arm that no table has, since another value of it stands in their block."""
        return {
            tuned.before: [
                rows[place][number]
                for place in places
                for number, at in enumerate(self._chosen(tuned, places, rows))
                if at != place
            ]
            for tuned, places in self.groups
        }

    def _chosen(self, tuned: TunedArm, places: range, rows: Rows) -> list[int]:
        """Return which arm of the record stands for a tuned one in each block."""
        blocks = [trial.block for trial in rows[0]]
        if self.tuning.again:
            pairs = zip(tuned.carried, places, strict=bool(tuned.carried))
            winners = {block: place for one, place in pairs for block in one.blocks}
            return [winners.get(block, places[0]) for block in blocks]
        sign = 1.0 if self.record.study.measure.higher_is_better else -1.0
        means = [of_all for _, of_all in self._means(tuned, places, rows)]
        best = max(
            places, key=lambda at: (-float("inf") if (mean := means[at - places[0]]) is None else sign * mean, -at)
        )
        return [best] * len(blocks)

    def _means(self, tuned: TunedArm, places: range, rows: Rows) -> list[tuple[float | None, float | None]]:
        """Return the mean of each value of an arm in the blocks of the comparison, and in the tuning blocks too."""
        values = [[trial.value for trial in rows[place]] for place in places]
        shared = [number for number, column in enumerate(zip(*values, strict=True)) if None not in column]
        found: list[tuple[float | None, float | None]] = []
        for place, own in zip(places, values, strict=True):
            judged = [value for number in shared if (value := own[number]) is not None]
            wanted = tuned.carried[place - places[0]].value if tuned.carried else tuned.winner
            tuning = [one.score for one in tuned.trainings if one.value == wanted]
            has_failed = None in tuning or any(trial.has_failed for trial in rows[place])
            known = [score for score in tuning if score is not None] + judged
            found.append((fmean(judged) if judged else None, fmean(known) if known and not has_failed else None))
        return found


def _stand_in(tuned: TunedArm, tuning: Tuning, trial: TrialFindings) -> TrialFindings:
    """Return a trial as it counts for its arm; not at all in a block for which the arm was not tuned."""
    if not tuning.again or not tuned.carried or trial.block in tuning.again:
        return trial
    return TrialFindings(
        trial.block, trial.fingerprint, "missing", tr("the arm was not tuned for this block: run --tune-again with it")
    )
