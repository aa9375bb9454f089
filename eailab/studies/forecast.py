"""What a plan will cost: trials, time, memory and disk, from what the store has timed before and a short probe."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import Any, Literal

from eailab.errors import StudyError
from eailab.recipe.canonical import canonical, digest
from eailab.recipe.schema import Recipe
from eailab.runs.context import RunContext
from eailab.runs.probe import Probe, probe
from eailab.runs.store import Store
from eailab.runs.training import result_of
from eailab.runs.trial import Trial
from eailab.stats.verdict import MOST_BLOCKS
from eailab.studies.parallelism import side_by_side
from eailab.studies.plan import left_to_train
from eailab.studies.record import Plan

BLOCKS_LOOKED_AT = 64
"""Blocks of a recipe that the store is asked for; a trial is found by its name, so none has to be listed."""


@dataclass(frozen=True)
class Cost:
    """What one trial of a recipe takes."""

    seconds: float
    source: Literal["store", "probe"]
    """Whether the time is of finished epochs of the same recipe on the same device, or of the probe."""
    probe: Probe


@dataclass(frozen=True)
class Forecast:
    """What is left of some plans, before it is trained."""

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
            "seconds": round(self.seconds, 3),
            "memory_bytes": self.memory_bytes,
            "gpu_bytes": self.gpu_bytes,
            "disk_bytes": self.disk_bytes,
            "devices": self.devices,
        }

    @property
    def devices(self) -> list[str]:
        """What the trials would run on, in words."""
        return sorted({cost.probe.device for cost in self.costs.values()})


def recipe_key(recipe: Recipe) -> str:
    """Return what names a recipe, whatever its name."""
    return digest(canonical(recipe))


def forecast(plans: Sequence[Plan], context: RunContext, jobs: int | None) -> Forecast:
    """Say what training the rest of some plans takes; nothing is written and no trial is begun.

    Args:
        plans: What is to be trained.
        context: Where.
        jobs: Trials side by side; None for as many as will be chosen.

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
    probes = probe(list(by_recipe.values()), context) if by_recipe else []
    return {
        key: _cost(context.store, trial, measured)
        for (key, trial), measured in zip(by_recipe.items(), probes, strict=True)
    }


def blocks_for(plans: Sequence[Plan], context: RunContext, jobs: int | None, budget: float) -> tuple[int, float]:
    """Return how many blocks, from block 0 on, a time allows, and the time that they take; finished trials cost none.

    Args:
        plans: Of one block or more; their own numbers of blocks have no effect.
        context: Where.
        jobs: Trials side by side; None for as many as will be chosen.
        budget: In seconds.

    Raises:
        StudyError: The time is too short for one block.
    """
    trials = {trial.fingerprint: trial for planned in plans for trial in planned.trials}
    arms = list({recipe_key(trial.recipe): trial for trial in trials.values()}.values())
    store = context.store

    def left(block: int) -> list[Trial]:
        of_block = (Trial(arm.recipe, block, arm.data) for arm in arms)
        return [trial for trial in of_block if result_of(store.folder(trial.fingerprint)) is None]

    first_unfinished = next(filter(None, map(left, range(MOST_BLOCKS))), [])
    costs = costs_of(arms if first_unfinished else [], context)
    most = jobs or side_by_side(list(chain(first_unfinished, first_unfinished)), context)
    side = min([most, *(_fitting(cost.probe) for cost in costs.values())])
    seconds: list[float] = []
    spent = 0.0
    for block in range(MOST_BLOCKS):
        seconds += [costs[recipe_key(trial.recipe)].seconds for trial in left(block)]
        needed = _together(seconds, side)
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
    return Cost(measured.epoch_seconds * recipe.epochs + measured.other_seconds, "probe", measured)


def _fitting(one: Probe) -> int:
    """Return how many trials side by side the memory of the GPU holds; without a GPU, more than anybody asks for."""
    return max(1, one.gpu_total_bytes // one.gpu_bytes) if one.gpu_bytes and one.gpu_total_bytes else sys.maxsize


def _together(seconds: Sequence[float], side: int) -> float:
    """Return the time of trials side by side: no less than the longest."""
    return max(sum(seconds) / side, max(seconds, default=0.0))
