"""Find damage in the files of a trial, by their checksums and by what must follow from each other.

Damaged files are set aside before the trial is trained again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from eailab import files
from eailab.engines.base import Arrays, Expected
from eailab.engines.registry import ENGINES, engine_of, images_of, metrics_of
from eailab.errors import DamagedError, StoreError
from eailab.metrics import TEST, TRAIN, VALIDATION, Metric, recorded
from eailab.recipe.base import ImageRecipe, Recipe
from eailab.recipe.parts import Data
from eailab.runs import atomic, records
from eailab.runs.records import Epoch, Result
from eailab.runs.trial import Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eailab.data.dataset import Dataset
    from eailab.data.split import Split
    from eailab.runs.trial_folder import TrialFolder

SCHEMA_VERSION = 1
"""Of every file that the store writes; a newer one is refused, an older one is read."""

SET_ASIDE = re.compile(r"\.(damaged|replaced)-\d+$")
"""What ends the name of a file that was set aside."""

TRAINED_AGAIN = "The trial is trained again."


def read_result(folder: TrialFolder) -> tuple[dict[str, Any], Result] | None:
    """Return what `result.json` says, checked by its own checksum only, and the result in it; None while there is none.

    Raises:
        DamagedError: It is not a whole result of this trial.
        StoreError: It is of a newer version or an unknown engine, the system does not let us read it, or the folder
            is a link.
    """
    try:
        text = files.read(folder.result_file, files.RESULT)
    except FileNotFoundError:
        return None
    try:
        record = records.parse(text)
        seal = record.pop("checksum")
        version = record["schema_version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{folder.result_file} is damaged: it is not a whole result.") from error
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{folder.result_file} has schema version {version}, this eailab knows {SCHEMA_VERSION}: "
            "install a newer eailab."
        )
    if seal != records.seal(record):
        raise DamagedError(f"{folder.result_file} differs from its own checksum: it is damaged.")
    if isinstance(engine := record.get("engine"), str) and engine not in ENGINES:
        raise _unknown_engine(folder, engine)
    try:
        result, trial = records.checked_result(record, folder.metrics()), record["trial"]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{folder.result_file} is not a result of eailab: {error!r}.") from error
    if trial != folder.path.name:
        raise DamagedError(f"{folder.result_file} belongs to another trial, {trial!s:.40}.")
    wanted = vouched(record["engine"], record["status"])
    if set(record["files"]) != set(wanted):
        raise DamagedError(f"{folder.result_file} has checksums of other files than {', '.join(sorted(wanted))}.")
    return record, result


def broken_files(folder: TrialFolder, record: dict[str, Any], *, thorough: bool = True) -> Iterator[tuple[Path, str]]:
    """Yield the files that a result vouches for and that are not as it says, and what is wrong with each."""
    whole, kinds = thorough, vouched(record["engine"], record["status"])
    unread = {artifact.name for artifact in ENGINES[record["engine"]].artifacts if not artifact.is_reported}
    for name, expected in record["files"].items():
        file, found = folder.path / name, None
        try:
            with suppress(FileNotFoundError):
                if thorough or name not in unread:
                    found = files.sha256(file, kinds[name])
                else:
                    with files.opened(file, kinds[name]):
                        continue
        except DamagedError as error:
            whole = False
            yield file, str(error)
            continue
        if found != expected:
            whole = False
            differs = f"differs from the checksum in {folder.result_file.name}"
            yield file, f"{file} {'is missing' if found is None else differs}."
    if whole:  # the checksums hold, and say nothing of what was sealed
        try:
            planned = folder.recipe().epochs if record["status"] == "finished" else record["epochs"]
        except DamagedError as error:
            yield folder.recipe_file, str(error)
            return
        try:
            folder.check_epochs(planned)
        except DamagedError as error:
            yield folder.epochs_file, str(error)


def _unknown_engine(folder: TrialFolder, engine: str) -> StoreError:
    """Return what to say of a result of an engine that is not here: its recipe must be of the same."""
    with suppress(FileNotFoundError):
        if f"\nengine: {engine}\n".encode() in files.read(folder.recipe_file, files.TRIAL_RECIPE):
            return StoreError(f"{folder.path} was trained by the engine {engine:.40}: install what that comes with.")
    return DamagedError(f"{folder.result_file} contradicts its recipe: the engine is {engine:.40}.")


def vouched(engine: str, status: str) -> dict[str, files.Kind]:
    """Return the files whose checksums a result holds, by name, and what may be read as each."""
    left = (one for one in ENGINES[engine].artifacts if status == "finished" or one.of_failed)
    return {"recipe.yaml": files.TRIAL_RECIPE, "epochs.jsonl": files.EPOCHS} | {one.name: one.kind for one in left}


def set_damage_aside(folder: TrialFolder) -> list[str]:
    """Rename what is damaged in a trial that is not finished, before it is trained, and say what of each file.

    A whole result that vouches for a damaged file is kept under another name too: it holds no longer.

    Raises:
        StoreError: It cannot be renamed, or a result is of a newer version.
    """
    try:
        record = folder.record()
    except DamagedError as error:
        return [_set_aside(folder.result_file, str(error)), TRAINED_AGAIN]
    if record is not None:
        said = [_set_aside(file, damage) for file, damage in broken_files(folder, record)]
        kept = atomic.set_aside(folder.result_file, "replaced")
        return [*said, f"{folder.result_file.name} was kept as {kept.name}.", TRAINED_AGAIN]
    said = []
    for file, read in ((folder.epochs_file, folder.epochs), (folder.identity_file, folder.identity)):
        try:
            if os.path.lexists(file):
                read()
        except DamagedError as error:
            said.append(_set_aside(file, str(error)))
    return said


def _set_aside(file: Path, damage: str) -> str:
    """Rename a damaged file, if it is there, and say what is wrong with it and what it is called now."""
    if not os.path.lexists(file):
        return damage
    return f"{damage} It was set aside as {atomic.set_aside(file).name}."


# --- what follows from recipe, epochs, predictions and weights --------------------------------------------------------


Predictions: TypeAlias = dict[str, "NDArray[np.integer[Any]]"]

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

    The recipe is that which the trial is named after; the record is `result.json`, and the result the same, as an
    object. Predictions, and the arrays and facts of its weights, are None where the trial failed or its engine makes
    none.
    """
    if record["engine"] != recipe.engine:
        yield f"the engine is {record['engine']!s:.40}, and the recipe's is {recipe.engine}"
    if [epoch.number for epoch in epochs] != list(range(1, result.epochs + 1)):
        yield f"epochs.jsonl has not the epochs 1 to {result.epochs} of the result"
    elif result.status == "finished":
        if result.epochs != recipe.epochs:
            yield f"the result is of {result.epochs} epochs, and the recipe asks for {recipe.epochs}"
        yield from _last_scores(recipe, result, epochs)
    elif result.diverged_at is not None and not _can_diverge(result.diverged_at, result.epochs, recipe.epochs):
        yield f"it cannot have diverged in epoch {result.diverged_at[0]}, with {result.epochs} of {recipe.epochs} done"
    elif result.limit_seconds is not None and result.epochs >= recipe.epochs:
        yield f"it cannot have timed out with {result.epochs} of {recipe.epochs} epochs done"
    if recipe.images is not None and weights is not None:
        yield from _parameters(recipe.images, result, *weights)
    if recipe.images is not None and predictions is not None:
        yield from _predicted(recipe.images, result, predictions)


def mislabelled(
    recipe: ImageRecipe, block: int, result: Result, predictions: Predictions, dataset: Dataset
) -> Iterator[str]:
    """Yield the shares of right predictions that are not those of the trial's predictions and its images' labels."""
    import numpy as np

    from eailab.data.split import split_of

    where = split_of(len(dataset.train), recipe.data, block)
    labels = {"validation": dataset.train.labels[where.validation], "test": dataset.test.labels}
    for metric, value in _shares(recipe, result):
        predicted, expected = predictions[metric.split], labels[metric.split]
        if predicted.shape != expected.shape:
            yield f"predictions.npz has {len(predicted)} {metric.split} images, and the data have {len(expected)}"
            continue
        right = int(np.count_nonzero(predicted == expected))
        if not _is_share(value, right, len(predicted)):
            yield (
                f"the {metric.title} is {value:.6g} in result.json, and {right / len(predicted):.6g} by "
                "predictions.npz and the labels"
            )


def _last_scores(recipe: Recipe, result: Result, epochs: list[Epoch]) -> Iterator[str]:
    """Yield final scores that the last epoch's record does not have."""
    metrics = metrics_of(recipe)
    for split, word in ((TRAIN, "training"), (VALIDATION, "validation")):
        if not all(_agree(metric, result, epochs[-1]) for metric in recorded(metrics, split)):
            yield f"the final {word} scores of result.json are not those of the last epoch in epochs.jsonl"


def _agree(metric: Metric, result: Result, last: Epoch) -> bool:
    """Return whether two passes over the same images with the same weights can have given these values."""
    one, other = result.values.get(metric.key), last.values.get(metric.key)
    if one is None or other is None:
        return one is other
    return isclose(one, other, abs_tol=1e-9) if metric.is_share else isclose(one, other, rel_tol=1e-5)


def _can_diverge(where: tuple[int, int], finished: int, planned: int) -> bool:
    return where[0] == finished + 1 <= planned and where[1] >= 0


def _parameters(recipe: ImageRecipe, result: Result, arrays: Arrays, facts: dict[str, str]) -> Iterator[str]:
    """Yield a number of parameters that is not that of the recipe's network, or of the weights."""
    trained = sum(array.size for name, array in arrays.items() if not name.endswith(STATISTICS))
    expected = trained
    if "image" in facts:  # weights of earlier versions do not say what they expect
        try:
            shape = Expected.read(facts)
        except (KeyError, ValueError, RecursionError) as error:
            yield f"model.safetensors does not say what images it expects: {error}"
            return
        counted = images_of(recipe).parameters(recipe, shape.image, len(shape.classes))
        if counted is None:  # only a person's own code knows which of the weights are trained
            return
        expected = counted
    if not result.parameters == trained == expected:
        yield (
            f"result.json says {result.parameters:,} parameters, model.safetensors has {trained:,}, and the recipe's "
            f"network {expected:,}"
        )


def _predicted(recipe: ImageRecipe, result: Result, predictions: Predictions) -> Iterator[str]:
    """Yield predictions that cannot be of these splits, and shares that are not a whole number of their images."""
    from eailab.data.registry import SOURCES

    sizes: dict[str, int] = {}
    classes = None
    if (source := SOURCES.get(recipe.data.name)) is not None:
        classes = source.classes
        sizes = {"validation": len(_split(source.train, recipe.data).validation), "test": source.test}
    for metric, value in _shares(recipe, result):
        predicted = predictions[metric.split]
        count = len(predicted) if predicted.ndim == 1 else 0
        if not count or count != sizes.get(metric.split, count) or (classes and int(predicted.max()) >= classes):
            yield f"predictions.npz does not fit the {metric.split} images of {recipe.data.name}"
        elif not _is_share(value, round(value * count), count):
            yield f"the {metric.title} {value:.6g} is not that of a whole number of {count} images"


def _shares(recipe: Recipe, result: Result) -> Iterator[tuple[Metric, float]]:
    """Yield the shares of right predictions that a result has, on the splits whose predictions a trial leaves."""
    for metric in recorded(metrics_of(recipe), VALIDATION, TEST):
        if metric.is_share and (value := result.values.get(metric.key)) is not None:
            yield metric, value


def _is_share(value: float, right: int, count: int) -> bool:
    return 0 <= right <= count and isclose(value, right / count, abs_tol=1e-6 / count)


@lru_cache(maxsize=64)
def _split(images: int, settings: Data) -> Split:
    from eailab.data.split import split_of

    return split_of(images, settings, 0)  # only its size, which every block has
