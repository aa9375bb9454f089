"""Describe what a path ablation from one recipe to another has found, step by step.

Gains are in the metric's unit with the sign that makes better positive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eailab.findings.arm import ArmFindings
from eailab.findings.study import StudyFindings, study_findings
from eailab.findings.tables import NOTE, Column, Table, with_unit
from eailab.findings.trial import FAILED, environment_sentences
from eailab.findings.words import NOTHING, decimals_for, interval, measured, setting_with_value, signed
from eailab.metrics import Metric
from eailab.runs.store import Store
from eailab.stats.verdict import Interval
from eailab.studies.path_ablation import Move, Order, PathAblation
from eailab.studies.path_run import PathRecord
from eailab.translation import COMMA, Text, joined, tr, trn

TITLE = tr("Gain of each step on the way")


@dataclass(frozen=True)
class PathStep:
    """One move of a path ablation."""

    changes: tuple[str, ...]
    """What it changed, such as `optimizer.lr 0.001 -> 0.003`."""
    gain: float | None
    """Over the recipe before it; None where no block has both."""
    interval95: Interval | None
    """Of the gain, simultaneous over the moves that could have come here; None below two blocks."""
    total: float | None
    """Sum of the gains so far; None from a step without a gain on."""
    tried: int
    """Moves that were measured for this step."""
    notes: tuple[Text, ...]

    @property
    def may_be_noise(self) -> bool:
        """Return whether the interval includes zero."""
        return self.interval95 is not None and self.interval95[0] <= 0.0 <= self.interval95[1]


@dataclass(frozen=True)
class PathFindings:
    """The findings of a path ablation."""

    names: tuple[str, str]
    fingerprint: str
    order: Order
    blocks: tuple[int, ...]
    measure: Metric
    means: tuple[float | None, float | None]
    """Metric of the two recipes, averaged over their blocks."""
    steps: tuple[PathStep, ...]
    gap: float | None
    """Gain of the second recipe over the first, from their trials alone."""
    gap_interval95: Interval | None
    """Of the gap alone: both recipes were chosen before anything was trained."""
    arms: int
    """Recipes that were trained, both ends among them."""
    environments: tuple[str, ...]
    """What trials ran on; more than one is a mix of machines."""

    @property
    def metric(self) -> str:
        """Return the name of what it is judged by."""
        return self.measure.name


# --- finding ---------------------------------------------------------------------------------------------------------


def best_move(step: StudyFindings) -> int:
    """Return which candidate of a step is taken: the largest gain, and of equal ones the first.

    A candidate that failed in any block, or that has no value, is only taken when that is so of all.
    """

    def rank(arm: ArmFindings) -> tuple[bool, bool, float]:
        gain = _gain(arm, step)
        return arm.failed == 0, gain is not None, 0.0 if gain is None else gain

    candidates = step.arms[1:]
    return max(range(len(candidates)), key=lambda index: rank(candidates[index]))


def path_findings(store: Store, record: PathRecord) -> PathFindings:
    """Put together what a path ablation in a store has found so far."""
    steps = [study_findings(store, step) for step in record.steps[: len(record.taken)]]
    taken = list(zip(steps, record.taken, record.indices, strict=True))
    return findings_along(record.path, study_findings(store, record.ends), taken)


def findings_along(
    path: PathAblation, ends: StudyFindings, taken: Sequence[tuple[StudyFindings, Move, int]]
) -> PathFindings:
    """Put the steps of a path ablation together: of each its study, the move taken, and which candidate that was."""
    # The steps, one after the other.
    steps: list[PathStep] = []
    total: float | None = 0.0
    for study, move, index in taken:
        arm = study.arms[1 + index]
        gain = _gain(arm, study)
        total = None if gain is None or total is None else total + gain
        bounds = None if arm.against_baseline is None else arm.against_baseline.interval95
        steps.append(
            PathStep(
                changes=tuple(map(str, move.changes)),
                gain=gain,
                interval95=_improvement(bounds, study.measure),
                total=total,
                tried=len(study.arms) - 1,
                notes=_notes(arm, study),
            )
        )

    # The whole path, from its two ends.
    last = ends.arms[1]
    trained = {trial.fingerprint for study, _, _ in taken for arm in study.arms for trial in arm.trials[:1]}
    return PathFindings(
        names=path.names,
        fingerprint=path.fingerprint,
        order=path.order,
        blocks=ends.blocks,
        measure=path.measure,
        means=(_mean(ends.arms[0]), _mean(last)),
        steps=tuple(steps),
        gap=_gain(last, ends),
        gap_interval95=_improvement(last.against_baseline.interval95 if last.against_baseline else None, ends.measure),
        arms=len(trained),
        environments=tuple(
            sorted({str(environment) for study, _, _ in taken for environment, _ in study.environments})
        ),
    )


def _gain(arm: ArmFindings, study: StudyFindings) -> float | None:
    if arm.against_baseline is None or arm.against_baseline.difference is None:
        return None
    difference = arm.against_baseline.difference
    return difference if study.measure.higher_is_better else -difference


def _improvement(bounds: Interval | None, measure: Metric) -> Interval | None:
    if bounds is None or measure.higher_is_better:
        return bounds
    return -bounds[1], -bounds[0]


def _mean(arm: ArmFindings) -> float | None:
    return None if arm.against_baseline is None else arm.against_baseline.mean


def _notes(arm: ArmFindings, study: StudyFindings) -> tuple[Text, ...]:
    notes, total = [], len(arm.trials)
    for state, said in FAILED.items():
        if lost := arm.count(state):
            notes.append(tr("{n} of {total} {failed}: the gain is of the others", n=lost, total=total, failed=said))
    if gone := total - arm.ended:
        notes.append(tr("{n} of {total} trials have no result", n=gone, total=total))
    for state, said in FAILED.items():
        if before := study.arms[0].count(state):
            notes.append(tr("{n} of {total} {failed} before this step", n=before, total=total, failed=said))
    change = arm.updates_change
    if change:
        notes.append(tr("updates {change:+.0%}", change=change))
    return tuple(notes)


# --- statements ------------------------------------------------------------------------------------------------------


def path_table(found: PathFindings) -> Table:
    """Return the table of the steps, between the two recipes' own values."""
    measure, digits = found.measure, path_decimals(found)
    first, last = (
        ("", name, NOTHING, NOTHING, measured(mean, digits, measure), "")
        for name, mean in zip(found.names, found.means, strict=True)
    )
    return Table(
        columns=(
            Column(tr("step"), is_number=True),
            Column(tr("change")),
            Column(with_unit(tr("gain"), measure.difference_unit), is_number=True),
            Column(tr("95% interval"), is_number=True),
            Column(with_unit(tr("total"), measure.difference_unit), is_number=True),
            Column(NOTE, narrow=None),
        ),
        rows=(
            first,
            *(
                (
                    str(place),
                    changes_in_words(step),
                    signed(step.gain, digits),
                    interval(step.interval95, digits),
                    signed(step.total, digits),
                    joined([*([tr("includes 0: may be noise")] if step.may_be_noise else []), *step.notes]),
                )
                for place, step in enumerate(found.steps, start=1)
            ),
            last,
        ),
    )


def changes_in_words(step: PathStep) -> Text:
    """Return what a step changes: `optimizer.lr 0.001 -> 0.003`, its settings by their names in other languages."""
    parts = (change.partition(" ") for change in step.changes)
    return joined((setting_with_value(name, value) for name, _, value in parts), COMMA)


def title(found: PathFindings) -> Text:
    """Return the question that the path ablation asks."""
    first, second = found.names
    return tr(
        "What makes {second} differ from {first} in {metric}?", first=first, second=second, metric=found.measure.title
    )


def sentences(found: PathFindings) -> tuple[Text, ...]:
    """Return what the path ablation says, and what a reader must know to read its gains rightly."""
    steps, blocks = len(found.steps), len(found.blocks)
    said = _gap(found)
    if noise := [str(place) for place, step in enumerate(found.steps, start=1) if step.may_be_noise]:
        said.append(
            trn(
                "Step {steps}: the interval includes 0, so the gain may be noise, and so may its place in the order.",
                "Steps {steps}: the intervals include 0, so the gain may be noise, and so may its place in the order.",
                len(noise),
                steps=joined(noise, COMMA),
            )
        )
    if blocks < 2:
        said.append(tr("One block gives no intervals: this is a screen, and every gain may be noise."))
    if found.order == "gain" and steps > 1:
        said.append(
            tr(
                "The order was chosen on the same trials: the gains of early steps are optimistic by that selection, "
                "and those of later ones together pessimistic by as much. The gap is not affected."
            )
        )
    said.append(
        tr("A gain is that of a setting on top of the steps before it; in another order it may be another.")
        if steps > 1
        else tr("The recipes differ in this one move.")
    )
    said.append(
        trn(
            "{recipes} recipes in {n} block; intervals are per step: each has its own 5%, simultaneous over the "
            "moves that were tried for it, by the method of `ablate`; that of the gap has its own too.",
            "{recipes} recipes in {n} blocks; intervals are per step: each has its own 5%, simultaneous over the "
            "moves that were tried for it, by the method of `ablate`; that of the gap has its own too.",
            blocks,
            recipes=found.arms,
        )
    )
    return (*said, *environment_sentences(found.environments))


def _gap(found: PathFindings) -> list[Text]:
    measure, digits = found.measure, path_decimals(found)
    if found.gap is None:
        return []
    size = measure.with_unit(signed(found.gap, digits))
    bounds = found.gap_interval95
    if bounds is not None:
        size += f" {interval(bounds, digits)}"
    values = {"first": found.names[0], "second": found.names[1], "size": size}
    said = [
        tr("The gap from {first} to {second} is {size}.", **values)
        if measure.higher_is_better
        else tr("The gap from {first} to {second} is {size}; positive is better: what the metric fell by.", **values)
    ]
    if bounds is not None and bounds[0] <= 0.0 <= bounds[1]:
        said.append(tr("The gap's own interval includes 0: there may be nothing to explain."))
    return said


def path_decimals(found: PathFindings) -> int:
    """Return how many decimals the values and gains of a path ablation are shown with."""
    bounds = [found.gap_interval95, *(step.interval95 for step in found.steps)]
    return decimals_for([one for one in bounds if one is not None], found.measure.decimals)
