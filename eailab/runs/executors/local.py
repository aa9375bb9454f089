"""Train trials on this machine: in this process, or in a pool of worker processes."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from eailab.errors import StoppedError, StoreError, shortage_of
from eailab.runs.context import Event, Failed, RunContext, TriedAgain
from eailab.runs.executors.attempts import Attempt, Outcome, Retries, describe, free_memory, judge, out_of_memory_kills
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial

ATTEMPTS = 2
"""At a trial whose process dies: on one machine a second death is most likely the trial's own."""
BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class LocalExecutor:
    """Train trials on this machine.

    Args:
        jobs: Trials side by side, in a process each; 1 trains in this process.
    """

    jobs: int

    def run(self, trials: Sequence[Trial], context: RunContext) -> None:
        """Train every trial; see `Executor.run`."""
        jobs = min(self.jobs, len(trials))
        if jobs > 1:
            _Pool(jobs, context).run(trials)
            return
        retries, waiting = Retries(ATTEMPTS, context.retries), deque(trials)
        while waiting:
            trial = waiting.popleft()
            if context.should_stop():
                raise StoppedError("stopped between trials.")
            with Attempt() as attempt, _seeing_one_gpu(context.gpus):
                run_trial(trial, context)
            outcome = attempt.outcome
            if (why := retries.why_again(trial.fingerprint, outcome)) is not None:
                context.on_event(TriedAgain(trial.fingerprint, why))
                free_memory()
                waiting.appendleft(trial)
            else:
                judge(trial, outcome, context.on_event)


class _Pool:
    """Worker processes, each with a pipe: trials go in, events and outcomes come out."""

    def __init__(self, workers: int, context: RunContext) -> None:
        self.limit = workers
        """Trials side by side; halved when a process is killed."""
        self.context = context
        self.spawning = multiprocessing.get_context("spawn")
        self.stop = _Flag(*self.spawning.Pipe(duplex=False))
        self.processes: dict[Connection, SpawnProcess] = {}
        self.gpus: dict[Connection, str] = {}
        """Which one the programs of each process see."""
        self.at_work: dict[Connection, Trial] = {}
        self.waiting: deque[Trial] = deque()
        self.alone: deque[Trial] = deque()
        """Trials that ran out of memory next to others; their turn comes when nothing else is left."""
        self.retries = Retries(ATTEMPTS, context.retries)
        self.broken: str | None = None
        """Why the store cannot be written."""
        self.kills = out_of_memory_kills()

    def run(self, trials: Sequence[Trial]) -> None:
        """Train the trials in their order, as workers come free."""
        self.waiting.extend(trials)
        try:
            while self._assign():
                for ready in wait(list(self.at_work), timeout=0.1):
                    assert isinstance(ready, Connection)  # noqa: S101 - only connections are waited for
                    self._receive(ready)
                if self.context.should_stop():
                    self._stop_all()
        finally:
            self.stop.set()
            self._end_workers(list(self.processes))
        if self.broken is not None:
            raise StoreError(self.broken)
        if self.context.should_stop():
            raise StoppedError("stopped between trials.")

    def _assign(self) -> bool:
        """Assign trials to idle workers, start workers where there are too few, and return whether any is at work."""
        if not self.waiting and not self.at_work and self.alone:
            self._end_workers(list(self.processes))  # a fresh process for each of them, and nothing next to it
            self.limit = 1
            self.waiting.append(self.alone.popleft())
        while self.waiting and len(self.at_work) < self.limit:
            idle = [worker for worker in self.processes if worker not in self.at_work]
            worker = idle[0] if idle else self._start_worker()
            trial = self.waiting.popleft()
            self.at_work[worker] = trial
            with suppress(OSError):  # a worker that died while it was idle is noticed when its pipe is read
                worker.send(trial)
        return bool(self.at_work)

    def _start_worker(self) -> Connection:
        ours, theirs = self.spawning.Pipe()
        process = self.spawning.Process(
            target=_work, args=(theirs, self.stop.seen_by_workers, self.context.unfollowed()), daemon=True
        )
        free = [one for one in self.context.gpus if one not in self.gpus.values()]
        one_thread = _environment(dict.fromkeys(BLAS_VARIABLES, "1"))  # a recipe's own number comes later
        with one_thread, _interrupts_blocked(), _seeing_one_gpu(free):
            process.start()
        theirs.close()
        self.processes[ours] = process
        if free:
            self.gpus[ours] = free[0]
        return ours

    def _receive(self, worker: Connection) -> None:
        try:
            message: Event | Outcome = worker.recv()
        except (EOFError, OSError):
            self._worker_died(worker)
            return
        if not isinstance(message, Outcome):
            self.context.on_event(message)
            return
        trial = self.at_work.pop(worker)
        if message.problem == "store":
            self.broken = message.reason
            self._stop_all()
        elif (why := self.retries.why_again(trial.fingerprint, message, ", alone, at the end")) is not None:
            if message.problem == "memory":
                self.alone.append(trial)
            else:
                self.waiting.appendleft(trial)
            self.context.on_event(TriedAgain(trial.fingerprint, why))
        else:
            judge(trial, message, self.context.on_event)
        if len(self.processes) > self.limit:
            self._end_workers([worker])

    def _worker_died(self, worker: Connection) -> None:
        """Try the trial of a dead worker once more, with half as many side by side."""
        trial, process = self.at_work.pop(worker), self.processes.pop(worker)
        self.gpus.pop(worker, None)
        worker.close()
        process.join()
        if self.stop.is_set():
            return
        before, self.kills = self.kills, out_of_memory_kills()
        reason = describe(process.exitcode, before, self.kills)
        if not self.retries.after_death(trial.fingerprint):
            advice = "run the same command with --jobs 1, or on a machine with more memory."
            self.context.on_event(Failed(trial.fingerprint, f"{reason}, for the second time: {advice}", exit_code=1))
            return
        self.limit = max(1, self.limit // 2)
        self.waiting.appendleft(trial)
        beside = f"{self.limit} trial{'s' * (self.limit > 1)} side by side from now on"
        self.context.on_event(TriedAgain(trial.fingerprint, f"{reason}. It is tried once more, with {beside}."))

    def _stop_all(self) -> None:
        self.stop.set()
        self.waiting.clear()
        self.alone.clear()

    def _end_workers(self, workers: Sequence[Connection]) -> None:
        """Let workers end: an idle one sees its pipe closed, one at work the flag if it is set, else also its pipe."""
        leaving = [self.processes.pop(worker) for worker in workers]
        for worker in workers:
            self.gpus.pop(worker, None)
        for worker in workers:
            worker.close()
        for process in leaving:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()


class _Flag:
    """Tells workers to stop by closing a pipe, which needs no /dev/shm and also happens if this process is killed."""

    def __init__(self, seen_by_workers: Connection, ours: Connection) -> None:
        self.seen_by_workers = seen_by_workers
        self._ours = ours

    def set(self) -> None:
        self._ours.close()

    def is_set(self) -> bool:
        return self._ours.closed


def _work(connection: Connection, flag: Connection, context: RunContext) -> None:
    """Work in a worker process: take a trial, send its events and its outcome, take the next."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches us too; the parent decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    stop = threading.Event()
    try:
        threading.Thread(target=_set_at_the_end, args=(flag, stop), daemon=True).start()
    except RuntimeError as error:
        sys.exit(str(shortage_of(error) or error))  # the parent reports what becomes of its trial
    followed = context.followed(connection.send, stop.is_set)
    with suppress(EOFError, OSError, StoppedError):
        while True:
            trial: Trial = connection.recv()
            with Attempt() as attempt:
                run_trial(trial, followed)
            connection.send(attempt.outcome)


def _set_at_the_end(flag: Connection, stop: threading.Event) -> None:
    with suppress(EOFError, OSError):
        flag.recv_bytes()
    stop.set()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold back SIGINT in processes started here, which would end them while they import; `_work` ignores it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _seeing_one_gpu(free: Sequence[str]) -> AbstractContextManager[None]:
    """Let programs that are started here see the first GPU alone; all that there are where none is given."""
    return _environment({"CUDA_VISIBLE_DEVICES": free[0]} if free else {})


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
