"""A finished trial's network, read from the store."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Pixels
from eailab.engines.base import Arrays, Expected
from eailab.errors import StoreError, UsageError
from eailab.recipe.schema import MlpRecipe, Recipe
from eailab.runs import checkpoint
from eailab.runs.store import Store, TrialFolder
from eailab.studies.lookup import find_trial


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
        from eailab.engines.torch_resnet import inference as resnet

        return resnet.logits(self.recipe, self.weights, self.expected, pixels)


def find_finished(store: Store, name: str) -> TrialFolder:
    """Return the finished trial that a name means, as `find_trial` takes it.

    Raises:
        UsageError: No trial, or several, have this name, or the trial left no weights.
        StoreError: The trial is damaged.
    """
    folder = find_trial(store, name)
    result = folder.result()
    if result is None or result.status != "finished":
        state = "is not finished" if result is None else "has diverged, so it left no weights"
        raise UsageError(f"the trial {name} {state}: choose another of `eailab runs list`.")
    return folder


def read(folder: TrialFolder) -> Trained:
    """Return the network of a finished trial, as `find_finished` returns it.

    Raises:
        UsageError: It is not finished.
        StoreError: The trial's files are damaged, or were written before weights told what they expect.
    """
    record = folder.record()
    if record is None:
        raise UsageError(f"the trial {folder.path.name} is not finished: choose another of `eailab runs list`.")
    recipe = folder.recipe()
    weights, facts = checkpoint.load(folder.weights_file)
    try:
        expected = Expected.read(facts)
    except KeyError as error:
        raise StoreError(
            f"{folder.weights_file} does not say what images it expects ({error} is missing): train the trial again."
        ) from error
    return Trained(folder, recipe, record["block"], record["data"], weights, expected)
