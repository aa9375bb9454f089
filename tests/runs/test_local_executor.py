"""Workers carry trials; results do not depend on how many there are."""

import os
import signal
from dataclasses import dataclass

import pytest

from eailab.data.table import load as load_data
from eailab.errors import StoppedError
from eailab.recipe.load import Override, load
from eailab.runs.events import Ended, EpochEnded, Failed
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.store import Trial


def trials(count, **changes):
    recipe = load("digits-mlp", [Override("epochs", 2, "-o")]).recipe
    return [Trial(recipe, block, load_data("digits").fingerprint) for block in range(count)]


def run(jobs, some, root, stop=lambda: False, watch=None):
    events = []
    LocalExecutor(jobs).run(some, Surroundings(root), watch or events.append, stop)
    return events


def test_results_do_not_depend_on_the_number_of_jobs(tmp_path):
    some = trials(3)
    for jobs in (1, 2):
        run(jobs, some, tmp_path / str(jobs))
    for trial in some:
        one, two = (Surroundings(tmp_path / str(jobs)).store.folder(trial.fingerprint) for jobs in (1, 2))
        for name in ("epochs.jsonl", "model.safetensors", "predictions.npz"):
            assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path, jobs):
    good, bad = trials(2)
    bad = Trial(bad.recipe, bad.block, data="another data set's fingerprint")
    events = run(jobs, [bad, good], tmp_path)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.trial == bad.fingerprint
    assert "has changed" in failed.reason
    assert failed.exit_code == 2
    assert [event.trial for event in events if isinstance(event, Ended)] == [good.fingerprint]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stop_is_heard_and_the_same_call_finishes(tmp_path, jobs):
    some, events = trials(4), []

    def stop():
        return any(isinstance(event, Ended) for event in events)

    with pytest.raises(StoppedError):
        run(jobs, some, tmp_path, stop, events.append)
    store = Surroundings(tmp_path).store
    assert 1 <= sum(store.folder(trial.fingerprint).result() is not None for trial in some) < 4
    run(jobs, some, tmp_path)
    assert all(store.folder(trial.fingerprint).result() is not None for trial in some)


@dataclass
class Killer:
    """Kills the first worker that ends an epoch, as the out-of-memory killer would."""

    killed: int = 0

    def __call__(self, event):
        if isinstance(event, EpochEnded) and not self.killed:
            import multiprocessing

            self.killed = multiprocessing.active_children()[0].pid
            os.kill(self.killed, signal.SIGKILL)


def test_a_killed_worker_costs_its_trial_only(tmp_path):
    some, killer, failed = trials(6), Killer(), []

    def watch(event):
        killer(event)
        failed.extend([event] if isinstance(event, Failed) else [])

    run(2, some, tmp_path, watch=watch)
    assert killer.killed
    store = Surroundings(tmp_path).store
    left = {trial.fingerprint for trial in some if store.folder(trial.fingerprint).result() is None}
    assert left == {event.trial for event in failed}
    assert len(failed) <= 1
    assert all("out of memory" in event.reason for event in failed)
