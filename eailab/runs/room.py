"""Whether the disk has room for a study, asked before hours go into it."""

import shutil
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from pathlib import Path

from eailab.data.table import load
from eailab.errors import StoreError
from eailab.recipe.schema import Mlp, MlpRecipe, Recipe, Sgd
from eailab.runs.atomic import unreadable
from eailab.runs.store import Trial

RESNET_PARAMETERS = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}
"""As torchvision counts them, for 1,000 classes; fewer classes have fewer."""

BYTES_A_NUMBER = 4
BYTES_AN_EPOCH = 512
"""A line of `epochs.jsonl` and one of `timings.jsonl`."""

BYTES_A_TRIAL = 200_000
"""Recipe, result, curves as PNG and SVG."""


def check_room(runs_dir: Path, data_dir: Path | None, trials: Sequence[Trial], jobs: int) -> None:
    """Refuse to start on a disk that is too small for what trials will write.

    Args:
        runs_dir: The store's folder, which need not exist yet.
        data_dir: Folder of downloaded data sets; None for the usual one.
        trials: Those without a result.
        jobs: Trials side by side, each with a checkpoint and, for a moment, the one that replaces it.

    Raises:
        StoreError: There is less free space than they need at most.
    """
    sizes = {(trial.recipe.data.name, trial.data): trial for trial in trials}
    inputs = {}
    for name, _ in sizes:
        dataset = load(name, data_dir)
        inputs[name] = (prod(dataset.train.pixels.shape[1:]), len(dataset.classes), len(dataset.train), dataset.test)
    needed, checkpoints = 0, [0]
    for trial in trials:
        pixels, classes, train, test = inputs[trial.recipe.data.name]
        weights = BYTES_A_NUMBER * parameters(trial.recipe, pixels, classes)
        needed += weights + 2 * (train + len(test)) + BYTES_AN_EPOCH * trial.recipe.epochs + BYTES_A_TRIAL
        checkpoints.append(weights * copies(trial.recipe))
    needed += 2 * sum(sorted(checkpoints)[-jobs:])
    free = free_bytes(runs_dir)
    if free < needed:
        raise StoreError(
            f"{runs_dir} has {in_words(free)} free, and the {len(trials)} trials to train need up to "
            f"{in_words(needed)}: make room, or choose a folder on another disk with --runs. Nothing was started."
        )


def parameters(recipe: Recipe, inputs: int, classes: int) -> int:
    """Return the number of trained parameters, or a little more.

    Args:
        recipe: Names the model.
        inputs: Numbers an image has.
        classes: Outputs of the model.
    """
    model = recipe.model
    if isinstance(model, Mlp):
        widths = [inputs, *model.hidden, classes]
        return sum((i + 1) * o for i, o in pairwise(widths)) + 4 * sum(model.hidden)
    # convolutions grow with the square of the width, normalisation with the width
    return round(RESNET_PARAMETERS[model.name] * model.width**2 + 60_000 * model.width)


def copies(recipe: Recipe) -> int:
    """Return how many numbers a checkpoint has for each parameter: itself, the optimizer's moments, the average."""
    moments = 1 if isinstance(recipe.optimizer, Sgd) else 2
    return 1 + moments + (recipe.ema is not None) + (not isinstance(recipe, MlpRecipe))


def free_bytes(folder: Path) -> int:
    """Return the bytes free on the disk that a folder lies, or would lie, on.

    Raises:
        StoreError: The system does not tell.
    """
    try:
        there = folder.absolute()
        while not there.exists():
            there = there.parent
        return shutil.disk_usage(there).free
    except OSError as error:
        raise unreadable(folder, error) from error


def in_words(count: int) -> str:
    """Write a number of bytes as a person reads it.

    >>> in_words(512), in_words(40_000_000), in_words(123_000_000_000)
    ('512 bytes', '40.0 MB', '123.0 GB')
    """
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
