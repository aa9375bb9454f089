"""What a walk from one recipe to another has found, step by step, and how it is told.

Gains are in the metric's unit with the sign that makes better positive: of a loss, what it fell by.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eailab.findings.arm import ArmFindings
from eailab.findings.measures import MEASURES, Measure
from eailab.findings.numbers import NOTHING, decimals_for, interval, number, signed
from eailab.findings.study import StudyFindings, study_findings
from eailab.findings.tables import NOTE, Column, Table
from eailab.recipe.schema import Metric
from eailab.runs.store import Store
from eailab.stats.verdict import Interval
from eailab.studies.path_ablation import Move, Order, Route, RouteRecord

TITLE = "Gain of each step on the way"


@dataclass(frozen=True)
class Step:
    """One move of the walk."""

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
    notes: tuple[str, ...]

    @property
    def may_be_noise(self) -> bool:
        """Whether the interval includes zero."""
        return self.interval95 is not None and self.interval95[0] <= 0.0 <= self.interval95[1]


@dataclass(frozen=True)
class Waterfall:
    """A whole walk."""

    names: tuple[str, str]
    fingerprint: str
    order: Order
    blocks: tuple[int, ...]
    metric: Metric
    means: tuple[float | None, float | None]
    """Metric of the two recipes, averaged over their blocks."""
    steps: tuple[Step, ...]
    gap: float | None
    """Gain of the second recipe over the first, from their trials alone."""
    gap_interval95: Interval | None
    """Of the gap alone: both recipes were chosen before anything was trained."""
    arms: int
    """Recipes that were trained, both ends among them."""
    environments: tuple[str, ...]
    """What trials ran on; more than one is a mixed walk."""

    @property
    def measure(self) -> Measure:
        """How the metric is told."""
        return MEASURES[self.metric]


# --- finding ---------------------------------------------------------------------------------------------------------


def best_move(step: StudyFindings) -> int:
    """Return which candidate of a step is taken: the largest gain, and of equal ones the first.

    A candidate that diverged in any block, or that has no value, is only taken when all have that fate.
    """

    def rank(arm: ArmFindings) -> tuple[bool, bool, float]:
        gain = _gain(arm, step)
        return arm.count("diverged") == 0, gain is not None, 0.0 if gain is None else gain

    candidates = step.arms[1:]
    return max(range(len(candidates)), key=lambda index: rank(candidates[index]))


def waterfall_of(store: Store, record: RouteRecord) -> Waterfall:
    """Put together what a path ablation in a store has found so far."""
    steps = [study_findings(store, step) for step in record.steps[: len(record.taken)]]
    walked = list(zip(steps, record.taken, record.indices, strict=True))
    return waterfall(record.route, study_findings(store, record.ends), walked)


def waterfall(route: Route, ends: StudyFindings, walked: Sequence[tuple[StudyFindings, Move, int]]) -> Waterfall:
    """Put a walk's steps together.

    Args:
        route: What was walked.
        ends: Of the study of the two recipes.
        walked: Of each step its study, the move that was taken, and which candidate that was.
    """
    steps: list[Step] = []
    total: float | None = 0.0
    for study, move, index in walked:
        arm = study.arms[1 + index]
        gain = _gain(arm, study)
        total = None if gain is None or total is None else total + gain
        bounds = None if arm.against_baseline is None else arm.against_baseline.interval95
        steps.append(
            Step(
                changes=tuple(map(str, move.changes)),
                gain=gain,
                interval95=_improvement(bounds, study.measure),
                total=total,
                tried=len(study.arms) - 1,
                notes=_notes(arm, study),
            )
        )
    last = ends.arms[1]
    trained = {trial.fingerprint for study, _, _ in walked for arm in study.arms for trial in arm.trials[:1]}
    return Waterfall(
        names=route.names,
        fingerprint=route.fingerprint,
        order=route.order,
        blocks=ends.blocks,
        metric=route.metric,
        means=(_mean(ends.arms[0]), _mean(last)),
        steps=tuple(steps),
        gap=_gain(last, ends),
        gap_interval95=_improvement(last.against_baseline.interval95 if last.against_baseline else None, ends.measure),
        arms=len(trained),
        environments=tuple(
            sorted({str(environment) for study, _, _ in walked for environment, _ in study.environments})
        ),
    )


def _gain(arm: ArmFindings, study: StudyFindings) -> float | None:
    if arm.against_baseline is None or arm.against_baseline.difference is None:
        return None
    difference = arm.against_baseline.difference
    return difference if study.measure.higher_is_better else -difference


def _improvement(bounds: Interval | None, measure: Measure) -> Interval | None:
    if bounds is None or measure.higher_is_better:
        return bounds
    return -bounds[1], -bounds[0]


def _mean(arm: ArmFindings) -> float | None:
    return None if arm.against_baseline is None else arm.against_baseline.mean


def _notes(arm: ArmFindings, study: StudyFindings) -> tuple[str, ...]:
    notes = []
    if lost := arm.count("diverged"):
        notes.append(f"{lost} of {len(arm.trials)} diverged: the gain is of the others")
    if gone := len(arm.trials) - len(arm.finished) - lost:
        notes.append(f"{gone} of {len(arm.trials)} trials have no result")
    if before := study.arms[0].count("diverged"):
        notes.append(f"{before} of {len(arm.trials)} diverged before this step")
    change = arm.updates / study.arms[0].updates - 1.0
    if change:
        notes.append(f"updates {change:+.0%}")
    return tuple(notes)


# --- telling ---------------------------------------------------------------------------------------------------------


def waterfall_table(found: Waterfall) -> Table:
    """Return the table of the steps, between the two recipes' own values."""
    measure, digits = found.measure, _digits(found)
    unit = f" ({measure.difference_unit})" if measure.difference_unit else ""
    first, last = (
        ("", name, NOTHING, NOTHING, number(mean, digits) + (measure.unit if mean is not None else ""), "")
        for name, mean in zip(found.names, found.means, strict=True)
    )
    return Table(
        columns=(
            Column("step", is_number=True),
            Column("change"),
            Column(f"gain{unit}", is_number=True),
            Column("95% interval", is_number=True),
            Column(f"total{unit}", is_number=True),
            Column(NOTE, narrow=None),
        ),
        rows=(
            first,
            *(
                (
                    str(place),
                    ", ".join(step.changes),
                    signed(step.gain, digits),
                    interval(step.interval95, digits),
                    signed(step.total, digits),
                    "; ".join([*(["includes 0: may be noise"] if step.may_be_noise else []), *step.notes]),
                )
                for place, step in enumerate(found.steps, start=1)
            ),
            last,
        ),
    )


def title(found: Waterfall) -> str:
    """Return what the walk asks."""
    return f"What makes {found.names[1]} differ from {found.names[0]} in {found.measure.title}?"


def sentences(found: Waterfall) -> tuple[str, ...]:
    """Return what the walk says, and what a reader must know to read its gains rightly."""
    measure, digits = found.measure, _digits(found)
    said = []
    if found.gap is not None:
        size = measure.with_unit(signed(found.gap, digits))
        bounds = "" if found.gap_interval95 is None else f" {interval(found.gap_interval95, digits)}"
        said.append(
            f"The gap from {found.names[0]} to {found.names[1]} is {size}{bounds}"
            + ("; positive is better, of a loss too." if not measure.higher_is_better else ".")
        )
        if found.gap_interval95 is not None and found.gap_interval95[0] <= 0.0 <= found.gap_interval95[1]:
            said.append("The gap's own interval includes 0: there may be nothing to explain.")
    noise = [str(place) for place, step in enumerate(found.steps, start=1) if step.may_be_noise]
    if noise:
        plural = "s" * (len(noise) > 1)
        said.append(
            f"Step{plural} {', '.join(noise)}: the interval{plural} include{'' if plural else 's'} 0, "
            "so the gain may be noise, and so may its place in the order."
        )
    if len(found.blocks) < 2:
        said.append("One block gives no intervals: this is a screen, and every gain may be noise.")
    if found.order == "gain" and len(found.steps) > 1:
        said.append(
            "The order was chosen on the same trials: the gains of early steps are optimistic by that selection, "
            "and those of later ones together pessimistic by as much. The gap is not affected."
        )
    said.append(
        "A gain is that of a setting on top of the steps before it; in another order it may be another."
        if len(found.steps) > 1
        else "The recipes differ in this one move."
    )
    blocks = len(found.blocks)
    said.append(
        f"{found.arms} recipes in {blocks} block{'s' * (blocks > 1)}; intervals of a step are simultaneous over the "
        "moves that were tried for it, by the method of `ablate`; that of the gap is its own."
    )
    if len(found.environments) > 1:
        said.append(f"MIXED, which may change results: trials ran on {' and on '.join(found.environments)}.")
    else:
        said.extend(f"Device and versions: {one}." for one in found.environments)
    return tuple(said)


def _digits(found: Waterfall) -> int:
    bounds = [found.gap_interval95, *(step.interval95 for step in found.steps)]
    return decimals_for([one for one in bounds if one is not None], found.measure.decimals)
