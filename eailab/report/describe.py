"""Describe the figures of a study, a trial and a path ablation; see `figures` for what a description is."""

from collections.abc import Sequence
from math import isfinite

from eailab.findings.arm import ArmFindings
from eailab.findings.costs import ArmCost
from eailab.findings.numbers import decimals, interval, number, signed
from eailab.findings.path import PathFindings, path_decimals
from eailab.findings.study import StudyFindings
from eailab.findings.tables import arm_name, with_unit
from eailab.findings.trial import Curves
from eailab.report.figures import (
    TITLES,
    Axis,
    Bar,
    BarsFigure,
    CurvesFigure,
    IntervalRow,
    IntervalsFigure,
    Line,
    Lone,
    Look,
    Panel,
    Point,
    PointsFigure,
    looks,
    spanning,
)
from eailab.stats.verdict import Verdict
from eailab.translation import BETWEEN_SENTENCES, COLON, capitalized, joined, tr, trn

LOG_FROM = 20.0
"""Losses that span more than this factor are printed on a logarithmic axis."""

EARLY = 0.15
"""Share of the epochs whose accuracies may lie below the axis: the later ones, which tell arms apart, fill it."""


def trial_curves(curves: Curves, title: str) -> CurvesFigure:
    """Describe the loss and the accuracy of one trial by epoch, training against validation."""
    losses = [Line(values) for values in (curves.train_loss, curves.validation_loss)]
    accuracies = [Line(values) for values in (curves.train_accuracy, curves.validation_accuracy)]
    return CurvesFigure(
        title,
        "",
        tr(
            "loss and accuracy by epoch; after epoch {epoch}: training {training:.2f}%, validation {validation:.2f}%",
            epoch=curves.epochs[-1],
            training=curves.train_accuracy[-1],
            validation=curves.validation_accuracy[-1],
        ),
        (tr("training"), tr("validation")),
        (Look(1, 1, 1), Look(2)),
        (_panel(tr("accuracy"), "%", accuracies, accuracies), _panel(tr("loss"), "", losses, losses)),
    )


def study_curves(findings: StudyFindings) -> CurvesFigure:
    """Describe the mean curves of the arms, validation beside training on one scale, with bands over blocks."""
    if findings.planned == 1:
        return trial_curves(findings.arms[0].trials[0].curves, findings.title)
    named = {
        name: [_line(arm, name) for arm in findings.arms]
        for name in ("validation_accuracy", "train_accuracy", "validation_loss", "train_loss")
    }
    titles = (tr("validation accuracy"), tr("training accuracy"), tr("validation loss"), tr("training loss"))
    panels = []
    for title, (name, lines) in zip(titles, named.items(), strict=True):
        quantity = name.rpartition("_")[2]
        shared = [line for other, row in named.items() if other.endswith(quantity) for line in row]
        panels.append(_panel(title, "%" if quantity == "accuracy" else "", lines, shared))
    return CurvesFigure(
        tr("Learning curves by {factor}", factor=findings.spoken_factor) if findings.factor else TITLES["curves"],
        findings.name,
        _band_note(findings),
        tuple(map(_entry, findings.arms)),
        looks(findings),
        tuple(panels),
    )


def _band_note(findings: StudyFindings) -> str:
    blocks = len(findings.blocks)
    note = tr("One block.")
    if blocks > 1:
        note = tr("Line: mean of {n} blocks; band: from the lowest block to the highest.", n=blocks)
    if any(arm.count("finished") < blocks for arm in findings.arms):
        return joined((note, tr("Thin lines: trials that diverged or have not finished.")), BETWEEN_SENTENCES)
    return note


def _entry(arm: ArmFindings) -> str:
    """Return what a legend calls an arm, with the state of its trials where none has finished."""
    begun = [trial.state for trial in arm.trials if trial.state in ("diverged", "unfinished") and trial.curves.epochs]
    return joined((arm_name(arm), begun[0]), COLON) if arm.curves is None and begun else arm_name(arm)


def _line(arm: ArmFindings, name: str) -> Line:
    finished = [getattr(trial.curves, name) for trial in arm.finished]
    by_epoch = list(zip(*finished, strict=True)) if len(finished) > 1 else []
    return Line(
        () if arm.curves is None else getattr(arm.curves, name),
        tuple(map(min, by_epoch)),
        tuple(map(max, by_epoch)),
        tuple(
            Lone(getattr(trial.curves, name), trial.state == "diverged")
            for trial in arm.trials
            if trial.state in ("diverged", "unfinished") and trial.curves.epochs
        ),
    )


def _panel(title: str, unit: str, lines: Sequence[Line], shared: Sequence[Line]) -> Panel:
    """Return a panel whose axis holds all lines that share it: of losses all values, of accuracies the later ones."""
    every = [value for line in shared for values in line.series for value in values if isfinite(value)]
    if not unit:
        log = Axis(min(every) / 1.15, max(every) * 1.15, is_log=True) if min(every) > 0.0 else None
        return Panel(title, unit, tuple(lines), spanning(every), log, bool(log) and max(every) > LOG_FROM * min(every))
    early = int(EARLY * max(len(values) for line in shared for values in line.series))
    late = [value for line in shared for values in line.series for value in values[early:]]
    return Panel(title, unit, tuple(lines), spanning([*(late or every), max(every)]), None, False)


def study_intervals(findings: StudyFindings) -> IntervalsFigure:
    """Describe the differences of a study with a factor, of which one trial or more has a value."""
    measure, digits = findings.measure, decimals(findings)
    baseline, number_of_blocks = findings.baseline_arm, len(findings.blocks)
    mean = baseline.against_baseline.mean if baseline.against_baseline else None
    rows = tuple(
        _interval_row(findings, arm, look, digits)
        for arm, look in zip(findings.arms, looks(findings), strict=True)
        if not arm.is_baseline and arm.against_baseline is not None
    )
    margin = findings.margin
    return IntervalsFigure(
        tr("{factor}: difference from {baseline}", factor=capitalized(findings.spoken_factor), baseline=baseline.label),
        trn(
            "{name}; {n} block; baseline {value}",
            "{name}; {n} blocks; baseline {value}",
            number_of_blocks,
            name=findings.name,
            value=tr("has no value")
            if mean is None
            else tr("mean {value}", value=f"{number(mean, digits)}{measure.unit}"),
        ),
        rows,
        margin,
        spanning([0.0, -margin, margin, *(value for row in rows for value in (*row.blocks, *(row.interval or ())))]),
        tr(
            "difference in {measure} ({unit}; {better})",
            measure=measure.title,
            unit=measure.difference_words,
            better=tr("right is better") if measure.higher_is_better else tr("left is better"),
        ),
        tr(
            "bar: simultaneous 95% interval; dots: single blocks; shaded: margin ±{margin}",
            margin=measure.with_unit(f"{margin:g}"),
        ),
    )


def _interval_row(findings: StudyFindings, arm: ArmFindings, look: Look, digits: int) -> IntervalRow:
    result = arm.against_baseline
    assert result is not None  # noqa: S101 - rows are made of compared arms
    pairs = zip(arm.trials, findings.baseline_arm.trials, strict=True)
    lost = arm.count("diverged")
    bounds = f" {interval(result.interval95, digits)}" if result.interval95 is not None else ""
    has_value = result.difference is not None
    return IntervalRow(
        arm.label,
        look,
        tuple(a.value - b.value for a, b in pairs if a.value is not None and b.value is not None),
        result.difference,
        result.interval95,
        (result.verdict or Verdict.SCREEN) if has_value else tr("no value"),
        f"{signed(result.difference, digits)}{bounds}" if has_value else "",
        tr("{n} of {total} diverged", n=lost, total=len(arm.trials)) if lost else "",
    )


def path_bars(found: PathFindings) -> BarsFigure:
    """Describe a path ablation from one recipe to another: each step's gain from the total before it, and the gap."""
    measure, blocks = found.measure, len(found.blocks)
    digits = path_decimals(found)
    by_gain = found.order == "gain"
    order = tr("steps by largest gain, chosen on the same trials") if by_gain else tr("steps as listed")
    bars: list[Bar] = []
    before: float | None = 0.0
    for step in found.steps:
        gain = None if step.gain is None or before is None else step.gain
        look = Look(1 if step.gain is None or step.gain >= 0.0 else 2)
        bars.append(
            Bar(
                ", ".join(step.changes),
                before or 0.0,
                gain,
                step.interval95,
                look,
                step.may_be_noise,
                gain is not None and step.total is not None,
                signed(step.gain, digits),
            )
        )
        before = step.total
    whole = f"{found.names[1]} - {found.names[0]}"
    bars.append(Bar(whole, 0.0, found.gap, found.gap_interval95, Look(), False, False, signed(found.gap, digits)))
    return BarsFigure(
        tr("From {first} to {second}", first=found.names[0], second=found.names[1]),
        joined([trn("{n} block", "{n} blocks", blocks), order]),
        tuple(bars),
        tr("gain in {metric} ({unit})", metric=measure.title, unit=measure.difference_words),
        tr("lines: 95% intervals, simultaneous over the moves tried for a step; hollow: the interval includes 0"),
    )


def study_costs(findings: StudyFindings, costs: Sequence[ArmCost]) -> PointsFigure | None:
    """Describe the metric's mean over the seconds of a trial; None for fewer than two arms that have both."""
    measure, digits = findings.measure, decimals(findings)
    points = tuple(
        Point(
            arm.label,
            look,
            cost.seconds_a_trial,
            mean,
            f"{arm.label}: {cost.seconds_a_trial:.3g} s, {number(mean, digits)}",
        )
        for arm, cost, look in zip(findings.arms, costs, looks(findings), strict=True)
        if cost.seconds_a_trial and arm.against_baseline and (mean := arm.against_baseline.mean) is not None
    )
    if len(points) < 2:
        return None
    return PointsFigure(
        with_unit(measure.title, measure.unit),
        points,
        spanning([0.0, *(point.x for point in points)]),
        tr("seconds a trial"),
        spanning([point.y for point in points], 0.2),
    )


def study_figure(findings: StudyFindings, name: str) -> CurvesFigure | IntervalsFigure:
    """Describe one of a study's figures."""
    return study_intervals(findings) if name == "intervals" else study_curves(findings)
