"""Train trials as jobs of a Slurm cluster: `--on slurm`, by submitit.

A job is a task, and the tasks of a study are job arrays. What became of one is read from the file that it leaves;
one that Slurm no longer knows and that left none is lost, and its trials are sent again: Slurm does not
guarantee that it requeues them.
"""

import os
import signal
import stat
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eailab.errors import DeviceError, UsageError
from eailab.extras import install_command
from eailab.runs.atomic import make_folder, writing
from eailab.runs.context import RunContext
from eailab.runs.executors import remote_worker
from eailab.runs.executors.cluster import Dispatcher, gpu_is_wanted
from eailab.runs.executors.remote_worker import Task, TaskResult
from eailab.runs.trial import Trial

LOST_SECONDS = 30.0
"""A job that Slurm has not known for so long, and that left nothing, is lost."""

WORTH_SECONDS = 60.0
"""Of training in a job, compared with which the seconds that its start takes are few."""

ARRAY = 1000
"""Jobs of one array; Slurm's own limit, unless it was set otherwise."""


@dataclass(frozen=True)
class SlurmExecutor:
    """Train trials as Slurm jobs.

    Args:
        minutes: Time limit of a job; a trial that needs more goes on in the next. Slurm's own variables, such as
            SBATCH_TIMELIMIT, SBATCH_PARTITION and SBATCH_ACCOUNT, count more.
        worth_seconds: Short trials share a job until it holds so much training.

    A job asks for a GPU where the device is `cuda`; otherwise it takes what the partition's jobs see.
    """

    minutes: int = 60
    worth_seconds: float = WORTH_SECONDS

    def run(self, trials: Sequence[Trial], context: RunContext) -> None:
        """Train every trial; see `Executor.run`.

        Raises:
            UsageError: submitit is not installed, or others can write where it leaves jobs.
            DeviceError: Slurm's commands are not here, or refuse a job.
        """
        try:
            import submitit
        except ImportError as error:
            raise UsageError(f"--on slurm needs submitit: {install_command('slurm')}") from error
        jobs = context.runs_dir.absolute() / ".slurm"
        _check_private(jobs)
        try:
            submitter = submitit.SlurmExecutor(folder=jobs)
        except RuntimeError as error:
            raise DeviceError(f"--on slurm: {error}. Run it on a machine that can submit jobs.") from error
        on_gpu = any(gpu_is_wanted(trial, context.device, present=False) for trial in trials)
        submitter.update_parameters(
            job_name="eailab",
            time=self.minutes,
            gres="gpu:1" if on_gpu else None,
            array_parallelism=ARRAY,
            additional_parameters={"requeue": True},
        )
        Dispatcher(_SlurmBackend(submitter, self.worth_seconds), context).run(trials)


def _check_private(folder: Path) -> None:
    """Make the folder of jobs, and refuse one that others can write: submitit hands jobs over as pickles.

    Raises:
        UsageError: Others can write there.
        StoreError: The folder cannot be made.
    """
    with writing(folder):
        make_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o022 or not stat.S_ISDIR(status.st_mode):
        raise UsageError(
            f"others can write in {folder}, and what is there is run as you: remove it, or name a folder of your "
            "own with --runs."
        )


class Job:
    """Hold what a job runs: a task that Slurm may interrupt, to go on when the job's turn comes again."""

    def __init__(self) -> None:
        self.number: int | None = None
        """Of the task's process."""

    def __call__(self, sent: Task) -> list[TaskResult]:
        """Run the task."""
        process = remote_worker.start(sent)
        self.number = process.pid
        return remote_worker.finish(sent, process)

    def checkpoint(self, sent: Task) -> Any:
        """Wait until the trial in training is saved, which the signal that calls us asks of its process too.

        submitit calls this from its handler, in the middle of `__call__`, and puts the job back into the queue.
        """
        from submitit.helpers import DelayedSubmission

        if self.number is not None:
            with suppress(ChildProcessError, ProcessLookupError):
                os.kill(self.number, signal.SIGTERM)
                os.waitid(os.P_PID, self.number, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Job(), sent)


@dataclass
class _SlurmBackend:
    submitter: Any
    worth_seconds: float
    measures: bool = True
    at_once: int = ARRAY
    jobs: dict[str, tuple[Task, Any, float]] = field(default_factory=dict)
    """By number: the task, the job, and when Slurm knew it last."""

    def machines(self) -> Sequence[str]:
        return [""]

    def send(self, tasks: Sequence[Task]) -> None:
        alike = defaultdict(list)
        for sent in tasks:
            alike[sent.threads, sent.alone].append(sent)
        for (threads, alone), some in alike.items():
            self.submitter.update_parameters(
                cpus_per_task=threads,
                srun_args=[f"--cpus-per-task={threads}"],  # which srun has not taken from the job since Slurm 22.05
                exclusive=alone or None,
            )
            try:
                jobs = self.submitter.map_array(Job(), some)
            except RuntimeError as error:
                raise DeviceError(f"Slurm rejected the jobs: {str(error).strip()}") from error
            now = time.monotonic()
            self.jobs.update({job.job_id: (sent, job, now) for sent, job in zip(some, jobs, strict=True)})

    def collect(self, seconds: float) -> list[TaskResult]:
        time.sleep(seconds)
        known, now, back = _known_jobs(), time.monotonic(), []
        for number, (sent, job, last) in list(self.jobs.items()):
            if job.paths.result_pickle.exists():
                back += _returned(sent, job)
            elif known is None or number in known:
                self.jobs[number] = (sent, job, now)
                continue
            elif now - last < LOST_SECONDS:
                continue
            else:
                back += sent.lost("Slurm no longer knows its job, which left no result.")
            del self.jobs[number]
        return back

    def cancel(self) -> None:
        arrays = {number.partition("_")[0] for number in self.jobs}
        if arrays:
            command = ["scancel", *sorted(arrays)]
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - numbers that Slurm gave us


def _known_jobs() -> set[str] | None:
    """Return the numbers of our jobs that wait or run, those of arrays as `12_3`; None if Slurm does not answer."""
    listed = subprocess.run(
        ["squeue", "--me", "--array", "--noheader", "--format=%i"],  # noqa: S607 - Slurm is where the user's PATH has it
        capture_output=True,
        text=True,
        check=False,
    )
    return set(listed.stdout.split()) if listed.returncode == 0 else None


def _returned(sent: Task, job: Any) -> list[TaskResult]:
    try:
        back: list[TaskResult] = job.result()
    except Exception as error:  # noqa: BLE001 - whatever the job raised
        return sent.lost(str(error).strip().rpartition("\n")[2])
    return back
