"""Compare the arms of a study: differences and verdicts, those of the planned blocks alone, effects and trend."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eailab.errors import StudyError
from eailab.findings.collapse import unmarked
from eailab.findings.trial import FAILED, TrialFindings, in_state, values_of, went_the_same
from eailab.stats.contrasts import Factorial, Trend, factorial, trend
from eailab.stats.model import Comparison, compare
from eailab.stats.unblocked import Sample, beating, compare_unblocked, compare_with_target
from eailab.stats.verdict import SINGLE_LOOK, Verdict
from eailab.studies.design import Study
from eailab.studies.preregistration import Standing
from eailab.studies.storage import StudyRecord
from eailab.translation import OR, joined, text_of, tr


def compare_arms(
    record: StudyRecord, trials: Sequence[Sequence[TrialFindings]], margin: float, level: float = SINGLE_LOOK
) -> Comparison:
    """Compare the arms within blocks, or as groups of runs where these share no seeds, at a level of the verdicts."""
    study, imported, measure = record.study, record.imported, record.study.measure
    higher, target = measure.higher_is_better, None if imported is None else imported.target
    if study.arms[study.baseline].recipe.shares_seeds and target is None:
        found = compare(
            values_of(trials),
            study.baseline,
            margin,
            higher,
            diverged=in_state("diverged", trials),
            collapsed=in_state("collapsed", trials),
            timed_out=in_state("timed-out", trials),
            level=level,
        )
    else:
        samples = [_sample(row) for row in trials]
        for index, about in enumerate(imported.summaries if imported else ()):
            if about is not None:
                samples[index] = Sample(about.n, about.mean * measure.scale, about.sd * measure.scale)
        found = (
            compare_unblocked(samples, study.baseline, margin, higher, level=level)
            if target is None
            else compare_with_target(samples[:-1], target * measure.scale, margin, higher)
        )
    found = found if imported is None else beating(found, imported.beat_by)
    return _with_collapsed(found, record, trials, margin) if any(arm.collapsed for arm in found.arms) else found


def _with_collapsed(
    comparison: Comparison, record: StudyRecord, trials: Sequence[Sequence[TrialFindings]], margin: float
) -> Comparison:
    """Add the differences as they are when collapsed trials count like others, where either side has some."""
    counted = compare_arms(record, unmarked(trials), margin)
    baseline = comparison.arms[comparison.baseline].collapsed
    arms = [
        replace(arm, difference_with_collapsed=other.difference, interval95_with_collapsed=other.interval95)
        if (arm.collapsed or baseline) and index != comparison.baseline
        else arm
        for index, (arm, other) in enumerate(zip(comparison.arms, counted.arms, strict=True))
    ]
    return replace(comparison, arms=tuple(arms))


def _sample(row: Sequence[TrialFindings]) -> Sample:
    """Return the runs of an arm; one that failed counts, and has no value."""
    ended = [trial.value for trial in row if trial.state in ("finished", "diverged")]
    sample = Sample.of(np.array([math.nan if value is None else value for value in ended], dtype=np.float64))
    collapsed, timed_out = (sum(trial.state == state for trial in row) for state in ("collapsed", "timed-out"))
    return replace(sample, collapsed=collapsed, timed_out=timed_out)


def without_effect(comparison: Comparison, study: Study, trials: Sequence[Sequence[TrialFindings]]) -> Comparison:
    """Withhold the verdict on an arm of a program whose numbers are all those of the baseline.

    Two commands that differ and train the same are a factor that did not reach the program, not one without effect.
    """
    arms = [
        replace(
            arm, verdict=Verdict.UNDECIDED, withheld=tr("{factor} seems to have no effect", factor=study.factor.word)
        )
        if study.factor and index != study.baseline and went_the_same(trials[index], trials[study.baseline])
        else arm
        for index, arm in enumerate(comparison.arms)
    ]
    return replace(comparison, arms=tuple(arms))


def planned_verdicts_of(
    record: StudyRecord, trials: Sequence[Sequence[TrialFindings]], stands: Standing | None, margin: float, level: float
) -> tuple[tuple[str, Verdict], ...]:
    """Return what the planned blocks say by themselves, at a level, where a study has others too."""
    if stands is None or stands.plan is None or not stands.post_hoc:
        return ()
    planned = [[trial for trial in row if trial.block not in stands.post_hoc] for row in trials]
    if not planned[0]:
        return ()
    found = compare_arms(record, planned, margin, level)
    return tuple(
        (arm.label, result.verdict)
        for arm, result in zip(record.study.arms, found.arms, strict=True)
        if result.verdict is not None
    )


def effects_of(study: Study, trials: Sequence[Sequence[TrialFindings]]) -> tuple[Factorial | None, str | None]:
    """Return the effects of a factorial, and why it has none."""
    if not study.axes:
        return None, None
    states = {trial.state for row in trials for trial in row}
    if failed := [said for state, said in FAILED.items() if state in states]:
        how = joined(failed, OR)
        return None, tr("trials {failed}, and a mean over the others would flatter their arms", failed=how)
    values = values_of(trials).reshape(len(study.blocks), *(len(axis.levels) for axis in study.axes))
    factors = []
    for number, axis in enumerate(study.axes, start=1):
        order = [axis.baseline, *(level for level in range(len(axis.levels)) if level != axis.baseline)]
        values = np.take(values, order, axis=number)
        factors.append((str(axis.factor), [axis.levels[level] for level in order]))
    try:
        effects = factorial(values, factors)
    except StudyError as error:
        return None, text_of(error)
    return effects, None if effects else tr("nothing varies within the blocks")


def trend_of(study: Study, trials: Sequence[Sequence[TrialFindings]]) -> Trend | None:
    """Return the slope over an ordered factor of three or more levels; None of another, and where trials failed."""
    levels = [arm.level for arm in study.arms]
    ordered = len(levels) >= 3 and all(type(level) in (int, float) and level > 0 for level in levels)
    if not ordered or not study.arms[0].recipe.shares_seeds or any(trial.has_failed for row in trials for trial in row):
        return None
    return trend(values_of(trials), levels, study.baseline)
