"""Lay findings out as tables of text; nothing here is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from eailab.findings.arm import ArmFindings
from eailab.findings.study import StudyFindings
from eailab.findings.trial import FAILED, TrialFindings, TrialState
from eailab.findings.words import NOTHING, confidence, interval, number, signed
from eailab.metrics import NO_SPLIT, SPLITS, TEST, Metric, by_quantity
from eailab.stats.model import compare
from eailab.stats.verdict import SINGLE_LOOK
from eailab.studies.design import Study
from eailab.translation import Text, capitalized, joined, tr

NOTE = tr("note")
"""Heads the last column of a table whose rows need words."""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    heading: str
    is_number: bool = False
    narrow: str | None = ""
    """The heading where space is short; empty for the same, None for a column that is then left out."""
    is_name: bool = False
    """Whether a narrow terminal may leave out the middle of a cell, since another command shows it in full."""


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of a row names it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Fact:
    """One thing that a claim rests on."""

    name: str
    sentence: str


STATES: dict[TrialState, Text] = {
    "finished": tr("finished"),
    **FAILED,
    "unfinished": tr("not finished"),
    "missing": tr("not started"),
    "damaged": tr("damaged"),
    "spared": tr("not needed"),
    "absent": tr("no run"),
}
"""What a cell or a sentence calls the states of a trial."""


def with_unit(heading: str, unit: str) -> str:
    """Return a heading with the unit of its column.

    >>> with_unit(tr("mean"), "%"), with_unit(tr("mean"), "")
    ('mean (%)', 'mean')
    """
    return tr("{heading} ({unit})", heading=heading, unit=unit) if unit else heading


def main_table(findings: StudyFindings, decimals: int | None = None) -> Table:
    """Return the table that answers: arms against the baseline, or the scores of a single trial.

    Values have `decimals`, those of the study itself where not given.
    """
    if findings.factor is None:
        return _scores_table(findings)
    return _arms_table(findings, findings.decimals if decimals is None else decimals)


def blocks_table(findings: StudyFindings) -> Table:
    """Return the metric of every trial, gaps in words: the numbers behind the dots of the interval plot."""
    digits = findings.decimals
    return Table(
        columns=(
            Column(findings.heading or tr("trial")),
            *(
                Column(tr("block {block}", block=n) if findings.is_blocked else tr("run {n}", n=n), is_number=True)
                for n in findings.blocks
            ),
        ),
        rows=tuple((arm_name(arm), *(_cell(one, digits) for one in arm.trials)) for arm in findings.arms),
    )


def _cell(trial: TrialFindings, digits: int) -> str:
    """Return the metric of a trial, or why it has none; of one that collapsed both."""
    if trial.collapsed_value is not None:
        return tr("{value}, collapsed", value=number(trial.collapsed_value, digits))
    return number(trial.value, digits) if trial.value is not None or trial.state == "finished" else STATES[trial.state]


def _arms_table(findings: StudyFindings, digits: int) -> Table:
    measure, test = findings.measure, _test_column(findings)
    return Table(
        columns=(
            Column(findings.heading),
            _mean_column(measure),
            Column(with_unit(tr("SD"), measure.difference_unit), is_number=True, narrow=None),
            difference_column(measure),
            interval_column(findings.levels),
            Column(tr("verdict")),
            *(
                Column(with_unit(one.title, one.unit), is_number=True, narrow=f"test {one.unit}".rstrip())
                for one in test
            ),
            Column(tr("trials"), is_number=True, narrow=None),
            Column(NOTE, narrow=None),
        ),
        rows=tuple(_arm_row(arm, digits, test) for arm in findings.arms),
    )


def paper_table(findings: StudyFindings, decimals: int | None = None) -> Table:
    """Return the main table as one column of a paper has room for: without SD and number of trials, in short words."""
    whole = main_table(findings, decimals)
    if findings.factor is None:
        return whole
    test = _test_column(findings)
    columns = (
        Column(capitalized(findings.spoken_factor)),
        whole.columns[1],
        Column(with_unit(tr("diff."), findings.measure.difference_unit), is_number=True),
        *whole.columns[4:6],
        *(Column(with_unit(SPLITS[TEST], one.unit), is_number=True) for one in test),
        whole.columns[-1],
    )
    return Table(columns, tuple((*row[:2], *row[3 : 6 + len(test)], row[-1]) for row in whole.rows))


def _test_column(findings: StudyFindings) -> list[Metric]:
    """Return the metric of the column of test values; none where trials finish without one."""
    has_none = all(arm.test is None for arm in findings.arms) and any(arm.finished for arm in findings.arms)
    return [] if findings.test_metric is None or has_none else [findings.test_metric]


def interim_table(
    study: Study,
    values: Sequence[Sequence[float]],
    diverged: Sequence[Sequence[bool]],
    timed_out: Sequence[Sequence[bool]],
    collapsed: Sequence[Sequence[bool]],
) -> Table:
    """Return what the trials show that have ended while others are trained: no verdict is given before all have.

    Values are in the unit shown, of each arm in each block; NaN where there is none yet.
    """
    measure, digits = study.measure, study.measure.decimals
    margin = study.margin * measure.margin_scale
    found = compare(
        np.array(values).T,
        study.baseline,
        margin,
        measure.higher_is_better,
        diverged=np.array(diverged).T,
        timed_out=np.array(timed_out).T,
        collapsed=np.array(collapsed).T,
        outlooks=False,
    )
    return Table(
        columns=(_mean_column(measure), difference_column(measure), interval_column([SINGLE_LOOK])),
        rows=tuple(
            (
                number(one.mean, digits),
                NOTHING if index == study.baseline else signed(one.difference, digits),
                interval(one.interval95, digits),
            )
            for index, one in enumerate(found.arms)
        ),
    )


def interval_column(levels: Sequence[float]) -> Column:
    """Return the head of a column of intervals at some levels."""
    narrow = "interval" if len(levels) > 1 else ""
    return Column(tr("{confidence} interval", confidence=confidence(levels)), is_number=True, narrow=narrow)


def _mean_column(measure: Metric) -> Column:
    return Column(with_unit(tr("mean"), measure.unit), is_number=True, narrow=f"mean {measure.unit}".rstrip())


def difference_column(measure: Metric) -> Column:
    """Return the head of a column of differences."""
    heading = with_unit(tr("difference"), measure.difference_unit)
    return Column(heading, is_number=True, narrow=measure.with_unit("diff."))


def _arm_row(arm: ArmFindings, digits: int, test: Sequence[Metric]) -> tuple[str, ...]:
    result = arm.against_baseline
    assert result is not None  # noqa: S101 - a study with a factor is compared
    finished, asked = len(arm.finished), len(arm.trials) - arm.count("spared", "absent")
    if not asked:  # of an arm that was published as a mean
        finished = asked = result.trials
    return (
        arm_name(arm),
        number(result.mean, digits),
        number(result.sd, digits),
        NOTHING if arm.is_baseline else signed(result.difference, digits),
        NOTHING if arm.is_baseline else interval(result.interval, digits),
        result.verdict or NOTHING,
        *(number(arm.test, one.decimals) for one in test),
        str(finished) if finished == asked else tr("{n} of {total}", n=finished, total=asked),
        joined(arm.notes),
    )


def _scores_table(findings: StudyFindings) -> Table:
    """Return the last values of a single trial, or their means over the trials of several blocks."""
    trials = findings.arms[0].trials
    has_none = not any(trial.final for trial in trials)
    quantities = {
        quantity: by_split
        for quantity, by_split in by_quantity(findings.metrics).items()
        if has_none or any(metric.key in trial.final for metric in by_split.values() for trial in trials)
    }

    def cell(metric: Metric | None) -> str:
        key = "" if metric is None else metric.key
        values = [trial.final[key] for trial in trials if key in trial.final and not trial.has_failed]
        return number(fmean(values), metric.decimals) if metric is not None and values else NOTHING

    def heading(quantity: str) -> str:
        unit = next(iter(quantities[quantity].values())).unit
        return with_unit(quantity if len(trials) == 1 else tr("mean {quantity}", quantity=quantity), unit)

    places = SPLITS | {NO_SPLIT: tr("after the last epoch") if findings.counted is None else tr("at the end")}
    found = [place for place in places if any(place in own for own in quantities.values())]
    first = Column(tr("when") if found == [NO_SPLIT] else tr("split"))
    return Table(
        columns=(first, *(Column(heading(quantity), is_number=True) for quantity in quantities)),
        rows=tuple((places[place], *(cell(own.get(place)) for own in quantities.values())) for place in found),
    )


def arm_name(arm: ArmFindings) -> str:
    """Return an arm's label, the baseline's marked."""
    return tr("{arm} (baseline)", arm=arm.label) if arm.is_baseline else arm.label
