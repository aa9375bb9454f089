"""Every number of a report, computed once; the formats only set them.

Accuracies are in percent and their differences in percentage points; losses are in nats.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from eailab.errors import StudyError
from eailab.findings.measures import MEASURES, Measure
from eailab.findings.trial import Curves, Environment, TrialFindings, TrialState, read_trial, spared, went_the_same
from eailab.recipe.canonical import NO_IDENTITY, flatten
from eailab.recipe.schema import Metric, Recipe
from eailab.runs.store import Store
from eailab.stats.alpha_spending import look_levels
from eailab.stats.blocked_model import Values
from eailab.stats.factorial import Factorial, factorial
from eailab.stats.group_sequential import Decision, replay
from eailab.stats.model import ArmResult, Comparison, compare
from eailab.stats.trend import Trend, trend
from eailab.stats.verdict import Verdict
from eailab.studies.design import Study, StudyRecord, safe_name
from eailab.studies.factor import settings_of, word
from eailab.studies.hold_updates import held
from eailab.studies.preregistration import Standing, standing

StudyState = Literal["complete", "running"]
"""`running` until every trial has ended; nothing in the store tells a study at work from one that was interrupted."""

Settings = tuple[tuple[str, Any], ...]
"""Dotted path and value of settings, in the order of the recipe."""

SPOKEN = {
    "lr": "learning rate",
    "val_fraction": "validation share",
    "augment": "augmentation",
    "ema": "weight averaging",
    "norm": "normalisation",
    "init": "initialisation",
    "limit": "number of training images",
    "hidden": "width of the hidden layers",
    "epochs": "number of epochs",
    "warmup_epochs": "length of the warm-up",
}
"""Factors whose field is not called what a sentence calls it."""

PLURAL = frozenset({"betas", "milestones", "nodes", "threads"})
"""Factors whose name takes the verb's plural."""


@dataclass(frozen=True)
class ArmFindings:
    """One level of the factor."""

    label: str
    is_baseline: bool
    trials: tuple[TrialFindings, ...]
    """One a block, in the study's order."""
    against_baseline: ArmResult | None
    """Mean, difference, interval and verdict of the metric; None for the arm of a single trial."""
    test_accuracy: float | None
    """Mean over the finished trials, in percent."""
    updates: int
    """Optimizer steps of a trial."""
    updates_change: float
    """Of the updates, relative to the baseline's: -0.5 for half as many."""
    brought: tuple[str, ...]
    """Settings that come with the level; one sentence each."""
    damage: tuple[str, ...]
    """Which of its trials, and of the baseline's, its verdict lacks because they are damaged; a sentence each."""
    notes: tuple[str, ...]
    """What a reader of the row must know; the damage too."""
    curves: Curves | None
    """Mean over the finished trials, which all have the same epochs; None where there is none."""

    @property
    def finished(self) -> list[TrialFindings]:
        """The trials that have a value."""
        return [trial for trial in self.trials if trial.state == "finished"]

    def count(self, *states: TrialState) -> int:
        """Return the number of trials in any of these states."""
        return sum(trial.state in states for trial in self.trials)


@dataclass(frozen=True)
class Looks:
    """How a study that looks several times has gone so far."""

    blocks: tuple[int, ...]
    """Numbers of blocks at each look, fixed in advance."""
    levels: tuple[float, ...]
    """Of each look; they sum to 5%."""
    made: int
    """Looks made so far."""
    decisions: tuple[Decision | None, ...]
    """One an arm; None for the baseline, and for an arm that is open."""
    over: bool
    """Whether nothing is left to do."""
    needed: tuple[tuple[int, int], ...]
    """Arm index and block of the trials that the next look waits for."""


@dataclass(frozen=True)
class StudyFindings:
    """A study, or a single trial (no factor, one arm, one block)."""

    name: str
    fingerprint: str
    factor: str | None
    """Dotted path of the varied field; None for a single trial."""
    state: StudyState
    blocks: tuple[int, ...]
    metric: Metric
    margin: float
    """In the metric's unit."""
    arms: tuple[ArmFindings, ...]
    baseline: int
    """Index of the arm that the others are compared with."""
    comparison: Comparison | None
    """What the intervals rest on; None for a single trial."""
    trend: Trend | None
    """Over an ordered factor with three or more levels; None for others, and where a trial diverged."""
    effects: Factorial | None
    """Of a factorial with two blocks of every combination."""
    effects_withheld: str | None
    """Why a factorial has none."""
    baseline_levels: dict[str, str]
    """Of a factorial: each factor's level in the baseline, by the factor's path."""
    looks: Looks | None
    """Of a study that adds blocks until its arms are decided."""
    standing: Standing | None
    """What was planned and what is post hoc; None where no plan was ever frozen."""
    planned_verdicts: tuple[tuple[str, Verdict], ...]
    """Each arm's verdict from the planned blocks alone; none where all blocks were planned, or none."""
    updates_held: tuple[str, ...]
    """What holding the updates did to each arm; one sentence each, none where the epochs are held."""
    held_fixed: Settings
    """The settings that are equal in all arms."""
    environments: tuple[tuple[Environment, int], ...]
    """What trials ran on, with their number; more than one is a mixed study."""
    training_images: int
    """Of the baseline arm."""
    apart: tuple[str, ...] = ()
    """What tells it from other studies of the same report with the same title; see `eailab.findings.apart`."""

    @property
    def folder_name(self) -> str:
        """What its folder is called below `studies/`."""
        return f"{safe_name(self.name)}-{self.fingerprint}"

    @property
    def measure(self) -> Measure:
        """How the metric is told."""
        return MEASURES[self.metric]

    @property
    def heading(self) -> str:
        """The factor as a column is headed; empty for a single trial."""
        return word(self.factor)

    @property
    def spoken_factor(self) -> str:
        """The factor as a sentence says it; empty for a single trial."""
        words = [word(path) for path in settings_of(self.factor or "")]
        return " and ".join(SPOKEN.get(one, one.replace("_", " ")) for one in words)

    @property
    def title(self) -> str:
        """The question that the study asks, or the name of the single trial."""
        if self.factor is None:
            return self.name
        verb = "Do" if self.heading in PLURAL or len(settings_of(self.factor)) > 1 else "Does"
        return f"{verb} the {self.spoken_factor} change the {self.measure.title}?"

    def headed(self, text: str, say: Callable[[str], str]) -> str:
        """Return a title or a caption in a language, with what tells this study from others of the same report."""
        apart = " · ".join(map(say, self.apart))
        return f"{say(text)} ({apart})" if apart else say(text)

    @property
    def baseline_arm(self) -> ArmFindings:
        """The arm that the others are compared with."""
        return self.arms[self.baseline]

    @property
    def damaged(self) -> list[str]:
        """The trials that cannot be read, as ARM/BLOCK."""
        return [f"{arm.label}/{one.block}" for arm in self.arms for one in arm.trials if one.state == "damaged"]

    @property
    def ended(self) -> int:
        """Number of trials with nothing left to train."""
        return sum(arm.count("finished", "diverged") for arm in self.arms)

    @property
    def planned(self) -> int:
        """Number of trials of the study."""
        return sum(len(arm.trials) - arm.count("spared") for arm in self.arms)


def study_findings(store: Store, record: StudyRecord) -> StudyFindings:
    """Read a study's trials and compute every number that is told of it.

    Args:
        store: Where the trials lie; what is damaged or missing there becomes a marked gap.
        record: The study and the names of its trials.
    """
    study = record.study
    measure = MEASURES[study.metric]
    margin = study.margin * measure.margin_scale
    trials = [
        tuple(
            read_trial(store.folder(record.trials[index, block]), block, measure, arm.recipe.epochs)
            for block in study.blocks
        )
        for index, arm in enumerate(study.arms)
    ]
    looks = None
    if study.looks:
        trials, looks = _look(study, trials, margin, measure)
    comparison = None
    if study.factor is not None:
        comparison = _compare(trials, study.baseline, margin, measure)
    if comparison is not None and looks is not None:
        comparison = _decided(comparison, looks)
    stands = standing(store, record) if study.factor is not None else None
    effects = _effects(study, trials) if study.axes else None
    environments = Counter(t.environment for row in trials for t in row if t.environment is not None)
    return StudyFindings(
        name=study.name,
        fingerprint=study.fingerprint,
        factor=study.factor,
        state="complete" if all(trial.has_ended for row in trials for trial in row) else "running",
        blocks=study.blocks,
        metric=study.metric,
        margin=margin,
        arms=tuple(
            _arm(record, index, trials, None if comparison is None else comparison.arms[index], stands, looks)
            for index in range(len(trials))
        ),
        baseline=study.baseline,
        comparison=comparison,
        trend=_trend(study, trials),
        effects=None if isinstance(effects, str) else effects,
        effects_withheld=effects if isinstance(effects, str) else None,
        baseline_levels={axis.factor: axis.levels[axis.baseline] for axis in study.axes},
        looks=looks,
        standing=stands,
        planned_verdicts=_planned_verdicts(study, trials, stands, margin, measure),
        updates_held=tuple(held(study, record.updates)),
        held_fixed=held_fixed([arm.recipe for arm in study.arms]),
        environments=tuple(sorted(environments.items(), key=lambda item: str(item[0]))),
        training_images=record.training_images,
    )


def held_fixed(recipes: Sequence[Recipe]) -> Settings:
    """Return the settings that all recipes have with the same value; names and the study's own settings are none."""
    first, *others = [flatten(recipe) for recipe in recipes]
    return tuple(
        (path, value)
        for path, value in first.items()
        if path.partition(".")[0] not in NO_IDENTITY and all(path in other and other[path] == value for other in others)
    )


def _compare(trials: Sequence[Sequence[TrialFindings]], baseline: int, margin: float, measure: Measure) -> Comparison:
    diverged = np.array([[trial.state == "diverged" for trial in row] for row in trials]).T
    return compare(_values(trials), baseline, margin, measure.higher_is_better, diverged=diverged)


def _values(trials: Sequence[Sequence[TrialFindings]]) -> Values:
    """Return the metric as `[B, A]`, with a gap wherever a trial has no value."""
    return np.array([[np.nan if trial.value is None else trial.value for trial in row] for row in trials]).T


def _look(
    study: Study, trials: Sequence[tuple[TrialFindings, ...]], margin: float, measure: Measure
) -> tuple[list[tuple[TrialFindings, ...]], Looks]:
    """Replay the looks, and spare the trials of arms that were decided before."""
    found = replay(
        _values(trials),
        np.array([[trial.has_ended for trial in row] for row in trials]).T,
        np.array([[trial.state == "diverged" for trial in row] for row in trials]).T,
        study.looks,
        study.baseline,
        margin,
        measure.higher_is_better,
    )
    kept = [
        tuple(trial if found.counted[place, arm] else spared(trial) for place, trial in enumerate(row))
        for arm, row in enumerate(trials)
    ]
    needed = tuple((int(arm), study.blocks[place]) for place, arm in np.argwhere(found.needed))
    return kept, Looks(study.looks, look_levels(study.looks), found.looks_made, found.decisions, found.over, needed)


def _decided(comparison: Comparison, looks: Looks) -> Comparison:
    """Put the verdicts of the looks in place of those that one look alone would give."""
    arms = [
        result
        if result.verdict is None
        else replace(result, verdict=decision.verdict if decision else Verdict.UNDECIDED, blocks_needed=None)
        for result, decision in zip(comparison.arms, looks.decisions, strict=True)
    ]
    return replace(comparison, arms=tuple(arms))


def _looked(looks: Looks, arm: int) -> list[str]:
    """Say at which look an arm was decided."""
    decision = looks.decisions[arm]
    if decision is not None:
        return [f"decided at look {decision.look} of {len(looks.blocks)}, after {decision.blocks} blocks"]
    return ["open after the last look"] if looks.over else [f"open after {looks.made} of {len(looks.blocks)} looks"]


def _planned_verdicts(
    study: Study,
    trials: Sequence[Sequence[TrialFindings]],
    stands: Standing | None,
    margin: float,
    measure: Measure,
) -> tuple[tuple[str, Verdict], ...]:
    """Return what the planned blocks say by themselves, where a study has others too."""
    if stands is None or stands.plan is None or not stands.post_hoc:
        return ()
    planned = [[trial for trial in row if trial.block not in stands.post_hoc] for row in trials]
    if not planned[0]:
        return ()
    found = _compare(planned, study.baseline, margin, measure)
    return tuple(
        (arm.label, result.verdict)
        for arm, result in zip(study.arms, found.arms, strict=True)
        if result.verdict is not None
    )


def _effects(study: Study, trials: Sequence[Sequence[TrialFindings]]) -> Factorial | str:
    """Return the effects of a factorial, or why there are none."""
    if any(trial.state == "diverged" for row in trials for trial in row):
        return "trials diverged, and a mean over those that did not would flatter their arms"
    values = _values(trials).reshape(len(study.blocks), *(len(axis.levels) for axis in study.axes))
    factors = []
    for number, axis in enumerate(study.axes, start=1):
        order = [axis.baseline, *(level for level in range(len(axis.levels)) if level != axis.baseline)]
        values = np.take(values, order, axis=number)
        factors.append((axis.factor, [axis.levels[level] for level in order]))
    try:
        return factorial(values, factors) or "nothing varies within the blocks"
    except StudyError as error:
        return str(error)


def _trend(study: Study, trials: Sequence[Sequence[TrialFindings]]) -> Trend | None:
    levels = [arm.level for arm in study.arms]
    ordered = len(levels) >= 3 and all(type(level) in (int, float) and level > 0 for level in levels)
    if not ordered or any(trial.state == "diverged" for row in trials for trial in row):
        return None
    return trend(_values(trials), levels, study.baseline)


def _arm(
    record: StudyRecord,
    index: int,
    by_arm: Sequence[tuple[TrialFindings, ...]],
    against_baseline: ArmResult | None,
    stands: Standing | None,
    looks: Looks | None,
) -> ArmFindings:
    study = record.study
    arm, baseline, trials = study.arms[index], study.arms[study.baseline], by_arm[index]
    damage = _damage(trials, by_arm[study.baseline] if index != study.baseline else ())
    change = record.updates[index] / record.updates[study.baseline] - 1.0
    tests = [trial.test.accuracy for trial in trials if trial.test is not None]
    finished = [trial.curves for trial in trials if trial.state == "finished"]
    return ArmFindings(
        label=arm.label,
        is_baseline=index == study.baseline and study.factor is not None,
        trials=trials,
        against_baseline=against_baseline,
        test_accuracy=float(np.mean(tests)) if tests else None,
        updates=record.updates[index],
        updates_change=change,
        brought=arm.brought,
        damage=damage,
        notes=(
            *_gaps(trials),
            *damage,
            *([] if study.hold == "updates" else _coupling(change, arm.recipe.epochs == baseline.recipe.epochs)),
            *arm.brought,
            *_same_training(study, index, by_arm),
            *(_outlook(against_baseline) if looks is None or index == study.baseline else _looked(looks, index)),
            *([] if index == study.baseline else _post_hoc(stands)),
        ),
        curves=_mean(finished),
    )


def _gaps(trials: Sequence[TrialFindings]) -> list[str]:
    """Say which trials have no value, and why."""
    notes = []
    diverged = [trial for trial in trials if trial.state == "diverged"]
    if diverged:
        rest = len(trials) - len(diverged)
        notes.append(f"{len(diverged)} of {len(trials)} diverged" + (": numbers are of the others" if rest else ""))
    waiting = sum(trial.state in ("unfinished", "missing") for trial in trials)
    if waiting:
        notes.append(f"{waiting} of {len(trials)} not finished")
    return notes


def _damage(trials: Sequence[TrialFindings], baseline: Sequence[TrialFindings]) -> tuple[str, ...]:
    """Say which trials a verdict lacks because they are damaged."""
    own = [f"without block {trial.block}, which is damaged" for trial in trials if trial.state == "damaged"]
    others = [trial.block for trial in baseline if trial.state == "damaged"]
    return (*own, *(f"without block {block} of the baseline, which is damaged" for block in others))


def _coupling(change: float, epochs_held: bool) -> list[str]:
    """Say when a level changes the number of updates by itself."""
    if change == 0.0:
        return []
    return [f"updates {change:+.0%}" + (" (epochs held)" if epochs_held else "")]


def _same_training(study: Study, index: int, by_arm: Sequence[Sequence[TrialFindings]]) -> list[str]:
    """Name the arm whose trials went the same; of several, the baseline or the first."""
    others = () if index == study.baseline else (study.baseline, *range(index))
    alike = next((other for other in others if went_the_same(by_arm[index], by_arm[other])), None)
    if alike is None:
        return []
    return [f"the same training as {study.arms[alike].label}: all losses and accuracies are equal"]


def _outlook(result: ArmResult | None) -> list[str]:
    """Say what qualifies a verdict, and what would decide an open one."""
    if result is None or result.verdict is None:
        return []
    notes = [result.withheld] if result.withheld else []
    if result.verdict is Verdict.SCREEN:
        notes.append("too few blocks shared with the baseline for a verdict")
    elif result.verdict is Verdict.UNDECIDED and not result.withheld:
        notes.append(
            f"about {result.blocks_needed} blocks in all would decide it, if difference and spread stay"
            if result.blocks_needed
            else "out of reach: no feasible number of blocks would decide it"
        )
    elif result.within_margin and result.verdict is not Verdict.SAME:
        notes.append("smaller than the margin")
    return notes


def _post_hoc(stands: Standing | None) -> list[str]:
    """Mark what no frozen plan names, where a plan was ever frozen."""
    if stands is None or not stands.post_hoc:
        return []
    return ["post hoc" if stands.plan is None else "partly post hoc"]


def _mean(curves: Sequence[Curves]) -> Curves | None:
    """Average curves epoch by epoch."""
    if not curves:
        return None

    def average(name: str) -> tuple[float, ...]:
        return tuple(np.mean([getattr(one, name) for one in curves], axis=0).tolist())

    return Curves(
        epochs=curves[0].epochs,
        train_loss=average("train_loss"),
        train_accuracy=average("train_accuracy"),
        validation_loss=average("validation_loss"),
        validation_accuracy=average("validation_accuracy"),
    )
