"""The likeliest classes of image files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eailab.data.dataset import Pixels
from eailab.data.image_files import decoded, is_turned, opened
from eailab.errors import DataError
from eailab.inference.trained import WHITE, largest_pixel, read
from eailab.runs.trial_folder import TrialFolder


@dataclass(frozen=True)
class Prediction:
    """What the network sees in one image."""

    image: Path
    classes: tuple[tuple[str, float], ...]
    """Names and probabilities of the likeliest classes, the likeliest first."""


@dataclass(frozen=True)
class Predictions:
    """What the network sees in some images, and what was done to them."""

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
    trained = read(folder)
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

    Pictures of more than twice the largest training pixel are taken for pictures on the whole scale, 0 to 255.

    Args:
        pixels: `[N, H, W, C]`.
        largest: Of the training images; None where that is not known.
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
