"""Trials as jobs of a Slurm cluster: `--on slurm`, by submitit.

A job is an errand. What became of it is read from the file that it leaves; one that Slurm no longer knows and that left
none is lost, and sent again: Slurm's own requeueing is no promise.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eailab.errors import DeviceError, UsageError
from eailab.runs.events import Event
from eailab.runs.executors import errand
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.courier import Dispatch
from eailab.runs.executors.errand import Return
from eailab.runs.store import Trial

LOST_SECONDS = 30.0
"""A job that Slurm has not known for so long, and that left nothing, is lost."""

PROBE_SECONDS = 600.0
"""For a first job to come to its turn."""


@dataclass(frozen=True)
class SlurmExecutor:
    """Train trials as Slurm jobs.

    Args:
        minutes: Time limit of a job; a trial that needs more goes on in the next. Slurm's own variables, such as
            SBATCH_TIMELIMIT, SBATCH_PARTITION and SBATCH_ACCOUNT, count more.

    A job asks for a GPU where the device is `cuda`; otherwise it takes what the partition's jobs see.
    """

    minutes: int = 60

    def run(
        self,
        trials: Sequence[Trial],
        surroundings: Surroundings,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Bring every trial to an end; see `Executor.run`.

        Raises:
            UsageError: submitit is not installed.
            DeviceError: Slurm's commands are not here.
        """
        try:
            import submitit
        except ImportError as error:
            raise UsageError('--on slurm needs submitit: pip install "eailab[slurm]".') from error
        logs = surroundings.runs_dir.absolute() / ".slurm"
        try:
            submitter = submitit.SlurmExecutor(folder=logs)
        except RuntimeError as error:
            raise DeviceError(f"--on slurm: {error}. Run it on a machine that can submit jobs.") from error
        submitter.update_parameters(job_name="eailab", time=self.minutes, additional_parameters={"requeue": True})
        if surroundings.device == "cuda":
            submitter.update_parameters(gres="gpu:1")
        Dispatch(_SlurmCourier(submitter), surroundings, on_event, should_stop).run(trials)


@dataclass
class _SlurmCourier:
    submitter: Any
    jobs: dict[str, tuple[Any, float]] = field(default_factory=dict)
    """By trial: the job, and when Slurm knew it last."""

    def send(self, name: str, arguments: list[str], threads: int, alone: bool) -> None:
        self.submitter.update_parameters(cpus_per_task=threads, exclusive=alone or None)
        self.jobs[name] = (self.submitter.submit(errand.run, arguments), time.monotonic())

    def collect(self, seconds: float) -> list[Return]:
        time.sleep(seconds)
        known, now, back = _known_jobs(), time.monotonic(), []
        for name, (job, last) in list(self.jobs.items()):
            if job.paths.result_pickle.exists():
                back.append(_result(name, job))
            elif job.job_id.partition("_")[0] in known:
                self.jobs[name] = (job, now)
                continue
            elif now - last < LOST_SECONDS:
                continue
            else:
                back.append(Return(name, -1, "Slurm no longer knows its job, which left no result."))
            del self.jobs[name]
        return back

    def reads(self, file: Path) -> str:
        job = self.submitter.submit(_read, str(file))
        deadline = time.monotonic() + PROBE_SECONDS
        while time.monotonic() < deadline and not job.paths.result_pickle.exists():
            time.sleep(0.5)
        return str(job.result()) if job.paths.result_pickle.exists() else ""

    def recall(self) -> None:
        numbers = [job.job_id for job, _ in self.jobs.values()]
        if numbers:
            subprocess.run(["scancel", *numbers], check=False, capture_output=True)  # noqa: S603, S607


def _known_jobs() -> set[str]:
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%A"],  # noqa: S607 - Slurm is where the user's PATH has it
        capture_output=True,
        text=True,
        check=False,
    )
    return set(listed.stdout.split())


def _result(name: str, job: Any) -> Return:
    try:
        back: Return = job.result()
    except Exception as error:  # noqa: BLE001 - whatever the job raised
        return Return(name, -1, str(error).strip().rpartition("\n")[2])
    return back


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError:
        return ""
