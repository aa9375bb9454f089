"""What a finished trial's network says of new images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eailab.data.picture import decode
from eailab.engines.base import View
from eailab.errors import DataError, StoreError, UsageError
from eailab.recipe.load import load as load_recipe
from eailab.recipe.schema import MlpRecipe
from eailab.runs import checkpoint
from eailab.runs.store import Store, TrialFolder


@dataclass(frozen=True)
class Prediction:
    """What the network sees in one image."""

    image: Path
    classes: tuple[tuple[str, float], ...]
    """Names and probabilities of the likeliest classes, the likeliest first."""


def find_trial(store: Store, name: str) -> TrialFolder:
    """Return the finished trial of this fingerprint, or of one that begins with it; a folder's path works too.

    Raises:
        UsageError: No trial, or several, have this name, or the trial left no weights.
        StoreError: The trial is damaged.
    """
    path = Path(name)
    if (path / "result.json").exists():
        found = [TrialFolder(path)]
    else:
        names = sorted(folder.name for folder in store.root.glob("trials/*") if folder.name.startswith(name))
        found = [store.folder(one) for one in names]
    if len(found) != 1 or not name:
        which = "no trial" if not found else f"{len(found)} trials"
        raise UsageError(f"{which} in {store.root / 'trials'} begin with {name!r}: `eailab runs list` names them.")
    result = found[0].result()
    if result is None or result.status != "finished":
        state = "is not finished" if result is None else "has diverged, so it left no weights"
        raise UsageError(f"the trial {found[0].path.name} {state}: choose another of `eailab runs list`.")
    return found[0]


def predict(folder: TrialFolder, images: Sequence[Path], top: int = 3) -> list[Prediction]:
    """Classify image files by a finished trial's weights.

    Args:
        folder: The trial, as `find_trial` returns it.
        images: PNG, JPEG and the like, of the size that the trial was trained on.
        top: How many classes to name.

    Raises:
        DataError: An image is missing, damaged, or of another size.
        StoreError: The trial's files are damaged, or were written before weights told what they expect.
    """
    recipe = load_recipe(folder.recipe_file).recipe
    weights, facts = checkpoint.load(folder.weights_file)
    try:
        height, width, channels = json.loads(facts["image"])
        mean, std = (np.array(json.loads(facts[name]), np.float32) for name in ("mean", "std"))
        classes = tuple(json.loads(facts["classes"]))
    except KeyError as error:
        raise StoreError(
            f"{folder.weights_file} does not say what images it expects ({error} is missing): train the trial again."
        ) from error
    pixels = np.stack([_fitting(path, height, width, channels) for path in images])
    view = View(pixels, mean, std, classes)
    if isinstance(recipe, MlpRecipe):
        from eailab.engines.numpy_mlp import apply as mlp

        logits = mlp.logits(recipe, weights, view)
    else:
        from eailab.engines.torch_resnet import apply as resnet

        logits = resnet.logits(recipe, weights, view)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        Prediction(path, tuple((classes[number], float(row[number])) for number in best))
        for path, row, best in zip(images, probabilities, likeliest, strict=True)
    ]


def _fitting(path: Path, height: int, width: int, channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels = decode(path, channels)
    if pixels.shape[:2] != (height, width):
        raise DataError(
            f"{path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, the network was trained on {width}x{height}: "
            "resize the image to that."
        )
    return pixels
