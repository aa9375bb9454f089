"""The likeliest classes of image files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eailab.data.dataset import Pixels
from eailab.data.picture import decode
from eailab.errors import DataError
from eailab.inference.trained import read
from eailab.runs.store import TrialFolder


@dataclass(frozen=True)
class Prediction:
    """What the network sees in one image."""

    image: Path
    classes: tuple[tuple[str, float], ...]
    """Names and probabilities of the likeliest classes, the likeliest first."""


def predict(folder: TrialFolder, images: Sequence[Path], top: int = 3) -> list[Prediction]:
    """Classify image files by a finished trial's weights.

    Args:
        folder: The trial, as `find_finished` returns it.
        images: PNG, JPEG and the like, of the size that the trial was trained on.
        top: How many classes to name.

    Raises:
        DataError: An image is missing, damaged, or of another size.
        StoreError: The trial's files are damaged, or were written before weights told what they expect.
    """
    trained = read(folder)
    classes = trained.expected.classes
    logits = trained.logits(np.stack([_fitting(path, *trained.expected.image) for path in images]))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        Prediction(path, tuple((classes[number], float(row[number])) for number in best))
        for path, row, best in zip(images, probabilities, likeliest, strict=True)
    ]


def _fitting(path: Path, height: int, width: int, channels: int) -> Pixels:
    pixels = decode(path, channels)
    if pixels.shape[:2] != (height, width):
        raise DataError(
            f"{path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, the network was trained on {width}x{height}: "
            "resize the image to that."
        )
    return pixels
