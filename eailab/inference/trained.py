"""A finished trial's network, read from the store."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Dataset, Pixels
from eailab.data.registry import load as load_data
from eailab.engines.base import Arrays, Expected, check_weights
from eailab.engines.registry import engine_of
from eailab.errors import DamagedError, DataError, StoreError, UsageError
from eailab.recipe.schema import Recipe
from eailab.runs import checkpoint
from eailab.runs.records import Result
from eailab.runs.store import Store
from eailab.runs.trial_folder import TrialFolder
from eailab.studies.lookup import find_trial

WHITE = 255
"""The largest value of a pixel in the picture files that are read."""


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
    largest_pixel: int | None = None
    """Of the training images; None for a trial from before it was recorded."""

    def logits(self, pixels: Pixels) -> NDArray[np.floating]:
        """Return the scores of each class, `[N, K]`, before the softmax, of images `[N, H, W, C]`."""
        return engine_of(self.recipe).network().logits(self.recipe, self.weights, self.expected, pixels)


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
        check_weights(weights, engine_of(recipe).network().shapes(recipe, expected))
    except KeyError as error:
        raise StoreError(
            f"{folder.weights_file} does not say what images it expects ({error} is missing): train the trial again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{folder.weights_file} does not fit its recipe: {error}. Train the trial again.") from error
    return Trained(
        folder, recipe, record["block"], record["data"], weights, expected, Result.read(record).largest_pixel
    )


def data_of(trained: Trained, data_dir: Path | None) -> Dataset | str:
    """Return the data set that a trial was trained on, or why it cannot be had; nothing is downloaded."""
    name = trained.recipe.data.name
    try:
        dataset = load_data(name, data_dir, download=False)
    except DataError:
        return f"the files of {name} are not on this machine"
    if dataset.fingerprint != trained.data:
        return f"the files of {name} are not those that the trial was trained and tested on"
    return dataset


def largest_pixel(trained: Trained, data_dir: Path | None = None) -> int | None:
    """Return the largest value of a pixel that a network has met in training; None where nothing tells it."""
    if trained.largest_pixel is not None:
        return trained.largest_pixel
    dataset = data_of(trained, data_dir)
    return None if isinstance(dataset, str) else int(dataset.train.pixels.max())
