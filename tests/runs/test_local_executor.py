"""Workers carry trials; results do not depend on how many there are."""

import multiprocessing
import os
import signal
from dataclasses import dataclass, field

import pytest
import torch

from eailab.data.registry import load as load_data
from eailab.errors import MemoryShortageError, StoppedError, StoreError
from eailab.recipe.load import Override, load
from eailab.runs.context import Ended, EpochEnded, Failed, RunContext, Started, TriedAgain
from eailab.runs.executors import local
from eailab.runs.executors.attempts import Outcome
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.probe import probe
from eailab.runs.trial import Trial


def trials(count, epochs=2):
    recipe = load("digits-mlp", [Override("epochs", epochs, "-o")]).recipe
    return [Trial(recipe, block, load_data("digits").fingerprint) for block in range(count)]


def run(jobs, some, root, stop=lambda: False, watch=None):
    events = []
    LocalExecutor(jobs).run(some, RunContext(root, on_event=watch or events.append, should_stop=stop))
    return events


@pytest.fixture
def no_semaphores(monkeypatch):
    """A /dev/shm that is full or cannot be written."""

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuse)


def test_neither_workers_nor_a_probe_need_shared_memory(tmp_path, no_semaphores):
    some = trials(2)
    assert sum(isinstance(event, Ended) for event in run(2, some, tmp_path)) == 2
    assert probe(some[:1], RunContext(tmp_path))[0].epoch_seconds > 0


def test_workers_stop_when_they_are_told(tmp_path, forked):
    events = []
    with pytest.raises(StoppedError):
        run(2, trials(2, epochs=10**4), tmp_path, lambda: any(isinstance(e, EpochEnded) for e in events), events.append)
    assert not any(isinstance(event, Ended | Failed) for event in events)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no such signals")
def test_an_interrupt_does_not_end_a_worker_that_is_still_importing(tmp_path):
    """A terminal's Ctrl-C reaches it too: its traceback hid what is kept."""
    events = []
    pool = local._Pool(1, RunContext(tmp_path, on_event=events.append))
    worker = pool._start_worker()
    os.kill(pool.processes[worker].pid, signal.SIGINT)
    pool.run(trials(1))
    assert not any(isinstance(event, TriedAgain | Failed) for event in events)
    assert any(isinstance(event, Ended) for event in events)


def test_what_a_worker_runs_out_of_is_said_without_a_traceback():
    cuda = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
    for error, problem in ((MemoryError(), "memory"), (cuda, "memory"), (OSError(24, "Too many open files"), "trial")):
        with local.Attempt() as attempt:
            raise error
        outcome = attempt.outcome
        assert outcome.problem == problem
        assert "ulimit" in outcome.reason
        assert ("batch size was not changed" in outcome.reason) == (problem == "memory")
        assert ("(CUDA out of memory)" in outcome.reason) == (error is cuda)
        assert "Traceback" not in outcome.reason


def test_results_do_not_depend_on_the_number_of_jobs(tmp_path, monkeypatch):
    """Nor does what this process starts afterwards: the environment that trials had side by side is theirs alone."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    some, before = trials(3), dict(os.environ)
    for jobs in (1, 2):
        run(jobs, some, tmp_path / str(jobs))
        assert dict(os.environ) == before
    for trial in some:
        one, two = (RunContext(tmp_path / str(jobs)).store.folder(trial.fingerprint) for jobs in (1, 2))
        for name in ("epochs.jsonl", "model.safetensors", "predictions.npz"):
            assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path, forked, jobs):
    good, bad = trials(2)
    bad = Trial(bad.recipe, bad.block, data="another data set's fingerprint")
    events = run(jobs, [bad, good], tmp_path)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.trial == bad.fingerprint
    assert "has changed" in failed.reason
    assert failed.exit_code == 2
    assert [event.trial for event in events if isinstance(event, Ended)] == [good.fingerprint]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stop_is_heard_and_the_same_call_finishes(tmp_path, forked, jobs):
    some, events = trials(4), []

    def stop():
        return any(isinstance(event, Ended) for event in events)

    with pytest.raises(StoppedError):
        run(jobs, some, tmp_path, stop, events.append)
    store = RunContext(tmp_path).store
    assert 1 <= sum(store.folder(trial.fingerprint).result() is not None for trial in some) < 4
    run(jobs, some, tmp_path)
    assert all(store.folder(trial.fingerprint).result() is not None for trial in some)


@dataclass
class Killer:
    """Kills the workers whenever a trial starts, as the out-of-memory killer would."""

    victim: str
    times: int
    events: list = field(default_factory=list)

    def __call__(self, event):
        self.events.append(event)
        if isinstance(event, Started) and event.trial == self.victim and self.times:
            self.times -= 1
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def test_a_killed_worker_costs_nothing_and_halves_the_trials_side_by_side(tmp_path, forked):
    some = trials(3, epochs=40)
    killer = Killer(some[0].fingerprint, times=1)
    run(2, some, tmp_path, watch=killer)
    again = killer.of(TriedAgain)
    assert some[0].fingerprint in {event.trial for event in again}
    assert all("killed" in event.reason and "1 trial side by side" in event.reason for event in again)
    assert not killer.of(Failed)
    assert all(RunContext(tmp_path).store.folder(trial.fingerprint).result() for trial in some)


def test_a_trial_whose_process_is_killed_twice_has_failed(tmp_path, forked):
    some = trials(2, epochs=40)
    killer = Killer(some[0].fingerprint, times=2)
    run(2, some, tmp_path, watch=killer)
    assert [event.trial for event in killer.of(Failed)] == [some[0].fingerprint]
    assert "second time" in killer.of(Failed)[0].reason
    assert RunContext(tmp_path).store.folder(some[1].fingerprint).result()


@dataclass
class Cramped:
    """Stands in for `run_trial`: the first trial has too little memory for its first attempts."""

    refusals: int
    tried: list = field(default_factory=list)

    def __call__(self, trial, *_):
        self.tried.append(trial.block)
        if trial.block == 0 and self.tried.count(0) <= self.refusals:
            raise MemoryShortageError("CUDA out of memory.")


@pytest.mark.parametrize(("refusals", "failures"), [(1, 0), (2, 1)])
def test_a_trial_without_memory_is_tried_once_more(tmp_path, monkeypatch, refusals, failures):
    monkeypatch.setattr(local, "run_trial", Cramped(refusals))
    events = run(1, trials(2), tmp_path)
    assert len([event for event in events if isinstance(event, TriedAgain)]) == 1
    assert len([event for event in events if isinstance(event, Failed)]) == failures


def test_in_a_pool_a_trial_without_memory_has_its_second_attempt_alone_at_the_end(tmp_path, monkeypatch):
    """Beside others it may have had too little only because of them."""
    pool, order = local._Pool(2, RunContext(tmp_path)), []
    outcomes = {0: [Outcome("memory", "CUDA out of memory."), Outcome()], 1: [Outcome()], 2: [Outcome()]}

    class Pipe:
        def send(self, trial):
            self.block = trial.block
            order.append((trial.block, len(pool.at_work)))

        def recv(self):
            return outcomes[self.block].pop(0)

        def close(self):
            pass

    class Process:
        def join(self, timeout=None):
            pass

        def is_alive(self):
            return False

    def hire():
        pipe = Pipe()
        pool.processes[pipe] = Process()
        return pipe

    monkeypatch.setattr(pool, "_start_worker", hire)
    monkeypatch.setattr(local, "wait", lambda pipes, timeout: pipes)
    monkeypatch.setattr(local, "Connection", Pipe)
    pool.run(trials(3))
    assert [block for block, _ in order] == [0, 1, 2, 0]
    assert order[-1] == (0, 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_store_that_cannot_be_written_ends_the_study_with_one_error(tmp_path, forked, jobs):
    """A thousand trials must not each be trained only to find the disk full."""
    some = trials(4)
    (tmp_path / "trials").mkdir()
    for trial in some:
        (tmp_path / "trials" / trial.fingerprint).write_text("a file where the trial's folder should be")
    with pytest.raises(StoreError, match="trials"):
        run(jobs, some, tmp_path)
