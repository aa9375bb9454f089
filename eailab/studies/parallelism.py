"""How many trials this machine carries at once, and whether they use its cores well."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from eailab.engines.registry import engine_of
from eailab.runs.context import RunContext
from eailab.runs.trial import Trial

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
"""Where Linux says which control groups there are, and which this process is in."""


def side_by_side(todo: Sequence[Trial], context: RunContext) -> int:
    """Return how many trials this machine carries at once: its cores over a trial's threads, or one on a GPU."""
    if len(todo) < 2 or _take_a_gpu(todo, context):
        return 1
    return max(1, cores() // max(trial.recipe.threads for trial in todo))


def _take_a_gpu(todo: Sequence[Trial], context: RunContext) -> bool:
    if context.device == "cpu" or not any(engine_of(trial.recipe).uses_gpu for trial in todo):
        return False
    from eailab.engines.torch_resnet import devices

    return devices.cuda_is_here()


def advice_on_threads(todo: Sequence[Trial], context: RunContext, jobs: int | None) -> str | None:
    """Return how residual networks could use this machine's cores better, or None where they use them well.

    Two trials of one thread each take less time than one after the other of two threads, and threads that share a core
    wait for each other (`benchmarks/threads.py`). The number of threads is a recipe's, so nothing is changed here.

    Args:
        todo: What is to be trained.
        context: Where.
        jobs: Trials side by side; None for what `side_by_side` says.
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
