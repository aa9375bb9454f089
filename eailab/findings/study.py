"""Compute every number of a report once; the formats only set them.

Values of metrics and their differences are in the units shown, which the metrics declare.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from eailab.engines.registry import engine_of, headline_of, metrics_of
from eailab.errors import DamagedError, StoreError
from eailab.files import folder_name
from eailab.findings.arm import ArmFindings, arm_findings
from eailab.findings.collapse import marked
from eailab.findings.comparing import compare_arms, effects_of, planned_verdicts_of, trend_of, without_effect
from eailab.findings.looks import Looks, Trials, decided, judge_again, look
from eailab.findings.merging import CarriedArm, Merging
from eailab.findings.new_images import new_images
from eailab.findings.trial import Environment, imported_trial, read_trial
from eailab.findings.words import decimals_for, factor_as_heading, factor_in_words, takes_plural
from eailab.metrics import TEST, VALIDATION, Metric, by_quantity
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import NO_IDENTITY, flatten
from eailab.runs.store import Store
from eailab.stats.contrasts import Factorial, Trend
from eailab.stats.model import Comparison
from eailab.stats.verdict import SINGLE_LOOK, Verdict
from eailab.studies.audit import Check
from eailab.studies.audit_run import checks_of, is_of_program
from eailab.studies.design import Study
from eailab.studies.imported import Imported, runs_of
from eailab.studies.judgements import Related
from eailab.studies.labels import Names, renamed, renamed_tuning
from eailab.studies.plan import held
from eailab.studies.preregistration import Standing, standing
from eailab.studies.storage import StudyRecord
from eailab.studies.tuning_file import Tuning, read_tuning
from eailab.translation import Text, tr

StudyState = Literal["complete", "running", "imported"]
"""`running` until every trial has ended; nothing in the store tells a study at work from one that was interrupted.
`imported`: eailab did not run its trials."""

Settings = tuple[tuple[str, Any], ...]
"""Dotted path and value of settings, in the order of the recipe."""


@dataclass(frozen=True)
class StudyFindings:
    """A study, or a single trial (no factor, one arm, one block)."""

    name: str
    fingerprint: str
    factor: str | None
    """Dotted path of the varied field; None for a single trial."""
    state: StudyState
    blocks: tuple[int, ...]
    measure: Metric
    metrics: tuple[Metric, ...]
    """What its trials record."""
    headline: Metric
    """Whose quantity comes first in figures."""
    test_metric: Metric | None
    """The same quantity on the test split; None where trials do not record it."""
    margin: float
    """In the metric's unit."""
    arms: tuple[ArmFindings, ...]
    baseline: int
    """Index of the arm that the others are compared with."""
    comparison: Comparison | None
    """What the intervals rest on; None for a single trial."""
    trend: Trend | None
    """Over an ordered factor with three or more levels; None for others, and where a trial failed."""
    effects: Factorial | None
    """Of a factorial with two blocks of every combination."""
    effects_withheld: str | None
    """Why a factorial has none."""
    baseline_levels: dict[str, str]
    """Of a factorial: each factor's level in the baseline, by the factor's path."""
    looks: Looks | None
    """Of a study that adds blocks until its arms are decided, or that was judged again; None of one judged once."""
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
    training_images: int | None
    """Of the baseline arm; None of an engine without a data set."""
    validation_images: int | None
    """Of a trial, by its predictions; None without a data set, or where arms may differ in it."""
    counted: Text | None
    """Which of the values of a trial counts; None for that after the last epoch."""
    test_images: int | None = None
    """As many as each trial was tested on; None as above."""
    imported: Imported | None = None
    """The source of trials that eailab did not run."""
    audit: tuple[Check, ...] = ()
    """Of a program's study: whether its seed and its factor reach it."""
    tuning: Tuning | None = None
    """How each arm was tuned before the arms were compared; None where they were not."""
    carried: tuple[CarriedArm, ...] = ()
    """What became of each value of the arms that are compared by several; none of arms with one value."""
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the trials of other values than those that stand for an arm, by what the arm was called."""
    is_tuning_lost: bool = False
    """Whether they were tuned, and the file that says how is damaged."""
    names: Names = field(default_factory=dict)
    """What arms are called otherwise than in the store, by their own labels."""
    related: tuple[Related, ...] = ()
    """Other studies of the store that compare the same trials, where a report was asked to look for them."""
    apart: tuple[str, ...] = ()
    """What tells it from other studies of the same report with the same title; see `tell_apart`."""

    @property
    def folder_name(self) -> str:
        """Return what its folder is called below `studies/`."""
        return folder_name(self.name, self.fingerprint)

    @property
    def metric(self) -> str:
        """Return the name of what it is judged by."""
        return self.measure.name

    @property
    def heading(self) -> str:
        """Return the factor as a column is headed; empty for a single trial."""
        return factor_as_heading(self.factor)

    @property
    def spoken_factor(self) -> str:
        """Return the factor as a sentence says it; empty for a single trial."""
        return factor_in_words(self.factor)

    @property
    def title(self) -> str:
        """Return the question that the study asks, or the name of the single trial."""
        if self.factor is None:
            return self.name
        values = {"factor": self.spoken_factor, "metric": self.measure.title}
        if takes_plural(self.factor):
            return tr("Do the {factor} change the {metric}?", **values)
        return tr("Does the {factor} change the {metric}?", **values)

    @property
    def is_blocked(self) -> bool:
        """Return whether the arms of a block share its seeds; else blocks only number the runs."""
        return self.comparison is None or self.comparison.is_blocked

    @property
    def baseline_arm(self) -> ArmFindings:
        """Return the arm that the others are compared with."""
        return self.arms[self.baseline]

    @property
    def decimals(self) -> int:
        """Return how many decimals its values are shown with."""
        results = [arm.against_baseline for arm in self.arms if arm.against_baseline is not None]
        return decimals_for([result.interval for result in results if result.interval], self.measure.decimals)

    @property
    def levels(self) -> tuple[float, ...]:
        """Return the levels at which its arms are judged: of a single look, else of the looks of their rows."""
        compared = [arm.against_baseline for arm in self.arms if not arm.is_baseline and arm.against_baseline]
        return tuple(sorted({result.level for result in compared if result.interval})) or (SINGLE_LOOK,)

    @property
    def blocks_to_decide(self) -> int | None:
        """Return the blocks in all that are likely to decide the open arms; None where no number is known.

        Four in five, or an even chance where no number has that.
        """
        compared = [arm.against_baseline for arm in self.arms if arm.against_baseline is not None]
        wanted = [result.blocks_likely or result.blocks_needed for result in compared]
        return max((number for number in wanted if number is not None), default=None)

    @property
    def can_look(self) -> bool:
        """Return whether the same comparison can be made with looks fixed in advance: of one factor, in blocks."""
        is_open = (self.looks is None or not self.looks.planned) and not self.carried
        return is_open and self.imported is None and self.is_blocked and not self.baseline_levels

    @property
    def is_primary(self) -> bool:
        """Return whether its metric is the one that decides where the same trials are judged by several.

        That is the metric of a frozen plan, else the one that studies of its engine rest on by default.
        """
        is_planned = self.standing is not None and self.standing.plan is not None
        return is_planned or self.metric == self.headline.name or all(one.metric is None for one in self.related)

    @property
    def damaged(self) -> list[str]:
        """Return the trials that cannot be read, as ARM/BLOCK."""
        return [f"{arm.label}/{one.block}" for arm in self.arms for one in arm.trials if one.state == "damaged"]

    @property
    def ended(self) -> int:
        """Return the number of trials with nothing left to train."""
        return sum(arm.ended for arm in self.arms)

    @property
    def is_unfinished(self) -> bool:
        """Return whether some trials are not damaged and still have no result."""
        return self.ended + len(self.damaged) < self.planned

    @property
    def planned(self) -> int:
        """Return the number of trials of the study."""
        return sum(len(arm.trials) - arm.count("spared", "absent") for arm in self.arms)


def study_findings(
    store: Store, record: StudyRecord, data_dir: Path | None = None, names: Names | None = None, *, widen: bool = False
) -> StudyFindings:
    """Read a study's trials and compute every number that is reported of it.

    Args:
        store: Where the trials lie; what is damaged or missing there becomes a marked gap.
        record: The study and the names of its trials; blocks that came after its last judgement are left out.
        data_dir: Folder of downloaded data sets, whose labels tell what holds for new images; None for the usual one.
        names: What its arms are called otherwise; see `studies/labels.py`.
        widen: Whether to find that, for which the data set and all predictions are read.
    """
    # What is measured.
    names = names or {}
    record = renamed(record.as_judged, names)
    study = record.study
    measure = study.measure
    margin = study.margin * measure.margin_scale
    by_arm = [metrics_of(arm.recipe) for arm in study.arms]
    metrics = tuple({metric.key: metric for own in by_arm for metric in own}.values())
    headline = headline_of(study.arms[study.baseline].recipe)
    test_metric = by_quantity(metrics, TEST).get(headline.quantity, {}).get(TEST)

    # The trials, and what the looks of a study still count of them.
    looks = None
    read = [
        tuple(
            imported_trial(block, value, measure)
            for block, value in zip(study.blocks, runs_of(record.imported, study, index), strict=True)
        )
        if record.imported is not None
        else tuple(
            read_trial(store.folder(record.trials[index, block]), block, measure, arm.recipe.epochs, by_arm[index])
            for block in study.blocks
        )
        for index, arm in enumerate(study.arms)
    ]
    finished = next((trial.fingerprint for row in read for trial in row if trial.state == "finished"), None)
    images = {} if finished is None else images_evaluated(store, study, finished)
    mark = partial(marked, record, metrics=metrics, images=images.get(VALIDATION))
    trials = list(mark(read))
    if study.looks:
        trials, looks = look(study, trials, margin, measure)
    environments = Counter(t.environment for row in trials for t in row if t.environment is not None)

    # How the arms were tuned, and which of them are compared as one.
    try:
        tuning, is_tuning_lost = read_tuning(store.root / "studies" / study.folder_name), False
        tuning = renamed_tuning(tuning, names)
    except DamagedError:
        tuning, is_tuning_lost = None, True
    merging = Merging(record, tuning) if tuning is not None and tuning.is_merged else None
    first_level = SINGLE_LOOK if tuning is None else tuning.level
    stands, whole = standing(store, record) if study.factor is not None else None, trials
    if merging is not None:
        record, trials = merging.merged(trials)

    # The comparison of the arms.
    comparison = None
    if looks is not None:
        comparison = compare_arms(record, trials, margin)
    elif study.factor is not None:

        def compared(some: Trials, level: float) -> Comparison:
            counted = mark(some)
            if merging is None:
                return compare_arms(record, counted, margin, level)
            return compare_arms(*merging.merged(counted), margin, level)

        comparison, looks = judge_again(record, read, compared, first_level)
    if comparison is not None and looks is not None:
        comparison = decided(comparison, looks)
    if comparison is not None and is_of_program(study):
        comparison = without_effect(comparison, record.study, trials)
    widened = new_images(store, record, trials, comparison, data_dir) if widen else (None,) * len(trials)
    effects, effects_withheld = effects_of(study, trials)

    return StudyFindings(
        name=study.name,
        fingerprint=study.fingerprint,
        factor=None if study.factor is None else str(study.factor),
        state="imported"
        if record.imported
        else "complete"
        if all(trial.has_ended for row in trials for trial in row)
        else "running",
        blocks=study.blocks,
        measure=measure,
        metrics=metrics,
        headline=headline,
        test_metric=test_metric,
        margin=margin,
        arms=tuple(
            arm_findings(
                record,
                index,
                trials,
                None if comparison is None else comparison.arms[index],
                stands,
                looks,
                test_metric,
                widened[index],
            )
            for index in range(len(trials))
        ),
        baseline=record.study.baseline,
        comparison=comparison,
        trend=trend_of(record.study, trials),
        effects=effects,
        effects_withheld=effects_withheld,
        baseline_levels={str(axis.factor): axis.levels[axis.baseline] for axis in study.axes},
        looks=looks,
        standing=stands,
        planned_verdicts=planned_verdicts_of(record, trials, stands, margin, first_level),
        updates_held=tuple(held(record.study, record.updates)),
        held_fixed=held_fixed([arm.recipe for arm in study.arms]),
        environments=tuple(sorted(environments.items(), key=lambda item: str(item[0]))),
        training_images=record.training_images,
        validation_images=images.get("validation"),
        test_images=images.get("test"),
        counted=engine_of(study.arms[study.baseline].recipe).counted(study.arms[study.baseline].recipe),
        imported=record.imported,
        tuning=tuning,
        carried=() if merging is None else merging.carried(whole),
        left_out={}
        if merging is None
        else {arm: tuple(one.fingerprint for one in own) for arm, own in merging.left_out(whole).items()},
        is_tuning_lost=is_tuning_lost,
        names=names,
        audit=tuple(checks_of(store, record)) if study.factor and is_of_program(study) else (),
    )


def images_evaluated(store: Store, study: Study, finished: str) -> dict[str, int]:
    """Return on how many images each trial was validated and tested, from the predictions of a finished one."""
    data = [arm.recipe.images.data for arm in study.arms if arm.recipe.images is not None]
    if not data or len({(one.name, one.val_fraction, one.split) for one in data}) > 1:
        return {}
    try:
        return {split: len(found) for split, found in store.folder(finished).predictions().items()}
    except StoreError:  # `verify` reports a damaged file; no value rests on this one
        return {}


def held_fixed(recipes: Sequence[Recipe]) -> Settings:
    """Return the settings that all recipes have with the same value, without names and the study's own settings."""
    first, *others = [flatten(recipe) for recipe in recipes]
    fields = type(recipes[0]).model_fields
    quiet = {path for path in recipes[0].quiet if first.get(path) == fields[path].default}
    return tuple(
        (path, value)
        for path, value in first.items()
        if path not in quiet
        and path.partition(".")[0] not in NO_IDENTITY
        and all(path in other and other[path] == value for other in others)
    )
