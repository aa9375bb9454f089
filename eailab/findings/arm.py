"""Describe one level of a study's factor: its trials, its result against the baseline, and what limits it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eailab.engines.schedules import rates_by_epoch
from eailab.findings.brought import translatable
from eailab.findings.looks import Looks, looked
from eailab.findings.trial import FAILED, Curves, TrialFindings, TrialState, went_the_same
from eailab.findings.words import decimals_for, interval, signed
from eailab.metrics import Metric
from eailab.recipe.base import Recipe
from eailab.recipe.override import tells_something
from eailab.stats.model import ArmResult
from eailab.stats.new_images import NewImages
from eailab.stats.p_values import failure_bound
from eailab.stats.verdict import MOST_BLOCKS, Verdict, next_level, within
from eailab.studies.design import Study
from eailab.studies.preregistration import Standing
from eailab.studies.storage import StudyRecord
from eailab.translation import Text, tr


@dataclass(frozen=True)
class ArmFindings:
    """One level of the factor."""

    label: str
    is_baseline: bool
    trials: tuple[TrialFindings, ...]
    """One a block, in the study's order."""
    against_baseline: ArmResult | None
    """Mean, difference, interval and verdict of the metric; None for the arm of a single trial."""
    test: float | None
    """Mean of the study's `test_metric` over the finished trials."""
    updates: int | None
    """Optimizer steps of a trial; None of an engine without a data set."""
    updates_change: float
    """Of the updates, relative to the baseline's: -0.5 for half as many."""
    brought: tuple[Text, ...]
    """Settings that come with the level; one sentence each."""
    damage: tuple[Text, ...]
    """Which of its trials, and of the baseline's, its verdict lacks because they are damaged; a sentence each."""
    new_images: NewImages | None
    """Of its difference from the baseline; None where that is not known."""
    only_here: tuple[Text, ...]
    """That its verdict holds for the images of the study and may not for new ones; nothing where it does."""
    notes: tuple[Text, ...]
    """What a reader of the row must know; damage and images too."""
    learning_rates: tuple[float, ...]
    """At the end of each epoch, by the recipe's schedule; empty of an engine without one."""
    curves: Curves | None
    """Mean over the finished trials, which all have the same epochs; None where there is none."""

    @property
    def finished(self) -> list[TrialFindings]:
        """Return the trials that were trained to their end."""
        return [trial for trial in self.trials if trial.state == "finished"]

    @property
    def values(self) -> list[float]:
        """Return the values of the trials that have one, in the order of their blocks."""
        return [trial.value for trial in self.trials if trial.value is not None]

    def count(self, *states: TrialState) -> int:
        """Return the number of trials in any of these states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def failure_bound(self) -> float | None:
        """Return the share of its trials that may fail, at 95% confidence; None before any has ended."""
        return failure_bound(self.failed, self.ended) if self.ended else None

    @property
    def ended(self) -> int:
        """Return the number of trials that were trained to their end, or to where they failed."""
        return sum(trial.has_outcome for trial in self.trials)

    @property
    def failed(self) -> int:
        """Return the number of trials that diverged, collapsed or timed out."""
        return self.count(*FAILED)


def arm_findings(
    record: StudyRecord,
    index: int,
    by_arm: Sequence[tuple[TrialFindings, ...]],
    against_baseline: ArmResult | None,
    stands: Standing | None,
    looks: Looks | None,
    test_metric: Metric | None,
    widened: NewImages | None,
) -> ArmFindings:
    """Return what is found in one arm of a study; a single trial is not compared with a baseline.

    `by_arm` has the trials of all arms, block by block. The arm's row has the mean of `test_metric`, and `widened`, its
    difference for new images.
    """
    # What its trials show.
    study = record.study
    arm, baseline, trials = study.arms[index], study.arms[study.baseline], by_arm[index]
    brought = tuple(map(translatable, filter(tells_something, arm.brought)))
    damage = _damage(trials, by_arm[study.baseline] if index != study.baseline else ())
    change = record.updates_change(index)
    finished = [trial for trial in trials if trial.state == "finished"]
    only_here = _only_here(against_baseline, widened, study)
    tests = [trial.final[test_metric.key] for trial in finished if test_metric and test_metric.key in trial.final]

    # The row, with what a reader must know of it.
    return ArmFindings(
        label=arm.label,
        is_baseline=index == study.baseline and study.factor is not None,
        trials=trials,
        against_baseline=against_baseline,
        test=float(np.mean(tests)) if tests else None,
        updates=record.updates[index],
        updates_change=change,
        brought=brought,
        damage=damage,
        new_images=widened,
        only_here=only_here,
        notes=(
            *_gaps(trials),
            *_with_collapsed(against_baseline, study.measure),
            *damage,
            *only_here,
            *([] if study.hold == "updates" else _coupling(change, arm.recipe.epochs == baseline.recipe.epochs)),
            *brought,
            *_same_training(record, index, by_arm),
            *([] if looks is None or index == study.baseline else looked(looks, index)),
            *(
                []
                if looks is not None and looks.planned
                else _outlook(
                    against_baseline,
                    arm.recipe.shares_seeds,
                    has_failed=any(one.has_failed for one in (*trials, *by_arm[study.baseline])),
                )
            ),
            *([] if index == study.baseline else _post_hoc(stands)),
        ),
        learning_rates=_learning_rates(arm.recipe, record.updates[index]),
        curves=_mean([trial.drawn for trial in finished]),
    )


def _learning_rates(recipe: Recipe, updates: int | None) -> tuple[float, ...]:
    return () if recipe.images is None or not updates else rates_by_epoch(recipe.images, updates)


def _gaps(trials: Sequence[TrialFindings]) -> list[Text]:
    """Say which trials have no value, and why."""
    notes = []
    count = Counter(trial.state for trial in trials)
    total = len(trials) - count["absent"]
    for state, said in FAILED.items():
        if n := count[state]:
            notes.append(
                tr("{n} of {total} {failed}: numbers are of the others", n=n, total=total, failed=said)
                if n < total
                else tr("{n} of {total} {failed}", n=n, total=total, failed=said)
            )
    if n := count["unfinished"] + count["missing"]:
        notes.append(tr("{n} of {total} not finished", n=n, total=total))
    if n := sum(trial.state == "finished" and trial.value is None for trial in trials):
        notes.append(tr("{n} of {total} finished without a value of the metric", n=n, total=total))
    return notes


def _with_collapsed(result: ArmResult | None, measure: Metric) -> list[Text]:
    """Give the difference as it is when trials that collapsed count like others."""
    if result is None or result.difference_with_collapsed is None:
        return []
    bounds = result.interval95_with_collapsed
    digits = decimals_for([bounds] if bounds else [], measure.decimals)
    size = measure.with_unit(signed(result.difference_with_collapsed, digits))
    size += f" {interval(bounds, digits)}" if bounds else ""
    return [tr("with those that collapsed, the difference is {size}", size=size)]


def _damage(trials: Sequence[TrialFindings], baseline: Sequence[TrialFindings]) -> tuple[Text, ...]:
    """Say which trials a verdict lacks because they are damaged."""
    own, others = ([trial.block for trial in row if trial.state == "damaged"] for row in (trials, baseline))
    return (
        *(tr("without block {block}, which is damaged", block=block) for block in own),
        *(tr("without block {block} of the baseline, which is damaged", block=block) for block in others),
    )


def _only_here(result: ArmResult | None, widened: NewImages | None, study: Study) -> tuple[Text, ...]:
    """Say where a verdict is of these images and the interval for new ones does not bear it out."""
    if result is None or widened is None or result.verdict is None:
        return ()
    measure, margin = study.measure, study.margin * study.measure.margin_scale
    digits = decimals_for([widened.interval], measure.decimals)
    values = {
        "verdict": result.verdict.value,
        "n": widened.images,
        "size": measure.with_unit(interval(widened.interval, digits)),
    }
    if result.verdict in (Verdict.BETTER, Verdict.WORSE) and widened.interval[0] <= 0.0 <= widened.interval[1]:
        return (tr("{verdict} on these {n:,} images; for new images the interval includes 0: {size}", **values),)
    if result.verdict is Verdict.SAME and not within(widened.alike, margin):
        return (tr("{verdict} on these {n:,} images; for new images the difference may be larger: {size}", **values),)
    return ()


def _coupling(change: float, epochs_held: bool) -> list[Text]:
    """Say when a level changes the number of updates by itself."""
    if change == 0.0:
        return []
    if epochs_held:
        return [tr("updates {change:+.0%} (epochs held)", change=change)]
    return [tr("updates {change:+.0%}", change=change)]


def _same_training(record: StudyRecord, index: int, by_arm: Sequence[Sequence[TrialFindings]]) -> list[Text]:
    """Name the arm whose trials went the same; of several, the baseline or the first."""
    study = record.study
    others = () if index == study.baseline else (study.baseline, *range(index))
    alike = next((other for other in others if went_the_same(by_arm[index], by_arm[other])), None)
    if alike is None:
        return []
    arm = study.arms[alike].label
    if record.imported is not None:  # whose training is not known
        return [tr("the same values as {arm} in every run", arm=arm)]
    return [tr("the same training as {arm}: all its numbers are equal", arm=arm)]


def _outlook(result: ArmResult | None, shares_seeds: bool, *, has_failed: bool) -> list[Text]:
    """Say what qualifies a verdict, and what would decide an open one."""
    if result is None or result.verdict is None:
        return []
    notes = [result.withheld] if result.withheld else []
    if result.verdict is Verdict.SCREEN:
        notes.append(
            tr("too few blocks shared with the baseline for a verdict")
            if shares_seeds
            else tr("too few runs for a verdict: it takes two of this arm and of the baseline")
        )
    elif result.verdict is Verdict.UNDECIDED and not result.withheld:
        if result.trials == 2 and shares_seeds:
            notes.append(tr("two blocks leave one degree of freedom, so the interval is very wide"))
        notes += [] if has_failed else [_promise(result, shares_seeds)]
    elif result.within_margin and result.verdict is not Verdict.SAME:
        notes.append(tr("smaller than the margin"))
    return notes


def _promise(result: ArmResult, shares_seeds: bool) -> Text:
    """Say how many blocks, or runs of each arm, are likely to decide an open arm when the study is judged again."""
    values = {
        "level": next_level(result.level),
        "even": result.blocks_needed,
        "likely": result.blocks_likely,
        "most": MOST_BLOCKS,
    }
    if result.blocks_needed is None:
        return (
            tr("judged again, no even chance of a verdict within {most} blocks", **values)
            if shares_seeds
            else tr("judged again, no even chance of a verdict within {most} runs of each arm", **values)
        )
    if result.blocks_likely is None:
        return (
            tr("judged again (at {level:.2%}), an even chance of a verdict with about {even} blocks in all", **values)
            if shares_seeds
            else tr(
                "judged again (at {level:.2%}), an even chance of a verdict with about {even} runs of each arm",
                **values,
            )
        )
    return (
        tr(
            "judged again (at {level:.2%}), an even chance of a verdict with about {even} blocks in all, four in five "
            "with about {likely}",
            **values,
        )
        if shares_seeds
        else tr(
            "judged again (at {level:.2%}), an even chance of a verdict with about {even} runs of each arm, four in "
            "five with about {likely}",
            **values,
        )
    )


def _post_hoc(stands: Standing | None) -> list[Text]:
    """Mark what no frozen plan names, where a plan was ever frozen."""
    if stands is None or not stands.post_hoc:
        return []
    return [tr("post hoc") if stands.plan is None else tr("partly post hoc")]


def _mean(curves: Sequence[Curves]) -> Curves | None:
    """Average curves at the epochs that all of them have, as far as all of them go."""
    if not curves:
        return None
    shortest = min(curves, key=lambda one: len(one.epochs))
    common = set(shortest.epochs).intersection(*(one.epochs for one in curves))
    places = [[place for place, epoch in enumerate(one.epochs) if epoch in common] for one in curves]

    def average(key: str) -> tuple[float | None, ...]:
        rows = [[one.values[key][place] for place in own] for one, own in zip(curves, places, strict=True)]
        means = np.mean(np.array(rows, dtype=np.float64), axis=0).tolist()
        return tuple(None if math.isnan(mean) else mean for mean in means)

    shared = [key for key in shortest.values if all(key in one.values for one in curves)]
    return Curves(tuple(sorted(common)), {key: average(key) for key in shared}, shortest.axis)
