"""Say what a plan will cost, from what the store has timed and a short probe, and which differences it can show."""

import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain
from math import isnan, nan
from statistics import median
from typing import Any, Literal

import numpy as np

from eailab.engines.registry import engine_of
from eailab.errors import StoreError, StudyError
from eailab.metrics import Metric
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import canonical, digest
from eailab.runs.context import RunContext
from eailab.runs.machine import BYTES_A_TRIAL, side_by_side
from eailab.runs.probe import Probe, probe
from eailab.runs.store import Store
from eailab.runs.training import result_for
from eailab.runs.trial import Trial
from eailab.stats.model import compare
from eailab.stats.power import blocks_to_detect, detectable_difference
from eailab.stats.variance import upper_sd
from eailab.stats.verdict import MOST_BLOCKS
from eailab.studies.design import Study
from eailab.studies.plan import left_to_train
from eailab.studies.storage import Plan

UNKNOWN = Probe("cpu", nan, 0.0, None, None, None, BYTES_A_TRIAL)
"""Of a trial that is not run only to see what it takes."""

BLOCKS_LOOKED_AT = 64
"""Blocks of a recipe that the store is asked for; a trial is found by its name, so none has to be listed."""

TRIALS_LOOKED_AT = 256
"""The newest of a store, for those of programs with other settings; their recipes have to be read."""


@dataclass(frozen=True)
class Cost:
    """The cost of one trial of a recipe."""

    seconds: float
    source: Literal["store", "store, other settings", "--try", "probe", "not known"]
    """Whether the time is of finished epochs of the same recipe on the same device, of the same program with other
    settings, of a run of it by `--try`, or of the probe; a program that has not run yet is not run for it, and
    `seconds` is NaN."""
    probe: Probe


@dataclass(frozen=True)
class Forecast:
    """The cost of what is left of some plans, before it is trained."""

    costs: dict[str, Cost]
    """By `recipe_key`; only of recipes with something left to train."""
    trials: int
    """Left to train."""
    jobs: int
    """Side by side."""
    seconds: float
    """Until all have ended, if those side by side do not slow each other down."""
    memory_bytes: int | None
    """Of all processes that train side by side."""
    gpu_bytes: int | None
    disk_bytes: int

    def mapping(self) -> dict[str, Any]:
        """Return all but the costs of each recipe as plain values."""
        return {
            "trials": self.trials,
            "jobs": self.jobs,
            "seconds": None if isnan(self.seconds) else round(self.seconds, 3),
            "memory_bytes": self.memory_bytes,
            "gpu_bytes": self.gpu_bytes,
            "disk_bytes": self.disk_bytes,
            "devices": self.devices,
        }

    @property
    def devices(self) -> list[str]:
        """Return what the trials would run on, in words."""
        return sorted({cost.probe.device for cost in self.costs.values()})


def recipe_key(recipe: Recipe) -> str:
    """Return a key that equal recipes share under any name."""
    return digest(canonical(recipe))


def forecast(plans: Sequence[Plan], context: RunContext, jobs: int | None) -> Forecast:
    """Say what training the rest of some plans takes; nothing is written and no trial is begun.

    `jobs` is None for as many trials side by side as will be chosen.

    Raises:
        DataError: The data do not fit a recipe.
        DeviceError: The device is not here.
    """
    todo = left_to_train(plans)
    costs = costs_of(todo, context)
    probes = [cost.probe for cost in costs.values()]
    side = min(jobs or side_by_side(todo, context), max(1, len(todo)), *map(_fitting, probes))
    memory = [one.memory_bytes for one in probes if one.memory_bytes is not None]
    gpu = [one.gpu_bytes for one in probes if one.gpu_bytes is not None]
    return Forecast(
        costs=costs,
        trials=len(todo),
        jobs=side,
        seconds=_together([costs[recipe_key(trial.recipe)].seconds for trial in todo], side),
        memory_bytes=max(memory) * side if memory else None,
        gpu_bytes=max(gpu) * side if gpu else None,
        disk_bytes=sum(costs[recipe_key(trial.recipe)].probe.disk_bytes for trial in todo),
    )


def costs_of(trials: Sequence[Trial], context: RunContext) -> dict[str, Cost]:
    """Return what a trial of each recipe takes, by `recipe_key`."""
    by_recipe = {recipe_key(trial.recipe): trial for trial in trials}
    ours = {key: trial for key, trial in by_recipe.items() if not engine_of(trial.recipe).is_foreign}
    probes = dict(zip(ours, probe(list(ours.values()), context) if ours else [], strict=True))
    costs = {key: _cost(context.store, trial, probes.get(key, UNKNOWN)) for key, trial in by_recipe.items()}
    unknown = {key for key, cost in costs.items() if isnan(cost.seconds)}
    others = _of_their_programs(context.store, [by_recipe[key].recipe for key in unknown])
    return {key: others[by_recipe[key].recipe.started] if key in unknown else cost for key, cost in costs.items()}


def blocks_for(plans: Sequence[Plan], context: RunContext, jobs: int | None, budget: float) -> tuple[int, float]:
    """Return how many blocks, from block 0 on, a time allows, and the time that they take; finished trials cost none.

    The plans' own numbers of blocks have no effect. `jobs` are trials side by side, None for as many as will be chosen;
    `budget` is in seconds.

    Raises:
        StudyError: The time is too short for one block.
    """
    trials = {trial.fingerprint: trial for planned in plans for trial in planned.trials}
    arms = list({recipe_key(trial.recipe): trial for trial in trials.values()}.values())
    store = context.store

    def left(block: int) -> list[Trial]:
        of_block = (Trial(arm.recipe, block, arm.data) for arm in arms)
        return [trial for trial in of_block if result_for(trial, store.folder(trial.fingerprint)) is None]

    # Measure what a trial of each arm takes.
    first_unfinished = next(filter(None, map(left, range(MOST_BLOCKS))), [])
    costs = costs_of(arms if first_unfinished else [], context)
    most = jobs or side_by_side(list(chain(first_unfinished, first_unfinished)), context)
    side = min([most, *(_fitting(cost.probe) for cost in costs.values())])
    # Add blocks while the time lasts.
    seconds: list[float] = []
    spent = 0.0
    for block in range(MOST_BLOCKS):
        seconds += [costs[recipe_key(trial.recipe)].seconds for trial in left(block)]
        needed = _together(seconds, side)
        if isnan(needed):
            raise StudyError(
                "--budget needs to know what a trial takes, and none of this program has run yet: run it once with "
                "--try, and then give the same command with --budget."
            )
        if needed > budget:
            if block == 0:
                raise StudyError(
                    f"--budget allows {budget:.3g} s, and one block of {len(arms)} trials takes about {needed:.3g} s: "
                    "give more time, fewer levels, or fewer epochs with -o epochs=N."
                )
            return block, spent
        spent = needed
    return MOST_BLOCKS, spent


def _cost(store: Store, trial: Trial, measured: Probe) -> Cost:
    recipe = trial.recipe
    timings = chain.from_iterable(
        store.folder(Trial(recipe, block, trial.data).fingerprint).timings().values()
        for block in sorted({*range(BLOCKS_LOOKED_AT), trial.block})
    )
    known = [timing.seconds for timing in timings if timing.device == measured.device]
    if known:
        return Cost(median(known) * recipe.epochs + measured.other_seconds, "store", measured)
    if measured is UNKNOWN:
        return Cost(nan, "not known", measured)
    return Cost(measured.epoch_seconds * recipe.epochs + measured.other_seconds, "probe", measured)


def _of_their_programs(store: Store, recipes: Sequence[Recipe]) -> dict[str, Cost]:
    """Return what trials of a person's own training took with other settings, by what they start.

    The newest trials of the store are looked at; without one that was timed, what `--try` has measured is taken.
    """
    found: dict[str, list[float]] = {recipe.started: [] for recipe in recipes}
    for name in _newest(store) if any(found) else ():
        folder = store.folder(name)
        with suppress(StoreError):
            if (started := folder.recipe().started) in found:
                timings = folder.timings().values()
                found[started] += [timing.seconds for timing in timings if timing.device == UNKNOWN.device]
    tried = {recipe.started: engine_of(recipe).tried_seconds(recipe, store.root) for recipe in recipes}
    return {
        started: Cost(median(seconds), "store, other settings", UNKNOWN)
        if seconds
        else Cost(nan, "not known", UNKNOWN)
        if (known := tried[started]) is None
        else Cost(known, "--try", UNKNOWN)
        for started, seconds in found.items()
    }


def _newest(store: Store) -> list[str]:
    """Return the names of the trials whose folders have changed last, at most `TRIALS_LOOKED_AT`."""

    def changed(name: str) -> float:
        try:
            return store.folder(name).path.stat().st_mtime
        except OSError:  # removed meanwhile
            return 0.0

    return nlargest(TRIALS_LOOKED_AT, store.trial_names(), key=changed)


def _fitting(one: Probe) -> int:
    """Return how many trials side by side the memory of the GPU holds; without a GPU, a huge number."""
    return max(1, one.gpu_total_bytes // one.gpu_bytes) if one.gpu_bytes and one.gpu_total_bytes else sys.maxsize


def _together(seconds: Sequence[float], side: int) -> float:
    """Return the time of trials side by side, no less than the longest; NaN where that of one is not known."""
    return nan if any(map(isnan, seconds)) else max(sum(seconds) / side, max(seconds, default=0.0))


# --- what it can show -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpreadEstimate:
    """Describe how far trials differ by chance alone."""

    sd: float
    """Of a trial within its block, in the metric's unit."""
    source: str
    """Where it is from, in words."""
    df: float = math.inf
    """Its degrees of freedom; infinity where it is taken as known."""

    @property
    def planned_sd(self) -> float:
        """Return the SD that studies are planned with: the upper 80% bound of what few trials show."""
        return upper_sd(self.sd, self.df)

    def bound(self, measure: Metric) -> str:
        """Say which SD is planned with, where it is not the SD itself; it begins with a comma."""
        if math.isinf(self.df):
            return ""
        return f", planned with its upper 80% bound, {measure.with_unit(f'{self.planned_sd:.2g}')}"


def noise_of(planned: Plan, store: Store, sd: float | None) -> SpreadEstimate | None:
    """Return the noise that a plan is judged by: an assumed SD in the margin's unit, else what the store shows."""
    if sd is not None:
        return SpreadEstimate(sd * planned.record.study.measure.margin_scale, "as assumed by --sd")
    return known_noise(planned, store)


def known_noise(planned: Plan, store: Store) -> SpreadEstimate | None:
    """Return the noise of a plan's arms from the trials that the store has of them, or None where they show none.

    With two blocks of two arms it is the SD of the blocked model's error; else the SD of one arm over its blocks, which
    contains what blocking takes away, and so errs on the careful side.
    """
    study = planned.record.study
    if study.factor is None:
        return None
    data = [trial.data for trial in planned.trials[: len(study.arms)]]
    blocks = sorted({*range(BLOCKS_LOOKED_AT), *study.blocks})
    values = np.array(
        [
            [
                _value(store, Trial(arm.recipe, block, data[index]), study.measure)
                for index, arm in enumerate(study.arms)
            ]
            for block in blocks
        ]
    )
    comparison = compare(values, study.baseline, 0.0, outlooks=False)
    number = int(np.isfinite(values).sum())
    if comparison.pooled_sd:
        return SpreadEstimate(
            comparison.pooled_sd,
            f"within blocks, from {number} finished trials of these arms",
            comparison.pooled_df or math.inf,
        )
    known = [(arm.sd, arm.trials - 1) for arm in comparison.arms if arm.sd is not None]
    degrees = sum(df for _, df in known)
    pooled = float(np.sqrt(sum(sd**2 * df for sd, df in known) / degrees)) if degrees else 0.0
    return (
        SpreadEstimate(pooled, f"over blocks, from {number} finished trials of these arms", degrees) if pooled else None
    )


def detects(planned: Plan, sd: float) -> float | None:
    """Return the smallest difference that a plan detects at 80% power; None with one block, or nothing to compare."""
    study = planned.record.study
    if study.factor is None or len(study.blocks) < 2:
        return None
    return detectable_difference(len(study.blocks), len(study.arms), sd)


def weak_design(study: Study) -> str | None:
    """Warn of two blocks, with which only huge differences show; None with more, with one, or nothing to compare."""
    arms = len(study.arms)
    if study.factor is None or len(study.blocks) != 2:
        return None
    two, three = (f"{detectable_difference(blocks, arms, 1.0):.2g}" for blocks in (2, 3))
    return (
        f"two blocks leave one degree of freedom, so intervals are very wide: only differences of {two} times the SD "
        f"of a trial show (80% power); with three blocks, {three} times."
    )


def blocks_that_detect(planned: Plan, store: Store, difference: float, sd: float | None) -> tuple[int, SpreadEstimate]:
    """Return the fewest blocks that detect a difference at 80% power, and the noise that they are computed with.

    Args:
        planned: Its own number of blocks has no effect.
        store: What has finished there shows the noise.
        difference: In the margin's unit.
        sd: Of a trial within its block, in the margin's unit, in place of the store's.

    Raises:
        StudyError: The noise is not known; the difference is 0 or less, or needs more than 1000 blocks.
    """
    study = planned.record.study
    noise = noise_of(planned, store, sd)
    if noise is None:
        raise StudyError(
            f"--detect {difference:g} needs the SD of a trial, and no finished trials of {study.name} show it: "
            "measure it with `eailab noise`, or assume one with --sd."
        )
    blocks = blocks_to_detect(difference * study.measure.margin_scale, noise.planned_sd, len(study.arms))
    if blocks is None:
        raise StudyError(
            f"--detect {difference:g}: with an SD of {noise.sd:.3g} within blocks{noise.bound(study.measure)} it takes "
            "more than 1000 blocks. Ask for a larger difference."
        )
    return blocks, noise


def _value(store: Store, trial: Trial, metric: Metric) -> float:
    try:
        result = store.folder(trial.fingerprint).result()
    except StoreError:
        return float("nan")  # the plan has set damaged results aside; another process may be writing
    value = None if result is None else metric.value(result.values)
    return float("nan") if value is None else value
