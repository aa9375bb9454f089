"""Describe the figure of the arms' differences from the baseline; see `figures` for what a description is."""

from eailab.findings.arm import ArmFindings
from eailab.findings.study import StudyFindings
from eailab.findings.trial import FAILED
from eailab.findings.words import confidence, interval, measured, signed
from eailab.metrics import Metric
from eailab.report.axes import spanning
from eailab.report.figures import IntervalRow, IntervalsFigure, Look, looks
from eailab.stats.verdict import Verdict
from eailab.translation import Text, capitalized, joined, tr, trn

MOST_DOTS = 500
"""Of an arm: more would only be a bar."""


def study_intervals(findings: StudyFindings) -> IntervalsFigure:
    """Describe the differences of a study with a factor, of which one trial or more has a value."""
    measure, digits, margin = findings.measure, findings.decimals, findings.margin
    rows = tuple(
        _interval_row(findings, arm, look, digits)
        for arm, look in zip(findings.arms, looks(findings), strict=True)
        if not arm.is_baseline and arm.against_baseline is not None
    )
    return IntervalsFigure(
        tr(
            "{factor}: difference from {baseline}",
            factor=capitalized(findings.spoken_factor),
            baseline=findings.baseline_arm.label,
        ),
        joined([findings.name, compared(findings)]),
        rows,
        margin,
        spanning([0.0, -margin, margin, *(value for row in rows for value in (*row.blocks, *(row.interval or ())))]),
        tr("difference in {measure} ({notes})", measure=measure.title, notes=axis_notes(measure)),
        intervals_key(findings),
    )


def compared(findings: StudyFindings) -> Text:
    """Say how many blocks there are, and what the baseline's mean is."""
    result = findings.baseline_arm.against_baseline
    mean = None if result is None else result.mean
    value = (
        tr("has no value")
        if mean is None
        else tr("mean {value}", value=measured(mean, findings.decimals, findings.measure))
    )
    baseline = tr("baseline {value}", value=value)
    return joined([trn("{n} block", "{n} blocks", len(findings.blocks)), baseline]) if findings.is_blocked else baseline


def axis_notes(measure: Metric) -> Text:
    """Say in which unit differences are, and which way is better."""
    better = tr("right is better") if measure.higher_is_better else tr("left is better")
    return joined([*([measure.difference_words] if measure.difference_words else []), better])


def intervals_key(findings: StudyFindings) -> Text:
    """Say what the marks of differences mean."""
    margin = findings.measure.with_unit(f"{findings.margin:g}")
    return joined(
        [
            tr("bar: simultaneous {confidence} interval", confidence=confidence(findings.levels)),
            *_dots_in_words(findings),
            *([tr("shaded: margin ±{margin}", margin=margin)] if findings.margin else []),
        ]
    )


def _dots_in_words(findings: StudyFindings) -> list[Text]:
    """Say what the dots are; nothing where there are too many to draw."""
    if len(findings.blocks) > MOST_DOTS:
        return []
    return [tr("dots: single blocks") if findings.is_blocked else tr("dots: single runs, less the baseline's mean")]


def _dots(findings: StudyFindings, arm: ArmFindings) -> tuple[float, ...]:
    """Return an arm's differences from the baseline in each block; without blocks, its runs' from the mean there."""
    baseline = findings.baseline_arm
    if len(findings.blocks) > MOST_DOTS:
        return ()
    if findings.is_blocked:
        pairs = zip(arm.trials, baseline.trials, strict=True)
        return tuple(a.value - b.value for a, b in pairs if a.value is not None and b.value is not None)
    mean = baseline.against_baseline.mean if baseline.against_baseline else None
    return () if mean is None else tuple(value - mean for value in arm.values)


def _interval_row(findings: StudyFindings, arm: ArmFindings, look: Look, digits: int) -> IntervalRow:
    result = arm.against_baseline
    assert result is not None  # noqa: S101 - rows are made of compared arms
    lost = [(n, failed) for state, failed in FAILED.items() if (n := arm.count(state))]
    bounds = f" {interval(result.interval, digits)}" if result.interval is not None else ""
    has_value = result.difference is not None
    return IntervalRow(
        arm.label,
        look,
        _dots(findings, arm),
        result.difference,
        result.interval,
        (result.verdict or Verdict.SCREEN) if has_value else tr("no value"),
        f"{signed(result.difference, digits)}{bounds}" if has_value else "",
        joined(tr("{n} of {total} {failed}", n=n, total=len(arm.trials), failed=failed) for n, failed in lost),
    )
