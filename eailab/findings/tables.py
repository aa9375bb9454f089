"""Findings as tables of text; nothing here is escaped."""

from dataclasses import dataclass
from statistics import fmean

from eailab.findings.arm import ArmFindings
from eailab.findings.numbers import NOTHING, decimals, interval, number, signed
from eailab.findings.study import StudyFindings
from eailab.findings.trial import TrialState
from eailab.metrics import Metric
from eailab.translation import Text, joined, tr

NOTE = tr("note")
"""Heads the last column of a table whose rows need words."""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    heading: str
    is_number: bool = False
    narrow: str | None = ""
    """The heading where space is short; empty for the same, None for a column that is then left out."""


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
    "diverged": tr("diverged"),
    "unfinished": tr("not finished"),
    "missing": tr("not started"),
    "damaged": tr("damaged"),
    "spared": tr("not needed"),
}
"""What a cell or a sentence calls the states of a trial."""


def with_unit(heading: Text, unit: str) -> Text:
    """Return a heading with the unit of its column.

    >>> with_unit(tr("mean"), "%"), with_unit(tr("mean"), "")
    ('mean (%)', 'mean')
    """
    return tr("{heading} ({unit})", heading=heading, unit=unit) if unit else heading


def main_table(findings: StudyFindings) -> Table:
    """Return the table that answers: arms against the baseline, or the scores of a single trial."""
    return _scores_table(findings) if findings.factor is None else _arms_table(findings)


def blocks_table(findings: StudyFindings) -> Table:
    """Return the metric of every trial, gaps in words: the numbers behind the dots of the interval plot."""
    digits = decimals(findings)
    return Table(
        columns=(
            Column(findings.heading or tr("trial")),
            *(Column(tr("block {block}", block=block), is_number=True) for block in findings.blocks),
        ),
        rows=tuple(
            (
                arm_name(arm),
                *(STATES[one.state] if one.value is None else number(one.value, digits) for one in arm.trials),
            )
            for arm in findings.arms
        ),
    )


def _arms_table(findings: StudyFindings) -> Table:
    measure, digits = findings.measure, decimals(findings)
    return Table(
        columns=(
            Column(findings.heading),
            Column(with_unit(tr("mean"), measure.unit), is_number=True, narrow=f"mean {measure.unit}".rstrip()),
            Column(with_unit(tr("SD"), measure.difference_unit), is_number=True, narrow=None),
            difference_column(measure),
            Column(tr("95% interval"), is_number=True),
            Column(tr("verdict")),
            Column(with_unit(tr("test accuracy"), "%"), is_number=True, narrow="test %"),
            Column(tr("trials"), is_number=True, narrow=None),
            Column(NOTE, narrow=None),
        ),
        rows=tuple(_arm_row(arm, digits) for arm in findings.arms),
    )


def difference_column(measure: Metric) -> Column:
    """Return the head of a column of differences."""
    heading = with_unit(tr("difference"), measure.difference_unit)
    return Column(heading, is_number=True, narrow=measure.with_unit("diff."))


def _arm_row(arm: ArmFindings, digits: int) -> tuple[str, ...]:
    result = arm.against_baseline
    assert result is not None  # noqa: S101 - a study with a factor is compared
    finished, asked = len(arm.finished), len(arm.trials) - arm.count("spared")
    return (
        arm_name(arm),
        number(result.mean, digits),
        number(result.sd, digits),
        NOTHING if arm.is_baseline else signed(result.difference, digits),
        NOTHING if arm.is_baseline else interval(result.interval95, digits),
        result.verdict or NOTHING,
        number(arm.test_accuracy, 2),
        str(finished) if finished == asked else tr("{n} of {total}", n=finished, total=asked),
        joined(arm.notes),
    )


def _scores_table(findings: StudyFindings) -> Table:
    """Return the last scores of a single trial, or their means over the trials of several blocks."""
    trials = findings.arms[0].trials
    splits = (
        (tr("training"), [trial.train for trial in trials]),
        (tr("validation"), [trial.validation for trial in trials]),
        (tr("test"), [trial.test for trial in trials]),
    )
    rows = []
    for name, found in splits:
        scores = [one for one in found if one is not None]
        rows.append(
            (name, f"{fmean(one.loss for one in scores):.4f}", f"{fmean(one.accuracy for one in scores):.2f}")
            if scores
            else (name, NOTHING, NOTHING)
        )
    loss, accuracy = (tr("loss"), tr("accuracy")) if len(trials) == 1 else (tr("mean loss"), tr("mean accuracy"))
    return Table(
        columns=(
            Column(tr("split")),
            Column(loss, is_number=True),
            Column(with_unit(accuracy, "%"), is_number=True),
        ),
        rows=tuple(rows),
    )


def arm_name(arm: ArmFindings) -> str:
    """Return an arm's label, the baseline's marked."""
    return tr("{arm} (baseline)", arm=arm.label) if arm.is_baseline else arm.label
