"""One loop for both engines: the same trial always leaves the same bytes, however often it was stopped."""

import math
import os
import shutil
import stat
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from eailab.data.registry import load as load_data
from eailab.engines.base import Compilation
from eailab.engines.schedules import learning_rates
from eailab.errors import DamagedError, DataError, LostLockError, StoppedError, StoreError
from eailab.recipe.load import Override, load
from eailab.runs import checkpoint, training
from eailab.runs.checkpoint import Cadence
from eailab.runs.context import Ended, EpochEnded, RunContext, Started, Stepped, Stopped, Waiting
from eailab.runs.records import Position
from eailab.runs.store import Store
from eailab.runs.training import result_of, run_trial
from eailab.runs.trial import Trial
from eailab.runs.trial_folder import TrialFolder

RECIPES = {
    "numpy": ("digits-mlp", [("epochs", 4), ("model.dropout", 0.2), ("ema", 0.9), ("model.norm", "batch")]),
    "torch": (
        "resnet18-digits",
        [
            ("epochs", 2),
            ("model.width", 0.125),
            ("data.limit", 128),
            ("batch_size", 32),
            ("deterministic", True),
            ("threads", 1),
        ],
    ),
}


def make(engine, *changes):
    name, small = RECIPES[engine]
    recipe = load(name, [Override(path, value, "-o") for path, value in [*small, *changes]]).recipe
    return Trial(recipe, 0, load_data(recipe.data.name).fingerprint)


def run(trial, root, stop=lambda: False, watch=lambda _: None):
    run_trial(trial, RunContext(root, device="cpu", on_event=watch, should_stop=stop))
    return Store(root).folder(trial.fingerprint)


def test_a_trial_has_its_recipes_threads_whatever_the_process_has(tmp_path):
    """Sums in another order have other last bits."""

    def numpys_threads(_):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if "numpy" in pool["filepath"])

    seen = []
    with threadpool_limits(2):
        numpys_threads(None)
        if not seen:
            pytest.skip("threadpoolctl does not know numpy's BLAS here")
        run(make("numpy", ("epochs", 1)), tmp_path, watch=numpys_threads)
    before, *within = seen
    assert before == 2
    assert within
    assert set(within) == {1}


@pytest.mark.parametrize("engine", RECIPES)
def test_a_trial_tells_its_events_and_leaves_its_files(tmp_path, engine):
    trial, events = make(engine), []
    folder = run(trial, tmp_path, watch=events.append)
    kinds = [type(event) for event in events if not isinstance(event, Stepped)]
    assert kinds == [Started, *[EpochEnded] * trial.recipe.epochs, Ended]
    assert sum(isinstance(event, Stepped) for event in events) >= trial.recipe.epochs
    assert {file.name for file in folder.path.iterdir()} - {".lock"} == {
        "trial.json",
        "recipe.yaml",
        "epochs.jsonl",
        "timings.jsonl",
        "predictions.npz",
        "model.safetensors",
        "result.json",
    }
    result, epochs = folder.result(), folder.epochs()
    assert result.values.items() >= epochs[-1].values.items()
    assert epochs[-1].values["train_loss"] < epochs[0].values["train_loss"]
    assert folder.seconds(trial.recipe.epochs)[0] > 0


@pytest.fixture
def every_step(monkeypatch):
    """Let engines report each step, and a cadence of no seconds be kept to whatever writing takes."""
    monkeypatch.setattr("eailab.engines.numpy_mlp.engine.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("eailab.runs.checkpoint.WRITING_SHARE", math.inf)


class Killed(BaseException):
    """The process is gone: nothing that would be done at its end is done."""


def stop(trial, root, steps):
    """Train so many steps and be stopped; return how the attempt started."""
    asked, events = count(1), []
    with pytest.raises(StoppedError):
        run(trial, root, stop=lambda: next(asked) == steps, watch=events.append)
    return events[0]


def kill(trial, root, steps):
    """Train so many steps, each of which is written, and be killed; return how the attempt started."""
    events = []

    def watch(event):
        events.append(event)
        if sum(isinstance(event, Stepped) for event in events) == steps:
            raise Killed

    with pytest.raises(Killed):
        run_trial(trial, RunContext(root, device="cpu", on_event=watch, cadence=Cadence(seconds=0.0)))
    return events[0]


@pytest.mark.parametrize("interrupt", [stop, kill])
@pytest.mark.parametrize("engine", RECIPES)
def test_a_trial_interrupted_anywhere_has_the_bytes_of_an_uninterrupted_one(tmp_path, engine, interrupt, every_step):
    """After the first step, between the last and the scores, amid an epoch, before the very last step.

    Resuming is exact, or a study that was interrupted is another study.
    """
    trial, seen = make(engine), []
    whole = run(trial, tmp_path / "whole", watch=seen.append)
    steps = next(event.step.steps for event in seen if isinstance(event, Stepped))
    folder, behind = Store(tmp_path / "parts").folder(trial.fingerprint), 0
    for done in (1, steps, steps + steps // 2, trial.recipe.epochs * steps - 1):
        started = interrupt(trial, tmp_path / "parts", done - behind)
        assert started.resumed * steps + started.step == behind
        behind = done
        assert result_of(folder) is None
        position = Position.read(checkpoint.load(folder.checkpoint_file)[1])
        assert (position.epochs, position.step) == ((done - 1) // steps, (done - 1) % steps + 1)
    run(trial, tmp_path / "parts")
    for name in ("epochs.jsonl", "model.safetensors", "predictions.npz", "recipe.yaml"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    assert folder.result() == replace(whole.result(), provenance=folder.result().provenance)
    assert not folder.checkpoint_file.exists()


def test_a_stop_is_told_with_the_step_that_is_kept(tmp_path, every_step):
    """In the first epoch, too, which may last an hour."""
    trial, events, asked = make("numpy"), [], count(1)
    with pytest.raises(StoppedError, match=r"epoch 1, step 3 of 36"):
        run(trial, tmp_path, stop=lambda: next(asked) == 3, watch=events.append)
    last = events[-1]
    assert (last.trial, last.epoch, last.step.step, last.step.steps) == (trial.fingerprint, 1, 3, 36)
    assert isinstance(last, Stopped)


@pytest.mark.parametrize("engine", RECIPES)
def test_a_divergence_after_a_resume_is_that_of_an_uninterrupted_trial(tmp_path, engine, every_step, monkeypatch):
    def rates(*arguments):
        found = learning_rates(*arguments)
        found[5:] = 1e30
        return found

    for module in ("numpy_mlp", "torch_resnet"):
        monkeypatch.setattr(f"eailab.engines.{module}.engine.learning_rates", rates)
    trial = make(engine, *[("model.norm", "none")] * (engine == "numpy"))
    whole = run(trial, tmp_path / "whole").result()
    assert whole.status == "diverged"
    stop(trial, tmp_path / "parts", 5)
    assert replace(run(trial, tmp_path / "parts").result(), provenance=whole.provenance) == whole


def test_the_time_of_an_interrupted_epoch_is_that_of_all_its_attempts(tmp_path, every_step):
    """Else an epoch whose last step alone was left would have taken no time."""
    trial = make("numpy")
    stop(trial, tmp_path, 20)
    folder = Store(tmp_path).folder(trial.fingerprint)
    arrays, facts = checkpoint.load(folder.checkpoint_file)
    position = Position.read(facts)
    assert 0.0 < position.seconds < 100.0
    assert position.joules is None, "a CPU does not count them"
    folder.save_checkpoint(arrays, trial, replace(position, seconds=1000.0), facts["environment"])
    run(trial, tmp_path)
    seconds = [timing.seconds for timing in folder.timings().values()]
    assert 1000.0 < seconds[0] < 1100.0
    assert max(seconds[1:]) < 100.0


def test_a_finished_trial_is_not_trained_again(tmp_path):
    trial = make("numpy")
    before = run(trial, tmp_path).result_file.read_bytes()
    events = []
    folder = run(trial, tmp_path, watch=events.append)
    assert [type(event) for event in events] == [Ended]
    assert folder.result_file.read_bytes() == before


def test_a_damaged_result_is_set_aside_and_trained_again(tmp_path):
    trial = make("numpy")
    folder = run(trial, tmp_path)
    good = folder.epochs_file.read_bytes()
    folder.result_file.write_text("{}")
    assert result_of(folder) is None
    assert run(trial, tmp_path).epochs_file.read_bytes() == good
    assert (folder.path / "result.json.damaged-1").read_text() == "{}"


def test_a_diverging_trial_ends_as_a_result_with_its_place(tmp_path):
    """Divergence is an answer about the recipe, not a failure of the program."""
    trial = make("numpy", ("optimizer.name", "sgd"), ("optimizer.lr", 1e30), ("model.norm", "none"))
    result = run(trial, tmp_path).result()
    assert result.status == "diverged"
    epoch, step = result.diverged_at
    assert (epoch, result.epochs) == (1, 0)
    assert step >= 1
    assert set(result.values.values()) == {None}


def test_two_trials_of_one_recipe_in_other_folders_have_equal_epochs(tmp_path):
    trial = make("numpy")
    first, second = run(trial, tmp_path / "a"), run(trial, tmp_path / "b")
    assert first.epochs_file.read_bytes() == second.epochs_file.read_bytes()
    shutil.rmtree(first.path)
    assert run(trial, tmp_path / "a").epochs_file.read_bytes() == second.epochs_file.read_bytes()


def test_the_cadence_says_when_the_state_is_written(tmp_path):
    trial, seen = make("numpy"), []

    def watch(event):
        if isinstance(event, EpochEnded):
            seen.append(Store(tmp_path).folder(trial.fingerprint).checkpoint_file.exists())

    run_trial(trial, RunContext(tmp_path, on_event=watch, cadence=Cadence(epochs=2)))
    assert seen == [False, False, True, True]  # asked just before the state of that epoch is written


def test_a_checkpoint_of_another_environment_is_not_gone_on_from(tmp_path, monkeypatch):
    """A result comes from one environment, or its numbers could not be had again."""
    trial, ended, resumed = make("numpy"), [], []

    def stop_early(event):
        ended.extend([event] if isinstance(event, EpochEnded) else [])

    with pytest.raises(StoppedError):
        run(trial, tmp_path, stop=lambda: len(ended) >= 2, watch=stop_early)
    monkeypatch.setattr(training, "bits_depend_on", lambda _: "numpy of tomorrow")
    run(trial, tmp_path, watch=resumed.append)
    (started,) = (event for event in resumed if isinstance(event, Started))
    assert started.resumed == 0
    assert started.unused.startswith("its checkpoint, of epoch 3, step ")
    assert ", was made on cpu" in started.unused
    assert started.unused.endswith("and this is numpy of tomorrow.")


def test_a_wait_for_another_process_can_be_stopped(tmp_path, monkeypatch):
    """Else Ctrl-C would do nothing until the other has finished."""
    trial, seen = make("numpy"), []
    monkeypatch.setattr(training, "WAITING_SECONDS", 0.0)
    asked = iter([False, True])
    with (
        Store(tmp_path).folder(trial.fingerprint).lock(),
        pytest.raises(StoppedError, match="while another process trained"),
    ):
        run_trial(trial, RunContext(tmp_path, on_event=seen.append, should_stop=lambda: next(asked)))
    assert seen == [Waiting(trial.fingerprint)]


def test_a_result_of_a_newer_version_stops_us_and_is_left_alone(tmp_path):
    trial = make("numpy")
    folder = run(trial, tmp_path)
    newer = folder.result_file.read_text().replace('"schema_version": 1', '"schema_version": 99')
    folder.result_file.write_text(newer)
    with pytest.raises(StoreError, match="newer eailab"):
        run(trial, tmp_path)
    assert folder.result_file.read_text() == newer


def test_data_that_changed_since_the_plan_are_refused(tmp_path):
    trial = make("numpy")
    with pytest.raises(DataError, match="digits has changed"):
        run(Trial(trial.recipe, 0, "0" * 64), tmp_path)


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path, monkeypatch):
    trial = make("numpy")
    good = run(trial, tmp_path / "a").epochs_file.read_bytes()
    hours = iter(range(10**6))
    monkeypatch.setattr("time.time", lambda: 1e9 - 3600.0 * next(hours))
    folder = run(trial, tmp_path / "b")
    assert folder.epochs_file.read_bytes() == good
    assert folder.seconds(trial.recipe.epochs)[0] > 0


def test_a_trial_that_was_taken_over_is_left_to_the_other_and_its_result_is_taken(tmp_path, monkeypatch):
    """After losing its lock a process writes nothing more; here the trial comes free at once, and is ours again."""
    trial, events, losses = make("numpy"), [], [LostLockError("taken over")]
    add_epoch = TrialFolder.add_epoch

    def lose_once(self, epoch):
        if losses:
            raise losses.pop()
        add_epoch(self, epoch)

    monkeypatch.setattr(TrialFolder, "add_epoch", lose_once)
    folder = run(trial, tmp_path, watch=events.append)
    assert [type(event) for event in events if not isinstance(event, Stepped | EpochEnded)] == [
        Started,
        Waiting,
        Started,
        Ended,
    ]
    assert folder.result() is not None


def test_a_trial_that_something_else_wrote_into_is_trained_again_to_the_right_bytes(tmp_path):
    """It has no result, and what is wrong with its epochs is not gone on with."""
    trial = make("numpy")
    good = run(trial, tmp_path / "quiet").epochs_file.read_bytes()
    folder = Store(tmp_path / "disturbed").folder(trial.fingerprint)

    def disturb(event):
        if isinstance(event, EpochEnded) and event.epoch.number == 2:
            folder.add_epoch(event.epoch)

    with pytest.raises(DamagedError, match="run the same command"):
        run(trial, tmp_path / "disturbed", watch=disturb)
    assert run(trial, tmp_path / "disturbed").result() is not None
    assert folder.epochs_file.read_bytes() == good


def test_a_colleague_of_the_same_group_can_go_on_with_a_trial(tmp_path):
    """What the umask lets the group do, every file and folder of the store lets it do."""
    before = os.umask(0o002)
    try:
        events = []
        with pytest.raises(StoppedError):
            run(make("numpy"), tmp_path / "runs", lambda: EpochEnded in map(type, events), events.append)
        run(make("numpy", ("epochs", 1)), tmp_path / "runs")
    finally:
        os.umask(before)
    there = list((tmp_path / "runs").rglob("*"))
    assert {"checkpoint.safetensors", "result.json", ".lock"} <= {path.name for path in there}
    assert [path for path in there if not path.stat().st_mode & stat.S_IWGRP] == []


def test_compiling_is_not_part_of_an_epochs_time(monkeypatch):
    """Else the first arm to train would seem to cost many times as much as the others."""
    clock = [100.0]
    monkeypatch.setattr(training.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(training, "COMPILATION", Compilation())
    engine = SimpleNamespace(joules=lambda: None)
    meter = training.Meter(engine, Position())
    clock[0] += 20.0
    training.COMPILATION.add(18.0)
    assert meter.read() == (pytest.approx(2.0), None)
    meter.restart()
    clock[0] += 3.0
    assert meter.read() == (pytest.approx(3.0), None)
