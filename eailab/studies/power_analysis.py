"""Compute what a plan can show: the smallest difference it detects, and the blocks that detect a given one."""

from dataclasses import dataclass

import numpy as np

from eailab.errors import StoreError, StudyError
from eailab.metrics import Metric
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.stats.model import compare
from eailab.stats.power import blocks_to_detect, detectable_difference
from eailab.studies.design import Study
from eailab.studies.record import Plan

BLOCKS_LOOKED_AT = 64
"""Blocks of each arm that the store is asked for."""


@dataclass(frozen=True)
class Noise:
    """How far trials differ by chance alone."""

    sd: float
    """Of a trial within its block, in the metric's unit."""
    source: str
    """Where it is from, in words."""


def noise_of(planned: Plan, store: Store, sd: float | None) -> Noise | None:
    """Return the noise that a plan is judged by: an assumed SD in the margin's unit, else what the store shows."""
    if sd is not None:
        return Noise(sd * planned.record.study.measure.margin_scale, "as assumed by --sd")
    return known_noise(planned, store)


def known_noise(planned: Plan, store: Store) -> Noise | None:
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
    comparison = compare(values, study.baseline, 0.0)
    number = int(np.isfinite(values).sum())
    if comparison.pooled_sd:
        return Noise(comparison.pooled_sd, f"within blocks, from {number} finished trials of these arms")
    known = [(arm.sd, arm.trials - 1) for arm in comparison.arms if arm.sd is not None]
    degrees = sum(df for _, df in known)
    pooled = float(np.sqrt(sum(sd**2 * df for sd, df in known) / degrees)) if degrees else 0.0
    return Noise(pooled, f"over blocks, from {number} finished trials of these arms") if pooled else None


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


def blocks_that_detect(planned: Plan, store: Store, difference: float, sd: float | None) -> tuple[int, Noise]:
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
    blocks = blocks_to_detect(difference * study.measure.margin_scale, noise.sd, len(study.arms))
    if blocks is None:
        raise StudyError(
            f"--detect {difference:g}: with an SD of {noise.sd:.3g} within blocks it is out of reach, "
            "at more than 1000 blocks. Ask for a larger difference."
        )
    return blocks, noise


def _value(store: Store, trial: Trial, metric: Metric) -> float:
    try:
        result = store.folder(trial.fingerprint).result()
    except StoreError:
        return float("nan")  # the plan has set damaged results aside; another process may be writing
    value = None if result is None else metric.value(result.values)
    return float("nan") if value is None else value
