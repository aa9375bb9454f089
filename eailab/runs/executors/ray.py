"""Trials on a Ray cluster, or on this machine by Ray: `--on ray` and `--on ray://ADDRESS`.

Ray listens on all interfaces of a machine, and whoever reaches its ports runs code as the user who started it. So token
authentication is asked for before Ray is imported, and its usage statistics are switched off.
"""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eailab.errors import DeviceError, UsageError
from eailab.recipe.schema import ResNetRecipe
from eailab.runs.events import Event
from eailab.runs.executors import errand
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.courier import Dispatch
from eailab.runs.executors.errand import Return
from eailab.runs.store import Trial

TOKEN_FILE = Path("~/.ray/auth_token")


@dataclass(frozen=True)
class RayExecutor:
    """Train trials on a Ray cluster.

    Args:
        address: Of the cluster's head, such as `10.0.0.5:6379`; None starts Ray on this machine for this study.

    A trial of the torch engine takes one GPU where the cluster has any, unless the device is the CPU.
    """

    address: str | None = None

    def run(
        self,
        trials: Sequence[Trial],
        surroundings: Surroundings,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Bring every trial to an end; see `Executor.run`.

        Raises:
            UsageError: Ray is not installed, or its token can be read by others.
            DeviceError: The cluster does not answer, or refuses us.
        """
        ray = _connect(self.address)
        present = ray.cluster_resources().get("GPU", 0) > 0
        learns_on_gpus = any(isinstance(trial.recipe, ResNetRecipe) for trial in trials)
        wanted = surroundings.device == "cuda" or (surroundings.device == "auto" and present)
        gpus = 1 if learns_on_gpus and wanted else 0
        Dispatch(_RayCourier(ray, gpus), surroundings, on_event, should_stop).run(trials)


def _connect(address: str | None) -> Any:
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    _check_token()
    try:
        import ray
    except ImportError as error:
        raise UsageError('--on ray needs Ray: pip install "eailab[ray]".') from error
    try:
        ray.init(address=address or "local", include_dashboard=False, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise DeviceError(f"Ray at {address or 'this machine'} does not take us: {error}") from error
    return ray


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


@dataclass
class _RayCourier:
    ray: Any
    gpus: int
    under_way: dict[Any, str] = field(default_factory=dict)

    def send(self, name: str, arguments: list[str], threads: int, alone: bool) -> None:
        options = {
            "num_cpus": self._largest_node() if alone else threads,
            "num_gpus": self.gpus,
            "max_retries": 3,
            "scheduling_strategy": "SPREAD",
            "name": f"eailab-{name}",
        }
        task = self.ray.remote(errand.run).options(**options)
        self.under_way[task.remote(arguments)] = name

    def _largest_node(self) -> float:
        """All cores of the largest node: whoever asks for them has it alone."""
        return max((node["Resources"].get("CPU", 1.0) for node in self.ray.nodes() if node["Alive"]), default=1.0)

    def collect(self, seconds: float) -> list[Return]:
        if not self.under_way:
            return []
        done, _ = self.ray.wait(list(self.under_way), num_returns=1, timeout=seconds)
        return [self._returned(reference) for reference in done]

    def reads(self, file: Path) -> str:
        return str(self.ray.get(self.ray.remote(_read).options(scheduling_strategy="SPREAD").remote(str(file))))

    def recall(self) -> None:
        for reference in self.under_way:
            self.ray.cancel(reference, force=True)
        self.ray.shutdown()

    def _returned(self, reference: Any) -> Return:
        name = self.under_way.pop(reference)
        try:
            back: Return = self.ray.get(reference)
        except Exception as error:  # noqa: BLE001 - a lost node, in one of Ray's many words
            return Return(name, -1, str(error).strip().partition("\n")[0])
        return back


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError:
        return ""
