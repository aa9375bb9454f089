"""A finished trial's network, read from the store."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Pixels
from eailab.engines.base import Arrays, Expected
from eailab.errors import StoreError, UsageError
from eailab.recipe.load import load as load_recipe
from eailab.recipe.schema import MlpRecipe, Recipe
from eailab.runs import checkpoint
from eailab.runs.store import Store, TrialFolder


@dataclass(frozen=True)
class Trained:
    """The network that a trial has left: its recipe, its weights, and the images that it expects."""

    folder: TrialFolder
    recipe: Recipe
    block: int
    data: str
    """Fingerprint of the data set that it was trained and tested on."""
    weights: Arrays
    """As the engine's `weights` names them."""
    expected: Expected

    def logits(self, pixels: Pixels) -> NDArray[np.floating]:
        """Return the scores of each class, `[N, K]`, before the softmax, of images `[N, H, W, C]`."""
        if isinstance(self.recipe, MlpRecipe):
            from eailab.engines.numpy_mlp import inference as mlp

            return mlp.logits(self.recipe, self.weights, self.expected, pixels)
        from eailab.engines.torch_resnet import apply as resnet

        return resnet.logits(self.recipe, self.weights, self.expected, pixels)


def find_trial(store: Store, name: str) -> TrialFolder:
    """Return the finished trial of this fingerprint, or of one that begins with it; a folder's path works too.

    Raises:
        UsageError: No trial, or several, have this name, or the trial left no weights.
        StoreError: The trial is damaged.
    """
    path = Path(name)
    if (path / "result.json").exists() or (path / "recipe.yaml").exists():
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


def read(folder: TrialFolder) -> Trained:
    """Return the network of a finished trial, as `find_trial` returns it.

    Raises:
        UsageError: It is not finished.
        StoreError: The trial's files are damaged, or were written before weights told what they expect.
    """
    record = folder.record()
    if record is None:
        raise UsageError(f"the trial {folder.path.name} is not finished: choose another of `eailab runs list`.")
    recipe = load_recipe(folder.recipe_file).recipe
    weights, facts = checkpoint.load(folder.weights_file)
    try:
        expected = Expected.read(facts)
    except KeyError as error:
        raise StoreError(
            f"{folder.weights_file} does not say what images it expects ({error} is missing): train the trial again."
        ) from error
    return Trained(folder, recipe, record["block"], record["data"], weights, expected)
