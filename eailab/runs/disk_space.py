"""Check free disk space, and the limit on memory, before training starts."""

import shutil
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from eailab.data.registry import load
from eailab.engines.registry import engine_of
from eailab.errors import MemoryShortageError, StoreError
from eailab.files import unreadable
from eailab.runs.trial import Trial
from eailab.units import size

BYTES_A_NUMBER = 4
OTHER_NUMBERS = 1.1
"""Numbers of a network for each trained parameter, running statistics and padding included, at most."""

BYTES_AN_EPOCH = 512
"""A line of `epochs.jsonl` and one of `timings.jsonl`."""

BYTES_A_TRIAL = 200_000
"""Recipe, result, curves as PNG and SVG, at most."""

LEAST_ADDRESS_SPACE = 512 * 2**20
"""Bytes; with less, OpenBLAS waits for ever for memory that it never gets."""


def check_disk_space(runs_dir: Path, data_dir: Path | None, trials: Sequence[Trial], jobs: int) -> None:
    """Refuse to start where the disk has too little room for what trials will write, or a process too little memory.

    Args:
        runs_dir: The store's folder, which need not exist yet.
        data_dir: Folder of downloaded data sets; None for the usual one.
        trials: Those without a result.
        jobs: Trials side by side, each with a checkpoint and, for a moment, the one that replaces it.

    Raises:
        StoreError: There is less free space than they need at most.
        MemoryShortageError: A limit leaves a process less than the libraries take, which then end it or never answer.
    """
    _check_limit(address_space_limit())
    inputs = {}
    for name in {trial.recipe.data.name for trial in trials}:
        dataset = load(name, data_dir)
        inputs[name] = (dataset.train.pixels.shape[1:], len(dataset.classes), len(dataset.train), dataset.test)
    needed, checkpoints = 0, [0]
    for trial in trials:
        image, classes, train, test = inputs[trial.recipe.data.name]
        engine = engine_of(trial.recipe)
        weights = ceil(OTHER_NUMBERS * BYTES_A_NUMBER * engine.parameters(trial.recipe, image, classes))
        needed += kept_bytes(weights, train + len(test), trial.recipe.epochs)
        checkpoints.append(weights * engine.checkpoint_copies(trial.recipe))
    needed += 2 * sum(sorted(checkpoints)[-jobs:])
    free = free_bytes(runs_dir)
    if free < needed:
        raise StoreError(
            f"{runs_dir} has {size(free)} free, and the {len(trials)} trials to train need up to "
            f"{size(needed)}: make room, or choose a folder on another disk with --runs. Nothing was started."
        )


def kept_bytes(weights: int, predictions: int, epochs: int) -> int:
    """Return the bytes that a finished trial leaves on the disk, at most.

    Args:
        weights: Bytes of its weights.
        predictions: Images that it was validated and tested on.
        epochs: Of its recipe.
    """
    return weights + 2 * predictions + BYTES_AN_EPOCH * epochs + BYTES_A_TRIAL


def address_space_limit() -> int | None:
    """Return the bytes of memory that a process may address (`ulimit -v`); None without a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < LEAST_ADDRESS_SPACE:
        raise MemoryShortageError(
            f"a process may take {size(limit)} of memory here (`ulimit -v {limit // 1024}`), and its libraries "
            f"alone take {size(LEAST_ADDRESS_SPACE)}: raise the limit. Nothing was started."
        )


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
