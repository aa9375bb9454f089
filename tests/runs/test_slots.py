"""Trials side by side in one process: what they leave does not depend on their neighbours, their slots or a stop.

The slots have eager lanes here, on the CPU. On a GPU the same lines serve captured steps; `benchmarks/gpu.py` repeats
the comparison of bits there.
"""

from dataclasses import replace

import pytest
import torch

from eailab.data.table import load as load_data
from eailab.engines.torch_resnet import cuda_graphs, devices, graph_steps, population
from eailab.engines.torch_resnet.cuda_graphs import EagerLane
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.errors import StoppedError, StoreError
from eailab.recipe.load import Override, load
from eailab.runs.events import Ended, EpochEnded, Failed, FewerAtOnce, Started, TriedAgain
from eailab.runs.executors import local, slots
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.store import Trial
from eailab.runs.training import run_trial, trial_in_turns

SMALL = {"model.width": 0.05, "data.limit": 64, "batch_size": 16, "epochs": 2, "threads": 1, "schedule.name": "cosine"}
VARIED = [
    {},
    {"optimizer.lr": 1e30, "optimizer.momentum": 0.0},
    {"batch_size": 24, "model.stem": "3x3-pad1", "epochs": 1},
    {"optimizer.lr": 0.01, "epochs": 3},
    {"optimizer.name": "adam", "optimizer.lr": 0.01},
]
"""One that diverges, another shape, one that takes the first's place, another optimizer."""


def make(changes, block=0):
    overrides = [Override(path, value, "-o") for path, value in (SMALL | {"optimizer.name": "sgd"} | changes).items()]
    recipe = load("resnet18-digits", overrides).recipe
    return Trial(recipe, block, load_data(recipe.data.name).fingerprint)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def run(some, root, jobs=2, stop=lambda: False, watch=None):
    events = []
    LocalExecutor(jobs).run(some, Surroundings(root), watch or events.append, stop)
    return events


def left(root, trial):
    """Return what a trial leaves: its result but for when and where, and the bytes of all files that hold no time."""
    folder = Surroundings(root).store.folder(trial.fingerprint)
    names = ("recipe.yaml", "epochs.jsonl", "model.safetensors", "predictions.npz")
    found = {name: (folder.path / name).read_bytes() for name in names if (folder.path / name).exists()}
    return replace(folder.result(), provenance={}), found


@pytest.fixture(autouse=True)
def eager_slots(monkeypatch):
    """Give the CPU slots, as a GPU has that takes captured steps; let them take turns within an epoch."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(cuda_graphs, "maker", lambda _: EagerLane)
    monkeypatch.setattr(graph_steps, "STEPS_A_PROGRAM", 2)
    monkeypatch.setattr(local, "_Pool", None)  # nothing here is to start a process
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return the store of some trials that were each trained by itself, with steps taken from Python."""
    root = tmp_path_factory.mktemp("alone")
    for changes in VARIED:
        trial = make(changes)
        run_trial(trial, Surroundings(root).store, lambda _: None, lambda: False, device="cpu")
    return root


def test_trials_in_slots_leave_the_bytes_they_leave_alone(tmp_path, alone, monkeypatch):
    """Five trials in two slots: other shapes beside them, a diverging neighbour, a place that another has left."""
    made = []

    class Counted(ResNetEngine):
        def __init__(self, *arguments, **options):
            made.append(arguments[0])
            super().__init__(*arguments, **options)

    monkeypatch.setattr(population, "ResNetEngine", Counted)
    some = [make(changes) for changes in VARIED]
    events = run(some, tmp_path)
    assert [left(tmp_path, trial) for trial in some] == [left(alone, trial) for trial in some]
    assert {event.trial: event.status for event in of(Ended, events)} == {
        trial.fingerprint: "diverged" if trial is some[1] else "finished" for trial in some
    }
    assert len(made) == len(some) - 1, "the trial at another rate takes up its predecessor's engine"
    assert len({population.program(recipe, 0) for recipe in made[:2]}) == 2, "slots are shared out among programs"
    running = [event.trial for event in events if isinstance(event, EpochEnded | Started)]
    assert running.index(some[1].fingerprint) < running.index(some[0].fingerprint, 1), "they are trained side by side"


def test_a_stop_checkpoints_every_trial_in_training_and_the_same_call_goes_on(tmp_path, alone, monkeypatch):
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    some, events = [make(VARIED[0]), make(VARIED[3]), make(VARIED[4])], []
    with pytest.raises(StoppedError):
        run(some, tmp_path, stop=lambda: len(of(EpochEnded, events)) >= 2, watch=events.append)
    store = Surroundings(tmp_path).store
    kept = [store.folder(trial.fingerprint).checkpoint_file.exists() for trial in some]
    assert kept == [True, False, True], "the second waits for the first one's slot, whose program it shares"
    again = run(some, tmp_path)
    assert {event.trial: (event.resumed + event.step) > 0 for event in of(Started, again)} == {
        trial.fingerprint: was_kept for trial, was_kept in zip(some, kept, strict=True)
    }
    assert [left(tmp_path, trial) for trial in some] == [left(alone, trial) for trial in some]


def test_a_trials_checkpoints_leave_time_for_those_beside_it(tmp_path, monkeypatch):
    told = []

    def watched(*arguments):
        told.append(arguments[6].trials)
        return trial_in_turns(*arguments)

    monkeypatch.setattr(slots, "trial_in_turns", watched)
    run([make({"epochs": 1}, block) for block in range(3)], tmp_path, jobs=4)
    assert told == [3, 3, 3]


def test_a_trial_that_fails_leaves_the_others_alone(tmp_path, alone):
    bad = Trial(make({}).recipe, 7, data="another data set's fingerprint")
    good = make(VARIED[0])
    events = run([bad, good], tmp_path)
    assert [(event.trial, event.exit_code) for event in of(Failed, events)] == [(bad.fingerprint, 2)]
    assert left(tmp_path, good) == left(alone, good)


class CrampedLane(EagerLane):
    """A lane on a device that lets the engines of so many lanes prepare their work, or none once that many have."""

    room = 1
    prepared = ()

    def program(self, work, altered):
        if self not in CrampedLane.prepared:
            if len(CrampedLane.prepared) >= CrampedLane.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried in vain.")
            CrampedLane.prepared += (self,)
        return work


@pytest.mark.parametrize(("room", "failures"), [(2, 0), (1, 1)])
def test_a_trial_without_memory_is_tried_once_more_alone_and_then_has_failed(
    tmp_path, alone, monkeypatch, room, failures
):
    """The second attempt is in a slot of its own; with room for one, no second slot ever gets memory here."""
    monkeypatch.setattr(cuda_graphs, "maker", lambda _: CrampedLane)
    monkeypatch.setattr(CrampedLane, "prepared", ())
    monkeypatch.setattr(CrampedLane, "room", 1)
    some, events = [make(VARIED[0]), make(VARIED[4])], []

    def watch(event):
        events.append(event)
        if isinstance(event, Ended):
            CrampedLane.room = room

    run(some, tmp_path, watch=watch)
    (again,) = of(TriedAgain, events)
    assert again.trial == some[1].fingerprint
    assert "alone, at the end; 1 side by side until then" in again.reason
    assert [event.trial for event in of(Failed, events)] == [some[1].fingerprint] * failures
    assert left(tmp_path, some[0]) == left(alone, some[0])
    if not failures:
        assert left(tmp_path, some[1]) == left(alone, some[1])


def test_memory_decides_how_many_go_side_by_side_and_that_is_said_once(tmp_path, monkeypatch):
    """A GPU of 10 GB, of which a trial takes 3: the first trains an epoch with nothing beside it."""
    taken = iter([10_000_000_000, 7_000_000_000])
    monkeypatch.setattr(devices, "free_bytes", lambda _: next(taken))
    some, told = [make({"epochs": 2 if block == 0 else 1}, block) for block in range(5)], []

    def watched(*arguments):
        told.append(arguments[6].trials)
        return trial_in_turns(*arguments)

    monkeypatch.setattr(slots, "trial_in_turns", watched)
    events = run(some, tmp_path, jobs=4)
    assert told[0] == 4, "as many as may be side by side, until it is known how many fit"
    assert max(told[1:]) == 3
    (fewer,) = of(FewerAtOnce, events)
    assert (fewer.most, fewer.wanted, fewer.taken) == (3, 4, 3_000_000_000)
    kinds = [(type(event), event.trial) for event in events if isinstance(event, Started | EpochEnded | Ended)]
    first = some[0].fingerprint
    assert kinds[:2] == [(Started, first), (EpochEnded, first)]
    training = most = 0
    for kind, _ in kinds:
        training += (kind is Started) - (kind is Ended)
        most = max(most, training)
    assert most == 3


def test_a_store_that_cannot_be_written_stops_all_slots(tmp_path):
    some = [make({}, block) for block in range(3)]
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / some[1].fingerprint).write_text("a file where the trial's folder should be")
    events = []
    with pytest.raises(StoreError, match="trials"):
        run(some, tmp_path, watch=events.append)
    assert not of(Ended, events)
