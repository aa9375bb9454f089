"""The executors by name: a new one is one module and one line here."""

from eailab.errors import UsageError
from eailab.runs.executors.base import Executor
from eailab.runs.executors.local import LocalExecutor


def executor_for(on: str, jobs: int) -> Executor:
    """Return the executor that `--on` names.

    Args:
        on: `local`, `ray`, `ray://ADDRESS` or `slurm`.
        jobs: Trials side by side on this machine; clusters decide for themselves.

    Raises:
        UsageError: There is none of this name.
    """
    if on == "local":
        return LocalExecutor(jobs)
    if on == "ray" or (on.startswith("ray://") and len(on) > len("ray://")):
        from eailab.runs.executors.ray import RayExecutor

        return RayExecutor(on.removeprefix("ray").removeprefix("://") or None)
    if on == "slurm":
        from eailab.runs.executors.slurm import SlurmExecutor

        return SlurmExecutor()
    raise UsageError(f"--on {on}: give local, ray (on this machine), ray://HOST:PORT (a cluster's head) or slurm.")
