"""Findings as tables of plain text; nothing here is escaped."""

from dataclasses import dataclass
from statistics import fmean

from eailab.findings.arm import ArmFindings
from eailab.findings.numbers import NOTHING, decimals, interval, number, signed
from eailab.findings.study import StudyFindings
from eailab.findings.trial import TrialFindings
from eailab.translation import joined

NOTE = "note"
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

    @property
    def sentences(self) -> tuple[str, ...]:
        """What it says, sentence by sentence."""
        return (self.sentence,)


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""


# --- tables ----------------------------------------------------------------------------------------------------------


def main_table(findings: StudyFindings) -> Table:
    """Return the table that answers: arms against the baseline, or the scores of a single trial."""
    return _scores_table(findings) if findings.factor is None else _arms_table(findings)


def blocks_table(findings: StudyFindings) -> Table:
    """Return the metric of every trial, gaps in words: the numbers behind the dots of the interval plot."""
    digits = decimals(findings)
    return Table(
        columns=(
            Column(findings.heading or "trial"),
            *(Column(f"block {block}", is_number=True) for block in findings.blocks),
        ),
        rows=tuple((arm_name(arm), *(_value_or_state(trial, digits) for trial in arm.trials)) for arm in findings.arms),
    )


def _arms_table(findings: StudyFindings) -> Table:
    measure, digits = findings.measure, decimals(findings)
    in_unit = _in(measure.difference_unit)
    return Table(
        columns=(
            Column(findings.heading),
            Column(f"mean{_in(measure.unit)}", is_number=True, narrow=f"mean {measure.unit}".rstrip()),
            Column(f"SD{in_unit}", is_number=True, narrow=None),
            Column(f"difference{in_unit}", is_number=True, narrow=measure.with_unit("diff.")),
            Column("95% interval", is_number=True),
            Column("verdict"),
            Column("test accuracy (%)", is_number=True, narrow="test %"),
            Column("trials", is_number=True, narrow=None),
            Column(NOTE, narrow=None),
        ),
        rows=tuple(_arm_row(arm, digits) for arm in findings.arms),
    )


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
        str(finished) if finished == asked else f"{finished} of {asked}",
        joined(arm.notes),
    )


def _scores_table(findings: StudyFindings) -> Table:
    """Return the last scores of a single trial, or their means over the trials of several blocks."""
    trials = findings.arms[0].trials
    splits = {
        "training": [trial.train for trial in trials],
        "validation": [trial.validation for trial in trials],
        "test": [trial.test for trial in trials],
    }
    mean = "mean " if len(trials) > 1 else ""
    rows = []
    for name, found in splits.items():
        scores = [one for one in found if one is not None]
        rows.append(
            (name, f"{fmean(one.loss for one in scores):.4f}", f"{fmean(one.accuracy for one in scores):.2f}")
            if scores
            else (name, NOTHING, NOTHING)
        )
    return Table(
        columns=(Column("split"), Column(f"{mean}loss", is_number=True), Column(f"{mean}accuracy (%)", is_number=True)),
        rows=tuple(rows),
    )


def arm_name(arm: ArmFindings) -> str:
    """Return an arm's label, the baseline's marked."""
    return f"{arm.label} (baseline)" if arm.is_baseline else arm.label


def _value_or_state(trial: TrialFindings, digits: int) -> str:
    if trial.value is not None:
        return number(trial.value, digits)
    words = {"unfinished": "not finished", "missing": "not started", "spared": "not needed"}
    return words.get(trial.state, trial.state)
