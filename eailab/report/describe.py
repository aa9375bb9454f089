"""Describe the figures of a study, a trial and a path ablation; see `figures` for what a description is."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, nan

from eailab.findings.arm import ArmFindings
from eailab.findings.costs import ArmCost
from eailab.findings.path import PathFindings, changes_in_words, path_decimals
from eailab.findings.study import StudyFindings
from eailab.findings.tables import STATES, arm_name, with_unit
from eailab.findings.trial import FAILED, Curves, TrialState
from eailab.findings.words import number, signed
from eailab.metrics import NO_SPLIT, SPLITS, TRAIN, VALIDATION, Metric, SplitName, by_quantity, recorded
from eailab.report.axes import spanning, spanning_log
from eailab.report.describe_intervals import study_intervals
from eailab.report.describe_tuning import study_search
from eailab.report.figures import (
    TITLES,
    Bar,
    BarsFigure,
    CurvesFigure,
    IntervalsFigure,
    Line,
    Lone,
    Look,
    Panel,
    Point,
    PointsFigure,
    SearchFigure,
    compared_by_epoch,
    looks,
)
from eailab.translation import BETWEEN_SENTENCES, COLON, COMMA, Text, capitalized, joined, listed_and, tr, trn

LOG_FROM = 20.0
"""Values that span more than this factor are printed on a logarithmic axis, where lower is better."""

EARLY = 0.15
"""Share of the epochs whose values may lie below the axis of a bounded metric: the later ones, which tell arms apart,
fill it."""

THIN: tuple[TrialState, ...] = (*FAILED, "unfinished")
"""States of trials whose curves are thin lines of their own, and part of no mean."""


def trial_curves(
    curves: Curves, metrics: Sequence[Metric], headline: Metric, title: str, rates: Sequence[float] = ()
) -> CurvesFigure:
    """Describe what one trial records by epoch, training against validation, and its learning rate if that moves."""
    quantities, steps = _drawn(metrics, headline, [curves]), _steps([curves], rates)
    splits = [split for split in LOOKS if any(split in by_split for by_split in quantities.values())]
    panels = []
    for quantity, by_split in quantities.items():
        lines = [Line(_values(curves, by_split.get(split), steps)) for split in splits]
        panels.append(_panel(quantity, next(iter(by_split.values())), lines, lines))
    panels += _rate_panel([Line(())] * len(splits), [_rate_line(rates)]) if _moves(rates) else []
    if _moves(rates):
        panels[:-1] = [replace(panel, lines=(*panel.lines, Line(()))) for panel in panels[:-1]]
    last = {
        split: tr("{split} {value}", split=PLACES[split], value=metric.text(values[-1]))
        for split, metric in next(iter(quantities.values())).items()
        if isfinite((values := _values(curves, metric, steps))[-1])
    }
    return CurvesFigure(
        title,
        "",
        tr(
            "{quantities} by {axis}; after {axis} {number}: {values}",
            quantities=listed_and(list(quantities)),
            axis=AXES[curves.axis],
            number=curves.epochs[-1],
            values=joined(last.values(), COMMA),
        ),
        (*(PLACES[split] for split in splits), *([RATE] if _moves(rates) else [])),
        (*(LOOKS[split] for split in splits), *([Look()] if _moves(rates) else [])),
        tuple(panels),
        steps,
        AXES[curves.axis],
        LINES,
    )


def _steps(curves: Sequence[Curves], *rates: Sequence[float]) -> tuple[int, ...]:
    """Return the epochs or steps that curves are drawn over; learning rates have one for each epoch from 1."""
    longest = max(map(len, rates), default=0)
    return tuple(sorted(set(range(1, longest + 1)).union(*(one.epochs for one in curves))))


def _axis(curves: Sequence[Curves]) -> Text:
    return AXES["step" if any(one.axis == "step" for one in curves) else "epoch"]


def _moves(rates: Sequence[float]) -> bool:
    return len(set(rates)) > 1


def _rate_line(rates: Sequence[float]) -> Line:
    return Line(tuple(rate if isfinite(rate) else nan for rate in rates))


def _rate_panel(before: Sequence[Line], lines: Sequence[Line]) -> list[Panel]:
    """Return the panel of the learning rate, after lines that it has no values of; none without finite values."""
    every = [value for line in lines for value in line.mean if isfinite(value)]
    if not every:
        return []
    peaks = [max(line.mean) for line in lines if line.mean and isfinite(max(line.mean))]
    log = spanning_log([max(value, max(every) * LEAST_RATE) for value in every])
    far_apart = bool(peaks) and max(peaks) > LOG_FROM * min(peaks)
    return [Panel(RATE, "", (*before, *lines), spanning(every), log, log is not None and far_apart)]


LEAST_RATE = 1e-4
"""Share of the highest learning rate that a logarithmic axis goes down to."""
RATE = tr("learning rate")
AXES = {"epoch": tr("epoch"), "step": tr("training step")}
LINES = tr("Lines")
LOOKS: dict[SplitName, Look] = {TRAIN: Look(1, 1, 1), VALIDATION: Look(2), NO_SPLIT: Look(2)}
PLACES = SPLITS | {NO_SPLIT: tr("value")}
"""What a line of each split is called."""


def study_curves(findings: StudyFindings) -> CurvesFigure:
    """Describe the mean curves of the arms, validation next to training on one scale, with bands over blocks."""
    if findings.planned == 1:
        only = findings.arms[0].trials[0]
        rates = findings.arms[0].learning_rates
        return trial_curves(only.drawn, findings.metrics, findings.headline, findings.title, rates)
    panels = []
    every = [trial.drawn for arm in findings.arms for trial in arm.trials]
    steps = _steps(every, *(arm.learning_rates for arm in findings.arms if _moves(arm.learning_rates)))
    for by_split in _drawn(findings.metrics, findings.headline, every).values():
        drawn = [by_split[split] for split in (VALIDATION, NO_SPLIT, TRAIN) if split in by_split]
        lines = {metric.key: [_line(arm, metric, steps) for arm in findings.arms] for metric in drawn}
        shared = [line for row in lines.values() for line in row]
        panels += [_panel(metric.title, metric, lines[metric.key], shared) for metric in drawn]
    if any(_moves(arm.learning_rates) for arm in findings.arms):
        panels += _rate_panel((), [_rate_line(arm.learning_rates) for arm in findings.arms])
    return CurvesFigure(
        tr("Learning curves by {factor}", factor=findings.spoken_factor) if findings.factor else TITLES["curves"],
        findings.name,
        band_note(findings),
        tuple(map(_entry, findings.arms)),
        looks(findings),
        tuple(panels),
        steps,
        _axis(every),
    )


def study_fit(findings: StudyFindings) -> CurvesFigure:
    """Describe training and validation of each arm in a panel of its own, all on one scale: overfitting opens a gap."""
    pair = compared_by_epoch(findings)
    assert pair is not None  # noqa: S101 - see `figure_names`
    drawn = [arm for arm in findings.arms if arm.curves is not None]
    every = [trial.drawn for arm in drawn for trial in arm.trials]
    steps = _steps(every)
    lines = {arm.label: [_line(arm, metric, steps) for metric in pair] for arm in drawn}
    shared = [line for own in lines.values() for line in own]
    return CurvesFigure(
        TITLES["training-validation"],
        findings.name,
        joined(
            (tr("{quantity} by epoch.", quantity=capitalized(pair[0].quantity)), band_note(findings)),
            BETWEEN_SENTENCES,
        ),
        tuple(PLACES[metric.split] for metric in pair),
        tuple(LOOKS[metric.split] for metric in pair),
        tuple(_panel(arm_name(arm), pair[1], lines[arm.label], shared) for arm in drawn),
        steps,
        _axis(every),
        LINES,
    )


def _drawn(metrics: Sequence[Metric], headline: Metric, curves: Sequence[Curves]) -> dict[str, dict[SplitName, Metric]]:
    """Return the metrics of epochs that have a value to draw, by quantity and split, the headline's quantity first."""
    with_values = [
        metric
        for metric in recorded(metrics, TRAIN, VALIDATION)
        if any(value is not None for one in curves for value in one.values.get(metric.key, ()))
    ]
    return by_quantity(sorted(with_values, key=lambda metric: metric.quantity != headline.quantity))


def _values(curves: Curves, metric: Metric | None, steps: Sequence[int]) -> tuple[float, ...]:
    """Return a metric's values as they are drawn, up to its last step: not a number where there is a gap."""
    values = () if metric is None else curves.values.get(metric.key, ())
    if curves.epochs == tuple(steps[: len(values)]):  # nearly always
        return tuple(nan if value is None else value for value in values)
    known = {step: nan if value is None else value for step, value in zip(curves.epochs, values, strict=False)}
    return tuple(known.get(step, nan) for step in steps if step <= curves.epochs[-1]) if known else ()


def band_note(findings: StudyFindings) -> Text:
    """Say what lines and bands of curves are."""
    blocks, finished = len(findings.blocks), [arm.count("finished") for arm in findings.arms]
    note = tr("One block.")
    if blocks > 1:
        note = tr("Line: mean of {n} blocks; band: from the lowest block to the highest.", n=blocks)
    if min(finished) == blocks:
        return note
    if max(finished) > 1:
        note = tr("Line: mean of finished trials; band: from the lowest to the highest.")
    elif blocks > 1:
        note = tr("Line: one finished trial.")
    failed = [said for state, said in FAILED.items() if any(arm.count(state) for arm in findings.arms)]
    said = (
        tr("Thin lines: trials that have {failed} or not finished.", failed=joined(failed, COMMA))
        if failed
        else tr("Thin lines: trials that have not finished.")
    )
    return joined((note, said), BETWEEN_SENTENCES) if any(finished) or blocks == 1 else said


def _entry(arm: ArmFindings) -> str:
    """Return what a legend calls an arm, with the state of its trials where none has finished."""
    begun = [trial.state for trial in arm.trials if trial.state in THIN and trial.drawn.epochs]
    return joined((arm_name(arm), STATES[begun[0]]), COLON) if arm.curves is None and begun else arm_name(arm)


def _line(arm: ArmFindings, metric: Metric, steps: Sequence[int]) -> Line:
    finished = [_values(trial.drawn, metric, steps) for trial in arm.finished]
    by_epoch = list(zip(*finished, strict=False)) if len(finished) > 1 else []  # as far as all of them go
    return Line(
        () if arm.curves is None else _values(arm.curves, metric, steps),
        tuple(map(min, by_epoch)),
        tuple(map(max, by_epoch)),
        tuple(
            Lone(_values(trial.drawn, metric, steps), trial.state == "diverged")
            for trial in arm.trials
            if trial.state in THIN and trial.drawn.epochs
        ),
    )


def _panel(title: str, metric: Metric, lines: Sequence[Line], shared: Sequence[Line]) -> Panel:
    """Return a panel whose axis holds all lines that share it: of a bounded metric that rises, the later values."""
    every = [value for line in shared for values in line.series for value in values if isfinite(value)]
    if not metric.higher_is_better:
        log = spanning_log(every)
        prefers_log = bool(log) and max(every) > LOG_FROM * min(every)
        return Panel(title, metric.unit, tuple(lines), spanning(every), log, prefers_log)
    early = int(EARLY * max(len(values) for line in shared for values in line.series)) if metric.is_bounded else 0
    late = [value for line in shared for values in line.series for value in values[early:] if isfinite(value)]
    return Panel(title, metric.unit, tuple(lines), spanning([*(late or every), max(every)]), None, False)


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
                changes_in_words(step),
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
        with_unit(tr("gain in {metric}", metric=measure.title), measure.difference_words),
        tr("lines: 95% intervals, simultaneous over the moves tried for a step; hollow: the interval includes 0"),
    )


def study_costs(findings: StudyFindings, costs: Sequence[ArmCost]) -> PointsFigure | None:
    """Describe the metric's mean over the seconds of a trial; None for fewer than two arms that have both."""
    measure, digits = findings.measure, findings.decimals
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


def study_figure(findings: StudyFindings, name: str) -> CurvesFigure | IntervalsFigure | SearchFigure:
    """Describe one of a study's figures."""
    match name:
        case "intervals":
            return study_intervals(findings)
        case "training-validation":
            return study_fit(findings)
        case "tuning" if findings.tuning is not None:
            return study_search(findings, findings.tuning)
        case _:
            return study_curves(findings)
