"""Trials on this machine: in this process, or in worker processes that live long and take trials in turn."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from eailab.errors import EailabError, StoppedError
from eailab.runs.events import Event, Failed
from eailab.runs.executors.base import Surroundings
from eailab.runs.store import Trial
from eailab.runs.training import run_trial

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event as Flag

BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class LocalExecutor:
    """Train trials on this machine.

    Args:
        jobs: Trials side by side; 1 trains in this process.
    """

    jobs: int

    def run(
        self,
        trials: Sequence[Trial],
        surroundings: Surroundings,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Bring every trial to an end; see `Executor.run`."""
        if min(self.jobs, len(trials)) <= 1:
            for trial in trials:
                _attempt(trial, surroundings, on_event, should_stop)
        else:
            _Pool(min(self.jobs, len(trials)), surroundings, on_event, should_stop).run(trials)


def _attempt(
    trial: Trial,
    surroundings: Surroundings,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> None:
    """Run one trial; all that goes wrong with it alone becomes a `Failed`."""
    try:
        run_trial(trial, surroundings.store, on_event, should_stop, surroundings.data_dir, surroundings.device)
    except StoppedError:
        raise
    except EailabError as error:
        on_event(Failed(trial.fingerprint, str(error), error.exit_code))
    except Exception:  # noqa: BLE001 - a bug in one trial must not take the study along; its traceback is shown
        on_event(Failed(trial.fingerprint, traceback.format_exc(), exit_code=1))


class _Pool:
    """Worker processes, each with a pipe: trials go in, events come out."""

    def __init__(
        self,
        workers: int,
        surroundings: Surroundings,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.workers = workers
        self.surroundings = surroundings
        self.on_event = on_event
        self.should_stop = should_stop
        self.context = multiprocessing.get_context("spawn")
        self.stop = self.context.Event()
        self.processes: dict[Connection, SpawnProcess] = {}
        self.at_work: dict[Connection, Trial] = {}

    def run(self, trials: Sequence[Trial]) -> None:
        """Train the trials in their order, as workers come free."""
        waiting = list(reversed(trials))
        try:
            with _one_blas_thread():
                for _ in range(self.workers):
                    self._hire(waiting)
            while self.at_work:
                for ready in wait(list(self.at_work), timeout=0.1):
                    assert isinstance(ready, Connection)  # noqa: S101 - only connections are waited for
                    self._hear(ready, waiting)
                if self.should_stop():
                    self.stop.set()
                    waiting.clear()
        finally:
            self._dismiss()
        if self.should_stop():
            raise StoppedError("stopped between trials.")

    def _hire(self, waiting: list[Trial]) -> None:
        if not waiting:
            return
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_work, args=(theirs, self.stop, self.surroundings), daemon=True)
        process.start()
        theirs.close()
        self.processes[ours] = process
        self._give(ours, waiting)

    def _give(self, worker: Connection, waiting: list[Trial]) -> None:
        if waiting:
            self.at_work[worker] = waiting.pop()
            worker.send(self.at_work[worker])

    def _hear(self, worker: Connection, waiting: list[Trial]) -> None:
        try:
            message = worker.recv()
        except (EOFError, OSError):
            trial = self.at_work.pop(worker)
            process = self.processes.pop(worker)
            process.join()
            if not self.stop.is_set():
                self.on_event(Failed(trial.fingerprint, _death(process.exitcode), exit_code=1))
                with _one_blas_thread():
                    self._hire(waiting)
            return
        if message is None:
            del self.at_work[worker]
            self._give(worker, waiting)
        else:
            self.on_event(message)

    def _dismiss(self) -> None:
        self.stop.set()
        for connection in self.processes:
            connection.close()
        for process in self.processes.values():
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()


def _work(connection: Connection, stop: "Flag", surroundings: Surroundings) -> None:
    """What a worker does: take a trial, tell its events, say None when it has ended, take the next."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches us too; the parent decides
    with suppress(EOFError, OSError, StoppedError):
        while True:
            trial = connection.recv()
            _attempt(trial, surroundings, connection.send, stop.is_set)
            connection.send(None)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Let processes that are started here begin with one BLAS thread each; a recipe's own number comes later."""
    before = {name: os.environ.get(name) for name in BLAS_VARIABLES}
    os.environ.update(dict.fromkeys(BLAS_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _death(exitcode: int | None) -> str:
    if exitcode == -signal.SIGKILL:
        return (
            "its process was killed (signal 9), most likely because the machine ran out of memory: "
            "run the same command with --jobs 1."
        )
    return f"its process ended with code {exitcode} before the trial did: run the same command again."
