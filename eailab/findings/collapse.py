"""Mark the trials of a study that have collapsed: trained to their end, and no better than chance."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eailab.findings.trial import TrialFindings
from eailab.metrics import LARGEST_CLASS, NO_SPLIT, VALIDATION, Metric
from eailab.stats.collapse import Chance, collapsed
from eailab.studies.storage import StudyRecord
from eailab.translation import tr

Trials = Sequence[tuple[TrialFindings, ...]]


def marked(record: StudyRecord, trials: Trials, metrics: Sequence[Metric], images: int | None) -> Trials:
    """Return a study's trials, those that have collapsed in that state and without a value.

    Whatever the study is judged by, a trial has collapsed by the first metric that it is validated by and whose chance
    level is known; where there is none, no trial has.

    Args:
        record: The study.
        trials: Of each arm, block by block.
        metrics: What they record.
        images: On how many each trial was validated; None without a data set, or where arms may differ in it.
    """
    known = chance_level(record, metrics, images)
    return trials if known is None else _marked_by(*known, trials)


def chance_level(record: StudyRecord, metrics: Sequence[Metric], images: int | None) -> tuple[Metric, Chance] | None:
    """Return by which metric a study's trials collapse, and its chance level; None where none is known."""
    for metric in metrics:
        if metric.split in (VALIDATION, NO_SPLIT) and (chance := _chance(metric, record, images)) is not None:
            return metric, chance
    return None


def _chance(metric: Metric, record: StudyRecord, images: int | None) -> Chance | None:
    """Return the chance level of a metric in the unit shown; None where it is not known."""
    if metric.chance is None or metric.minus is not None:
        return None
    if metric.chance != LARGEST_CLASS:
        return Chance(metric.scale * metric.chance, 0.0)
    if record.largest_class is None or not images:
        return None
    share = Chance.of_share(record.largest_class, images)
    return Chance(metric.scale * share.level, metric.scale * share.error)


def _marked_by(metric: Metric, chance: Chance, trials: Trials) -> Trials:
    values = np.array([[trial.final.get(metric.key, np.nan) for trial in row] for row in trials]).T
    found = collapsed(values, chance, metric.higher_is_better)
    if not found.any():
        return trials
    return [
        tuple(
            replace(
                trial,
                state="collapsed",
                reason=tr(
                    "it ended at a {metric} of {value}; chance is {chance}",
                    metric=metric.title,
                    value=metric.text(trial.final[metric.key]),
                    chance=metric.text(chance.level),
                ),
                value=None,
                collapsed_value=trial.value,
            )
            if found[place, arm]
            else trial
            for place, trial in enumerate(row)
        )
        for arm, row in enumerate(trials)
    ]


def unmarked(trials: Sequence[Sequence[TrialFindings]]) -> Trials:
    """Return a study's trials with those that have collapsed as finished ones again."""
    return [
        tuple(
            replace(trial, state="finished", value=trial.collapsed_value, collapsed_value=None)
            if trial.state == "collapsed"
            else trial
            for trial in row
        )
        for row in trials
    ]
