"""Read a finished trial's network from the store, and classify image files by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Dataset, Pixels
from eailab.data.image_files import decoded, is_turned, opened
from eailab.data.registry import load as load_data
from eailab.engines.base import Arrays, Expected, check_weights
from eailab.engines.registry import images_of
from eailab.errors import DamagedError, DataError, StoreError, UsageError
from eailab.recipe.base import ImageRecipe
from eailab.runs import checkpoint
from eailab.runs.records import Result
from eailab.runs.store import Store
from eailab.runs.trial_folder import TrialFolder
from eailab.studies.lookup import find_trial

WHITE = 255
"""The largest value of a pixel in the picture files that are read."""


@dataclass(frozen=True)
class TrainedNetwork:
    """The network that a trial has left: its recipe, its weights, and the images that it expects."""

    folder: TrialFolder
    recipe: ImageRecipe
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
        return images_of(self.recipe).network().logits(self.recipe, self.weights, self.expected, pixels)


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


def read_network(folder: TrialFolder) -> TrainedNetwork:
    """Return the network of a finished trial, as `find_finished` returns it.

    Raises:
        UsageError: It is not finished.
        StoreError: The trial's files are damaged, or were written before weights told what they expect.
    """
    record = folder.record()
    if record is None:
        raise UsageError(f"the trial {folder.path.name} is not finished: choose another of `eailab runs list`.")
    if (recipe := folder.recipe().images) is None:
        raise UsageError(f"the trial {folder.path.name} has no network: choose one that classifies images.")
    weights, facts = checkpoint.load(folder.weights_file)
    try:
        expected = Expected.read(facts)
        check_weights(weights, images_of(recipe).network().shapes(recipe, expected))
    except KeyError as error:
        raise StoreError(
            f"{folder.weights_file} does not say what images it expects ({error} is missing): train the trial again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{folder.weights_file} does not fit its recipe: {error}. Train the trial again.") from error
    return TrainedNetwork(
        folder, recipe, record["block"], record["data"], weights, expected, Result.read(record).largest_pixel
    )


def data_of(trained: TrainedNetwork, data_dir: Path | None) -> Dataset:
    """Return the data set that a trial was trained on; nothing is downloaded.

    Raises:
        DataError: It is not here, or is another one by now.
    """
    name = trained.recipe.data.name
    try:
        dataset = load_data(name, data_dir, download=False)
    except DataError as error:
        raise DataError(f"the files of {name} are not on this machine") from error
    if dataset.fingerprint != trained.data:
        raise DataError(f"the files of {name} are not those that the trial was trained and tested on")
    return dataset


def largest_pixel(trained: TrainedNetwork, data_dir: Path | None = None) -> int | None:
    """Return the largest value of a pixel that a network has met in training; None where nothing tells it."""
    if trained.largest_pixel is not None:
        return trained.largest_pixel
    try:
        return int(data_of(trained, data_dir).train.pixels.max())
    except DataError:
        return None


@dataclass(frozen=True)
class Prediction:
    """Hold what the network sees in one image."""

    image: Path
    classes: tuple[tuple[str, float], ...]
    """Names and probabilities of the likeliest classes, the likeliest first."""


@dataclass(frozen=True)
class Predictions:
    """Hold what the network sees in some images, and what was done to them."""

    images: tuple[Prediction, ...]
    notes: tuple[str, ...]
    """What the user should know; a sentence each."""


def predict(folder: TrialFolder, images: Sequence[Path], top: int = 3, data_dir: Path | None = None) -> Predictions:
    """Classify image files by a finished trial's weights.

    Args:
        folder: The trial, as `find_finished` returns it.
        images: PNG, JPEG and the like, of the size that the trial was trained on.
        top: How many classes to name.
        data_dir: Where the training data may lie, of a trial that does not tell how far its pixels went.

    Raises:
        DataError: An image is missing, damaged, or of another size.
        StoreError: The trial's files are damaged, or were written before weights told what they expect.
    """
    trained = read_network(folder)
    classes = trained.expected.classes
    read_in = [_fitting(path, *trained.expected.image) for path in images]
    pixels, notes = scaled(np.stack([one for one, _ in read_in]), largest_pixel(trained, data_dir))
    if turned := [path for path, (_, held) in zip(images, read_in, strict=True) if held]:
        others = f" and {len(turned) - 1} more" if len(turned) > 1 else ""
        notes.append(
            f"EXIF data ask for {turned[0]}{others} to be shown turned: images are taken as they are stored, as in "
            "training. Save them upright if that is not meant."
        )
    logits = trained.logits(pixels)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return Predictions(
        tuple(
            Prediction(path, tuple((classes[number], float(row[number])) for number in best))
            for path, row, best in zip(images, probabilities, likeliest, strict=True)
        ),
        tuple(notes),
    )


def scaled(pixels: Pixels, largest: int | None) -> tuple[Pixels, list[str]]:
    """Return pictures' pixels on the scale of the training pixels, and what there is to say of that.

    Pictures `[N, H, W, C]` of more than twice the largest training pixel, where known, are taken for pictures on
    the whole scale, 0 to 255.
    """
    most = int(pixels.max())
    if largest is None:
        return pixels, [
            "the trial does not say how far its training pixels went, and its data are not here: pictures are taken as "
            f"they are, with pixels up to {most}."
        ]
    said = f"the training pixels went up to {largest}, those of these pictures go up to {most}: they"
    if most > 2 * largest:
        return np.rint(pixels * (largest / WHITE)).astype(np.uint8), [f"{said} were multiplied by {largest}/{WHITE}."]
    if most > largest and 2 * largest < WHITE:
        return pixels, [f"{said} are taken as they are."]
    return pixels, []


def _fitting(path: Path, height: int, width: int, channels: int) -> tuple[Pixels, bool]:
    """Return a picture's pixels, and whether its EXIF data ask for it to be turned when it is shown."""
    with opened(path, channels) as image:
        pixels, turned = decoded(path, image, channels), is_turned(image)
    if pixels.shape[:2] != (height, width):
        raise DataError(
            f"{path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, the network was trained on {width}x{height}: "
            "resize the image to that."
        )
    return pixels, turned
