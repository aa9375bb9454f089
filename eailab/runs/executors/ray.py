"""Train trials on a Ray cluster, or on this machine by Ray: `--on ray` and `--on ray://ADDRESS`.

Ray listens on all interfaces of a machine, and anyone who reaches its ports can run code as the user who started it. So
token authentication is asked for before Ray is imported, and its usage statistics are switched off.
"""

import math
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eailab.errors import DeviceError, UsageError
from eailab.extras import install_command
from eailab.runs.context import RunContext
from eailab.runs.executors import remote_worker
from eailab.runs.executors.cluster import Dispatcher, gpu_is_wanted
from eailab.runs.executors.remote_worker import Resources, Task, TaskResult
from eailab.runs.trial import Trial

TOKEN_FILE = Path("~/.ray/auth_token")

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - Ray's choice

MOST_ON_A_GPU = 8
"""Trials side by side, however small: they share its arithmetic too."""

UNMEASURED_BYTES = 3 * 2**29
"""Of a GPU, on top of what torch holds in the steps that are tried: CUDA itself, and larger evaluation batches."""

RAY_STEPS = 10_000
"""Into which Ray divides a GPU."""


@dataclass(frozen=True)
class RayExecutor:
    """Train trials on a Ray cluster.

    Args:
        address: Of the cluster's head, such as `10.0.0.5:6379`; None starts Ray on this machine for this study.

    A trial of the torch engine takes a GPU where the cluster has any, unless the device is the CPU. Before the first,
    some steps of each arm are tried on a GPU of their own; then as many trials share one as its memory holds. Ray
    counts those shares and does no more, so the GPUs of a cluster should be alike.
    """

    address: str | None = None

    def run(self, trials: Sequence[Trial], context: RunContext) -> None:
        """Train every trial; see `Executor.run`.

        Raises:
            UsageError: Ray is not installed, or its token can be read by others.
            DeviceError: The cluster does not answer, or refuses the connection.
        """
        ray = _connect(self.address)
        present = ray.cluster_resources().get("GPU", 0) > 0
        on_gpus = any(gpu_is_wanted(trial, context.device, present) for trial in trials)
        Dispatcher(_RayBackend(ray, on_gpus), context).run(trials)


def _connect(address: str | None) -> Any:
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    _check_token()
    if address is None and SHARED_MEMORY.exists() and not os.access(SHARED_MEMORY, os.W_OK):
        raise DeviceError(
            f"{SHARED_MEMORY} cannot be written, and Ray keeps its objects there: mount it for writing, or train "
            "without Ray, by --on local."
        )
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--on ray needs Ray: {install_command('ray')}") from error
    try:
        with _keeping_signals():
            ray.init(address=address or "local", include_dashboard=False, log_to_driver=False, logging_level="error")
    except Exception as error:  # Ray raises Exception itself where its processes do not start
        raise DeviceError(f"could not connect to Ray at {address or 'this machine'}: {error}") from error
    return ray


@contextmanager
def _keeping_signals() -> Iterator[None]:
    """Put back what a termination signal does: Ray ends the process at once with a code of its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _check_token() -> None:
    """Refuse a token file that other users can read; `ray get-auth-token --generate` writes one like that."""
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", TOKEN_FILE)).expanduser()
    if os.name != "nt" and file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise UsageError(f"other users can read Ray's token in {file}, and with it run code as you: chmod 600 {file}")
    if os.environ["RAY_AUTH_MODE"] == "token" and not file.exists() and not os.environ.get("RAY_AUTH_TOKEN"):
        raise UsageError(
            f"Ray has no token yet: `ray get-auth-token --generate` writes {file}; then chmod 600 {file}, and give "
            "the same token to every node."
        )


def gpu_share(measured: Resources | None) -> float:
    """Return the part of a GPU that a trial is given, so that a whole number of them fits; 1 where nothing is known.

    >>> gpu_share(Resources(60.0, gpu_bytes=6 * 2**30, gpu_total_bytes=24 * 2**30))
    0.3333
    """
    if measured is None or measured.gpu_bytes is None or measured.gpu_total_bytes is None:
        return 1.0
    side_by_side = measured.gpu_total_bytes // (measured.gpu_bytes + UNMEASURED_BYTES)
    share = 1.0 / max(1, min(MOST_ON_A_GPU, side_by_side))
    return math.floor(share * RAY_STEPS) / RAY_STEPS  # rounded up, six times a sixth would be more than Ray's GPU


@dataclass
class _RayBackend:
    ray: Any
    on_gpus: bool
    worth_seconds: float = 0.0
    at_once: int = 1
    under_way: dict[Any, Task] = field(default_factory=dict)

    @property
    def measures(self) -> bool:
        return self.on_gpus

    def machines(self) -> Sequence[str]:
        return [str(node["NodeID"]) for node in self._nodes()]

    def send(self, tasks: Sequence[Task]) -> None:
        for sent in tasks:
            task = self.ray.remote(remote_worker.run).options(**self.options(sent))
            self.under_way[task.remote(sent)] = sent

    def options(self, sent: Task) -> dict[str, Any]:
        """Return what a task asks of Ray."""
        asked = {"num_cpus": sent.threads, "num_gpus": 0.0, "scheduling_strategy": "SPREAD", "max_retries": 3}
        if sent.machine:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            # no core, so that it need not wait for other work on that machine
            there = NodeAffinitySchedulingStrategy(sent.machine, soft=False)
            return asked | {"num_cpus": 0, "scheduling_strategy": there, "name": "eailab-look"}
        if sent.alone:
            asked["num_cpus"] = self._largest_node()
        if self.on_gpus:
            asked["num_gpus"] = 1.0 if sent.alone else gpu_share(sent.measured)
        return asked | {"name": f"eailab-{sent.names[0]}"}

    def _largest_node(self) -> float:
        """Return the cores of the largest node, which a task that asks for all of them has to itself."""
        return max((node["Resources"].get("CPU", 1.0) for node in self._nodes()), default=1.0)

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def collect(self, seconds: float) -> list[TaskResult]:
        if not self.under_way:
            time.sleep(seconds)
            return []
        done, _ = self.ray.wait(list(self.under_way), num_returns=1, timeout=seconds)
        return [back for reference in done for back in self._returned(reference)]

    def cancel(self) -> None:
        for reference in self.under_way:
            self.ray.cancel(reference, force=True)
        self.ray.shutdown()

    def _returned(self, reference: Any) -> list[TaskResult]:
        sent = self.under_way.pop(reference)
        try:
            back: list[TaskResult] = self.ray.get(reference)
        except Exception as error:  # noqa: BLE001 - a lost node, in one of Ray's many words
            return sent.lost(str(error).strip().partition("\n")[0])
        return back
