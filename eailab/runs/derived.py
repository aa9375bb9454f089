"""Deriving what a trial's result must say from its recipe, epochs, predictions and weights, whoever sealed it."""

from collections.abc import Iterator
from functools import lru_cache
from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Dataset
from eailab.data.split import Split, split_of
from eailab.data.table import SOURCES
from eailab.engines.base import Arrays, Expected, Scores
from eailab.engines.registry import engine_of
from eailab.recipe.schema import Data, Recipe
from eailab.runs.records import Epoch, Result
from eailab.runs.store import Trial

Predictions = dict[str, NDArray[np.integer[Any]]]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Ends of the names of numbers in a file of weights that are not trained."""


def name_is_right(recipe: Recipe, block: int, data: str, engine_version: object, name: str) -> bool:
    """Return whether a trial is named after what it was trained on, by the version of the engine that it states.

    Another version may have named recipes in a way that is not known here; its names are taken as they are.
    """
    ours = engine_of(recipe).version
    if type(engine_version) is not int or engine_version > ours:
        return False
    return Trial(recipe, block, data).fingerprint == name or engine_version < ours


def contradictions(
    recipe: Recipe,
    record: dict[str, Any],
    result: Result,
    epochs: list[Epoch],
    predictions: Predictions | None,
    weights: tuple[Arrays, dict[str, str]] | None,
) -> Iterator[str]:
    """Yield what a trial's files cannot all say, a sentence each.

    Args:
        recipe: That the trial is named after.
        record: `result.json`.
        result: The same, as an object.
        epochs: Those of `epochs.jsonl`.
        predictions: None where the trial has none, since it diverged.
        weights: Arrays and facts of its file of weights, likewise.
    """
    if record["engine"] != recipe.engine:
        yield f"the engine is {record['engine']!s:.40}, and the recipe's is {recipe.engine}"
    if [epoch.number for epoch in epochs] != list(range(1, result.epochs + 1)):
        yield f"epochs.jsonl has not the epochs 1 to {result.epochs} of the result"
    elif result.status == "finished":
        if result.epochs != recipe.epochs:
            yield f"the result is of {result.epochs} epochs, and the recipe asks for {recipe.epochs}"
        yield from _last_scores(result, epochs)
    elif result.diverged_at is not None and not _can_diverge(result.diverged_at, result.epochs, recipe.epochs):
        yield f"it cannot have diverged in epoch {result.diverged_at[0]}, with {result.epochs} of {recipe.epochs} done"
    classes = SOURCES[recipe.data.name].classes if recipe.data.name in SOURCES else None
    if weights is not None:
        yield from _parameters(recipe, result, *weights)
    if predictions is not None:
        yield from _predicted(recipe.data, result, predictions, classes)


def mislabelled(
    recipe: Recipe, block: int, result: Result, predictions: Predictions, dataset: Dataset
) -> Iterator[str]:
    """Yield where a trial's accuracies are not those of its predictions, held to the labels of its images."""
    where = split_of(len(dataset.train), recipe.data, block)
    labels = {"validation": dataset.train.labels[where.validation], "test": dataset.test.labels}
    for split, scores in _final(result):
        predicted = predictions[split]
        if predicted.shape != labels[split].shape:
            yield f"predictions.npz has {len(predicted)} {split} images, and the data have {len(labels[split])}"
            continue
        right = int(np.count_nonzero(predicted == labels[split]))
        if not _is_share(scores.accuracy, right, len(predicted)):
            yield (
                f"the {split} accuracy is {scores.accuracy:.6g} in result.json, and {right / len(predicted):.6g} by "
                "predictions.npz and the labels"
            )


def _last_scores(result: Result, epochs: list[Epoch]) -> Iterator[str]:
    """Yield final scores that the last epoch's record does not have."""
    last = epochs[-1]
    for split, ours, theirs in (
        ("training", result.train, last.train),
        ("validation", result.validation, last.validation),
    ):
        if ours is not None and not _are_equal(ours, theirs):
            yield f"the final {split} scores of result.json are not those of the last epoch in epochs.jsonl"


def _are_equal(one: Scores, other: Scores) -> bool:
    """Return whether two passes over the same images with the same weights can have given these scores."""
    return isclose(one.accuracy, other.accuracy, abs_tol=1e-9) and isclose(one.loss, other.loss, rel_tol=1e-5)


def _can_diverge(where: tuple[int, int], finished: int, planned: int) -> bool:
    return where[0] == finished + 1 <= planned and where[1] >= 0


def _parameters(recipe: Recipe, result: Result, arrays: Arrays, facts: dict[str, str]) -> Iterator[str]:
    """Yield a number of parameters that is not that of the recipe's network, or of the weights."""
    trained = sum(array.size for name, array in arrays.items() if not name.endswith(STATISTICS))
    expected = trained
    if "image" in facts:  # weights of earlier versions do not say what they expect
        try:
            shape = Expected.read(facts)
        except (KeyError, ValueError, RecursionError) as error:
            yield f"model.safetensors does not say what images it expects: {error}"
            return
        expected = engine_of(recipe).parameters(recipe, shape.image, len(shape.classes))
    if not result.parameters == trained == expected:
        yield (
            f"result.json says {result.parameters:,} parameters, model.safetensors has {trained:,}, and the recipe's "
            f"network {expected:,}"
        )


def _predicted(settings: Data, result: Result, predictions: Predictions, classes: int | None) -> Iterator[str]:
    """Yield predictions that cannot be of these splits, and accuracies that are not a whole number of their images."""
    sizes: dict[str, int] = {}
    if settings.name in SOURCES:
        source = SOURCES[settings.name]
        sizes = {"validation": len(_split(source.train, settings).validation), "test": source.test}
    for split, scores in _final(result):
        predicted = predictions[split]
        count = len(predicted) if predicted.ndim == 1 else 0
        if not count or count != sizes.get(split, count) or (classes and int(predicted.max()) >= classes):
            yield f"predictions.npz does not fit the {split} images of {settings.name}"
        elif not _is_share(scores.accuracy, round(scores.accuracy * count), count):
            yield f"the {split} accuracy {scores.accuracy:.6g} is not that of a whole number of {count} images"


def _final(result: Result) -> list[tuple[str, Scores]]:
    both = (("validation", result.validation), ("test", result.test))
    return [(split, scores) for split, scores in both if scores is not None]


def _is_share(accuracy: float, right: int, count: int) -> bool:
    return 0 <= right <= count and isclose(accuracy, right / count, abs_tol=1e-6 / count)


@lru_cache(maxsize=64)
def _split(images: int, settings: Data) -> Split:
    return split_of(images, settings, 0)  # only its size, which every block has
