"""Estimate what the differences between arms are worth for other images, from predictions and their labels.

No verdict rests on it. The labels are the data set's, so that nothing is found where its files are not at hand.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eailab.data.registry import load
from eailab.data.split import split_of
from eailab.errors import DataError, StoreError
from eailab.findings.trial import TrialFindings
from eailab.metrics import TEST, VALIDATION, Metric
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.stats.model import Comparison
from eailab.stats.new_images import NewImages, for_new_images
from eailab.studies.storage import StudyRecord

Right = NDArray[np.bool_]
"""`[N]`, which images of a split a trial has right."""


def new_images(
    store: Store,
    record: StudyRecord,
    trials: Sequence[Sequence[TrialFindings]],
    comparison: Comparison | None,
    data_dir: Path | None,
) -> tuple[NewImages | None, ...]:
    """Return for each arm the interval of its difference for new images; None where that is not known.

    It is known where the verdict rests on a share of right answers, all trials were scored on the same images, and
    these trials' predictions and the files of the data set can be read.

    Trials are of each arm, block by block; those without a value have no part in it. A single trial has no comparison.
    Without `data_dir` the usual folder of data sets is read. Nothing is downloaded.
    """
    nothing = (None,) * len(trials)
    judged = [] if comparison is None else [index for index, arm in enumerate(comparison.arms) if arm.interval]
    labels = _labels(record, data_dir) if judged else None
    if comparison is None or labels is None:
        return nothing
    right = [_right(store, row, record.study.measure, labels) for row in trials]
    baseline = right[comparison.baseline]

    def found(index: int) -> NewImages | None:
        shared = sorted(right[index].keys() & baseline.keys())
        if index not in judged or len(shared) < 2 or len(labels) < 2:
            return None
        pairs = [np.subtract(right[index][block], baseline[block], dtype=np.float64) for block in shared]
        return for_new_images(record.study.measure.scale * np.array(pairs), comparison.arms[index], len(judged))

    return tuple(map(found, range(len(trials))))


def _labels(record: StudyRecord, data_dir: Path | None) -> NDArray[np.integer] | None:
    """Return the labels of the images that every trial was scored on; None where these differ or are not known."""
    study, recipes = record.study, [arm.recipe.images for arm in record.study.arms]
    measure, baseline = study.measure, recipes[study.baseline]
    if baseline is None or not measure.is_share or measure.split not in (VALIDATION, TEST) or record.imported:
        return None
    data = baseline.data
    same = ("name", "val_fraction", "split", "split_seed") if measure.split == VALIDATION else ("name",)
    is_shared = all(
        one is not None and all(getattr(one.data, name) == getattr(data, name) for name in same) for one in recipes
    )
    if not is_shared or (measure.split == VALIDATION and data.split == "per-block"):
        return None
    try:
        dataset = load(data.name, data_dir, download=False)
    except DataError:  # as for the pictures of a report, which need the files too
        return None
    first = study.blocks[0]
    if any(
        Trial(arm.recipe, first, dataset.fingerprint).fingerprint != record.trials[index, first]
        for index, arm in enumerate(study.arms)
    ):
        return None
    if measure.split == TEST:
        return dataset.test.labels
    return dataset.train.labels[split_of(len(dataset.train), data, first).validation]


def _right(
    store: Store, row: Sequence[TrialFindings], measure: Metric, labels: NDArray[np.integer]
) -> dict[int, Right]:
    """Return which images each trial has right, by block, as far as its predictions say so and fit its value."""
    found = {}
    for trial in row:
        if trial.value is None:
            continue
        try:
            predicted = store.folder(trial.fingerprint).predictions(measure.split)[measure.split]
        except StoreError:  # `verify` reports a damaged file; no verdict rests on this one
            continue
        if predicted.shape == labels.shape:
            right: Right = predicted == labels
            if abs(measure.scale * float(right.mean()) - trial.value) <= measure.scale * 1e-6:
                found[trial.block] = right
    return found
