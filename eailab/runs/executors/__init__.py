"""Choose the executor that trains the trials of a study, here or elsewhere: a new one is a module and a line."""

from collections.abc import Sequence
from typing import Protocol

from eailab.errors import UsageError
from eailab.runs.context import RunContext
from eailab.runs.trial import Trial


class Executor(Protocol):
    """Trains trials somewhere."""

    def run(self, trials: Sequence[Trial], context: RunContext) -> None:
        """Train every trial. A failure is reported as a `Failed` event; the remaining trials continue.

        Raises:
            StoppedError: `context.should_stop` said so; everything finished is in the store.
            StoreError: The store cannot be written, so that every other trial would fail too.
        """
        ...


def executor_for(on: str, jobs: int) -> Executor:
    """Return the executor that `--on` names.

    Args:
        on: `local`, `ray`, `ray://ADDRESS` or `slurm`.
        jobs: Trials side by side on this machine; clusters decide for themselves.

    Raises:
        UsageError: There is none of this name.
    """
    if on == "local":
        from eailab.runs.executors.local import LocalExecutor

        return LocalExecutor(jobs)
    if on == "ray" or (on.startswith("ray://") and len(on) > len("ray://")):
        from eailab.runs.executors.ray import RayExecutor

        return RayExecutor(on.removeprefix("ray").removeprefix("://") or None)
    if on == "slurm":
        from eailab.runs.executors.slurm import SlurmExecutor

        return SlurmExecutor()
    raise UsageError(f"--on {on}: give local, ray (on this machine), ray://HOST:PORT (a cluster's head) or slurm.")
