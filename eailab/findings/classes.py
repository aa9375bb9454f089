"""Count what the arms confuse: test predictions against labels, class by class and image by image.

The predictions are the store's; the labels and pictures are the data set's, so this part of a report needs its files.
Shapes: `N` test images, `K` classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Dataset
from eailab.data.registry import load
from eailab.errors import DataError, StoreError
from eailab.findings.study import StudyFindings
from eailab.metrics import TEST
from eailab.runs.store import Store
from eailab.stats.p_values import McNemar, mcnemar
from eailab.studies.storage import StudyRecord
from eailab.translation import tr

EXAMPLES = 8
"""Images shown of each kind at most."""

Confusion = NDArray[np.int64]
"""`[K, K]`: test images by their class (row) and by what was predicted (column), summed over an arm's trials."""


@dataclass(frozen=True)
class Example:
    """A test image on which an arm and the baseline disagree."""

    image: int
    """Its number in the test split."""
    label: int
    arm_said: int
    baseline_said: int
    """The most frequent predictions over the blocks."""
    arm_right: int
    baseline_right: int
    """Blocks in which each was right."""


@dataclass(frozen=True)
class Contrast:
    """An arm compared with the baseline, image by image, over the blocks that both have finished."""

    arm: int
    """Index of the arm."""
    blocks: int
    only_arm: tuple[Example, ...]
    """Images that the arm gets right more often, the clearest first."""
    only_baseline: tuple[Example, ...]
    networks: tuple[tuple[int, McNemar], ...]
    """Of each block its number, and the test of its two networks, the arm's first."""


@dataclass(frozen=True)
class Classes:
    """The test predictions of a study's arms."""

    dataset: Dataset
    confusions: tuple[Confusion | None, ...]
    """One an arm; None for one without a finished trial."""
    contrasts: tuple[Contrast, ...]

    def percent_right(self, arm: int) -> list[float | None]:
        """Return the percentage of each class that an arm gets right; None for a class or an arm without any."""
        confusion = self.confusions[arm]
        if confusion is None:
            return [None] * len(self.dataset.classes)
        images = confusion.sum(axis=1)
        return [
            100.0 * float(right) / int(count) if count else None
            for right, count in zip(confusion.diagonal(), images, strict=True)
        ]


def classes_of(
    store: Store, record: StudyRecord, findings: StudyFindings, data_dir: Path | None = None
) -> Classes | None:
    """Return what the arms of a study confuse; None of an engine that predicts no classes.

    Without `data_dir` the usual folder of data sets is read. Nothing is downloaded.

    Raises:
        DataError: It is not known; the message is a sentence for the report.
    """
    # The labels and the predictions.
    names = {name for arm in record.study.arms if (name := arm.recipe.data_name) is not None}
    if not names:
        return None
    if len(names) > 1:
        raise DataError(tr("The arms were tested on different data sets, so their predictions cannot be compared."))
    try:
        dataset = load(names.pop(), data_dir, download=False)
        predictions = [
            {
                trial.block: _predictions(store, trial.fingerprint, dataset)
                for trial in arm.trials
                if trial.state == "finished"
            }
            for arm in findings.arms
        ]
    except DataError as error:
        missing = tr("The files of the data set are not on this machine, so classes and examples are not shown.")
        raise DataError(missing) from error
    except StoreError as error:
        raise DataError(tr("Classes and examples are not shown: {reason}", reason=str(error))) from error
    if not any(predictions):
        raise DataError(tr("No trial has finished, so there are no predictions to show."))

    # What they confuse.
    labels = dataset.test.labels
    return Classes(
        dataset=dataset,
        confusions=tuple(_confusion(list(arm.values()), labels, len(dataset.classes)) for arm in predictions),
        contrasts=tuple(
            _contrast(index, arm, predictions[findings.baseline], labels)
            for index, arm in enumerate(predictions)
            if index != findings.baseline and set(arm) & set(predictions[findings.baseline])
        ),
    )


def _predictions(store: Store, fingerprint: str, dataset: Dataset) -> NDArray[np.int64]:
    """Return a trial's predictions of the test split, `[N]`.

    Raises:
        DataError: The trial saw other data than these.
        StoreError: They cannot be read.
    """
    folder = store.folder(fingerprint)
    if folder.identity()[1] != dataset.fingerprint:
        raise DataError("the data set on this machine is not the one that was tested on.")
    predicted = folder.predictions(TEST)[TEST].astype(np.int64)
    if predicted.shape != dataset.test.labels.shape or predicted.max(initial=0) >= len(dataset.classes):
        raise StoreError(f"the predictions of {fingerprint} do not fit the data set {dataset.name}.")
    return predicted


def _confusion(predictions: Sequence[NDArray[np.int64]], labels: NDArray[np.int64], classes: int) -> Confusion | None:
    if not predictions:
        return None
    pairs = np.concatenate([labels * classes + predicted for predicted in predictions])
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _contrast(
    index: int, arm: dict[int, NDArray[np.int64]], baseline: dict[int, NDArray[np.int64]], labels: NDArray[np.int64]
) -> Contrast:
    shared = sorted(set(arm) & set(baseline))
    ours = np.stack([arm[block] for block in shared])
    theirs = np.stack([baseline[block] for block in shared])
    ours_right, theirs_right = (ours == labels).sum(axis=0), (theirs == labels).sum(axis=0)
    lead = ours_right - theirs_right

    def examples(order: NDArray[np.int64], sign: int) -> tuple[Example, ...]:
        return tuple(
            Example(
                image=int(image),
                label=int(labels[image]),
                arm_said=_most_frequent(ours[:, image]),
                baseline_said=_most_frequent(theirs[:, image]),
                arm_right=int(ours_right[image]),
                baseline_right=int(theirs_right[image]),
            )
            for image in order[:EXAMPLES]
            if sign * lead[image] > 0
        )

    return Contrast(
        arm=index,
        blocks=len(shared),
        only_arm=examples(np.argsort(-lead, kind="stable"), 1),
        only_baseline=examples(np.argsort(lead, kind="stable"), -1),
        networks=tuple((block, mcnemar(arm[block] == labels, baseline[block] == labels)) for block in shared),
    )


def _most_frequent(predicted: NDArray[np.int64]) -> int:
    return int(np.bincount(predicted).argmax())
