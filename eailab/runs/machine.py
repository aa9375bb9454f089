"""Check what this machine carries: trials side by side on its cores, free disk space, and memory."""

import os
import shutil
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

from eailab.data.registry import load
from eailab.engines.registry import engine_of, images_of
from eailab.errors import MemoryShortageError, StoreError
from eailab.files import unreadable
from eailab.runs.context import RunContext
from eailab.runs.trial import Trial
from eailab.units import size

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
"""Where Linux says which control groups there are, and which this process is in."""


def side_by_side(todo: Sequence[Trial], context: RunContext) -> int:
    """Return how many trials this machine carries at once: its cores over a trial's threads, or one on a GPU.

    Of a program, one too, since nobody knows what it takes; or as many as there are GPUs for it.
    """
    if context.gpus:
        return len(context.gpus)
    if len(todo) < 2 or _take_a_gpu(todo, context) or any(engine_of(trial.recipe).is_foreign for trial in todo):
        return 1
    return max(1, cores() // max(trial.recipe.threads for trial in todo))


def _take_a_gpu(todo: Sequence[Trial], context: RunContext) -> bool:
    return context.device != "cpu" and any(engine_of(trial.recipe).gpu_is_here() for trial in todo)


def advice_on_threads(todo: Sequence[Trial], context: RunContext, jobs: int | None) -> str | None:
    """Return how residual networks could use this machine's cores better, or None where they use them well.

    Two trials of one thread each take less time than one after the other of two threads, and threads that share a core
    wait for each other (`benchmarks/threads.py`). The number of threads is a recipe's, so nothing is changed here.

    `jobs` are trials side by side; None for what `side_by_side` says.
    """
    if not all(engine_of(trial.recipe).prefers_one_thread for trial in todo):
        return None
    if context.on != "local" or _take_a_gpu(todo, context):
        return None
    threads, most = max((trial.recipe.threads for trial in todo), default=1), cores()
    if len(todo) == 1 and 2 * threads < most:
        return (
            f"this trial computes on {threads} of {most} cores: -o threads={most} lets it have all. That is "
            "another trial: sums in another order have other last bits."
        )
    if threads == 1:
        return None
    workers = min(jobs or side_by_side(todo, context), len(todo))
    if workers * threads > most and workers > 1:
        return (
            f"{workers} trials side by side with {threads} threads each wait for each other on {most} cores: "
            f"--jobs {max(1, most // threads)} takes less time, and -o threads=1 less still (as other trials)."
        )
    if workers < min(len(todo), most):
        return (
            f"with -o threads=1 up to {min(len(todo), most)} trials go side by side on these {most} cores and take "
            "less time in all. They are other trials: sums in another order have other last bits."
        )
    return None


def cores() -> int:
    """Return the cores that this process may use: those it is bound to, but no more than its control groups allow."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([bound, *_quotas()])))


def _quotas() -> Iterator[float]:
    """Yield the cores' worth of time that each control group of Linux over this process grants, if it has a limit.

    Containers are limited so: a process then sees all cores of the machine, and is stopped when its time is used up.
    """
    for line in _text(OWN_GROUPS).splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        mount = CGROUPS / controllers
        if controllers and not mount.is_dir():  # `cpu,cpuacct` may be mounted at `cpu`
            mount = CGROUPS / "cpu"
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = mount / path.lstrip("/")
        for group in (folder, *folder.parents):  # a container sees its own group at the mount, not at its path
            if group.is_relative_to(mount):
                limit = _text(group / "cpu.max").split()  # version 2, else version 1
                limit = limit or [_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
                if all(number.isdigit() for number in limit):
                    yield int(limit[0]) / int(limit[1])


def _text(file: Path) -> str:
    """Return what a file of the system says, nothing where there is none."""
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


# --- disk and memory --------------------------------------------------------------------------------------------------


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
    for name in {trial.recipe.data_name for trial in trials} - {None}:
        dataset = load(str(name), data_dir)
        inputs[name] = (dataset.train.pixels.shape[1:], len(dataset.classes), len(dataset.train), dataset.test)
    needed, checkpoints = 0, [0]
    for trial in trials:
        if (recipe := trial.recipe.images) is None:  # what such an engine leaves is not known
            needed += kept_bytes(0, 0, trial.recipe.epochs)
            continue
        image, classes, train, test = inputs[recipe.data.name]
        engine = images_of(recipe)
        count = engine.parameters(recipe, image, classes) or engine.try_network(recipe, image, classes) or 0
        weights = ceil(OTHER_NUMBERS * BYTES_A_NUMBER * count)
        needed += kept_bytes(weights, train + len(test), recipe.epochs)
        checkpoints.append(weights * engine.checkpoint_copies(recipe))
    needed += 2 * sum(sorted(checkpoints)[-jobs:])
    free = free_bytes(runs_dir)
    if free < needed:
        raise StoreError(
            f"{runs_dir} has {size(free)} free, and the {len(trials)} trials to train need up to "
            f"{size(needed)}: make room, or choose a folder on another disk with --runs. Nothing was started."
        )


def kept_bytes(weights: int, predictions: int, epochs: int) -> int:
    """Return the bytes that a finished trial leaves on the disk, at most.

    It leaves so many bytes of weights, and the predictions of this many images that it was validated and tested on.
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
        StoreError: The system does not say.
    """
    try:
        there = folder.absolute()
        while not there.exists():
            there = there.parent
        return shutil.disk_usage(there).free
    except OSError as error:
        raise unreadable(folder, error) from error
