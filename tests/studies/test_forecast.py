"""What a plan costs is what its trials cost together, by the store's timings where there are any."""

import math
import time
from dataclasses import replace

import pytest
from plans import one_factor, train_plan

from eailab.engines.base import COMPILATION
from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.errors import DivergedError, StudyError
from eailab.recipe.load import Override, load
from eailab.runs import probe as probe_module
from eailab.runs.context import RunContext
from eailab.runs.probe import Probe, probe
from eailab.studies import forecast as room
from eailab.studies.design import one_at_a_time
from eailab.studies.factor import FactorLevels
from eailab.studies.forecast import blocks_for, forecast, recipe_key
from eailab.studies.plan import plan

RECIPE = load("digits-mlp", [Override("epochs", 3, "-o")]).recipe
PROBED = Probe(
    "cpu", epoch_seconds=10.0, other_seconds=1.0, memory_bytes=1000, gpu_bytes=None, gpu_total_bytes=None, disk_bytes=50
)


@pytest.fixture
def probed(monkeypatch):
    """Let every trial take 31 seconds, and note which were asked for."""
    asked = []

    def fake(trials, _):
        asked.extend(trials)
        return [PROBED for _ in trials]

    monkeypatch.setattr(room, "probe", fake)
    return asked


def plans(root, blocks=(0, 1), levels=(16, 32, 64)):
    return [plan(one_factor(RECIPE, "batch-size", list(levels), blocks), RunContext(root))]


def trained(root, blocks=(0,)):
    """Train the first block."""
    (planned,) = plans(root, blocks)
    assert train_plan(planned, RunContext(root), 1) == []


def test_a_forecast_sums_what_is_left_and_writes_nothing(tmp_path, probed):
    runs = tmp_path / "runs"
    found = forecast(plans(runs), RunContext(runs), jobs=2)
    assert (found.trials, found.jobs, found.seconds) == (6, 2, 6 * 31.0 / 2)
    assert (found.memory_bytes, found.gpu_bytes, found.disk_bytes) == (2000, None, 300)
    assert len(probed) == 3
    assert not runs.exists()


def test_compiling_is_no_part_of_what_an_epoch_takes(tmp_path, monkeypatch):
    """A first arm was said to take 9 minutes, whose epochs take 30 ms: its evaluation had compiled the engine."""
    now, real, evaluate = [0.0], time.perf_counter, MlpEngine.evaluate

    def evaluate_after_compiling(self, split):
        now[0] += 100.0
        COMPILATION.add(100.0)
        return evaluate(self, split)

    monkeypatch.setattr("time.perf_counter", lambda: real() + now[0])
    monkeypatch.setattr(MlpEngine, "evaluate", evaluate_after_compiling)
    (planned,) = plans(tmp_path, blocks=(0,))
    measured = probe_module._measure(planned.trials[0], RunContext(tmp_path))
    assert measured.epoch_seconds + measured.other_seconds < 50.0


def test_an_evaluation_that_had_to_wait_for_the_machine_is_not_believed(tmp_path, monkeypatch):
    """A first arm was said to take 3 minutes, where the others took 0.4 s: its one evaluation had waited for 6 s."""
    monkeypatch.setattr(probe_module, "_evaluation_seconds", lambda engine: 1000.0)
    (planned,) = plans(tmp_path, blocks=(0,))
    measured = probe_module._measure(planned.trials[0], RunContext(tmp_path))
    assert measured.epoch_seconds + measured.other_seconds < 500.0


def test_a_trial_that_diverges_before_its_first_report_takes_no_time(tmp_path, monkeypatch):
    """It ended `-n` with a traceback: a learning rate at the upper end of a range to tune may be far too large."""

    def diverge(*_):
        raise DivergedError(1, 1, math.inf)

    monkeypatch.setattr(MlpEngine, "train_epoch", diverge)
    (planned,) = plans(tmp_path, blocks=(0,))
    measured = probe_module._measure(planned.trials[0], RunContext(tmp_path))
    assert 0.0 <= measured.epoch_seconds < 60.0


def test_more_workers_than_trials_do_not_help(tmp_path, probed):
    found = forecast(plans(tmp_path, blocks=(0,)), RunContext(tmp_path), jobs=16)
    assert (found.jobs, found.seconds) == (3, 31.0)


def test_a_trial_that_is_left_alone_needs_the_memory_of_one(tmp_path, probed):
    trained(tmp_path)
    found = forecast(plans(tmp_path, blocks=(0,), levels=(16, 32, 128)), RunContext(tmp_path), jobs=4)
    assert (found.trials, found.jobs, found.memory_bytes) == (1, 1, 1000)


def test_a_gpus_memory_bounds_what_goes_side_by_side(tmp_path, monkeypatch):
    on_gpu = replace(PROBED, gpu_bytes=4_000, gpu_total_bytes=10_000)
    monkeypatch.setattr(room, "probe", lambda trials, _: [on_gpu for _ in trials])
    found = forecast(plans(tmp_path), RunContext(tmp_path), jobs=6)
    assert (found.jobs, found.gpu_bytes, found.seconds) == (2, 8_000, 6 * 31.0 / 2)


def test_shared_baselines_count_once(tmp_path, probed):
    factors = [FactorLevels(("lr",), ((0.001,), (0.01,))), FactorLevels(("batch-size",), ((16,), (32,)))]
    both = [plan(study, RunContext(tmp_path)) for study in one_at_a_time(RECIPE, factors, (0,))]
    assert forecast(both, RunContext(tmp_path), 1).trials == 3


def test_what_the_store_has_timed_is_believed_before_a_probe(tmp_path, probed):
    trained(tmp_path)
    planned = plans(tmp_path)
    for trial in planned[0].trials[:3]:
        folder = RunContext(tmp_path).store.folder(trial.fingerprint)
        for epoch, seconds in enumerate([9.0, 2.0, 2.0], start=1):  # the first warms up: the median is taken
            folder.add_timing(epoch, seconds, 1149, {"host": "", "device": "cpu", "threads": 1})
    found = forecast(planned, RunContext(tmp_path), 1)
    assert found.trials == 3
    assert {cost.source for cost in found.costs.values()} == {"store"}
    assert found.seconds == pytest.approx(3 * (3 * 2.0 + 1.0))


def test_a_finished_plan_costs_nothing_and_is_not_probed(tmp_path, probed):
    trained(tmp_path)
    found = forecast(plans(tmp_path, blocks=(0,)), RunContext(tmp_path), None)
    assert (found.trials, found.seconds, found.disk_bytes) == (0, 0.0, 0)
    assert probed == []


@pytest.mark.parametrize(("budget", "blocks"), [(93, 1), (185, 1), (186, 2), (1000, 10)])
def test_a_budget_is_a_number_of_whole_blocks(tmp_path, probed, budget, blocks):
    found, seconds = blocks_for(plans(tmp_path), RunContext(tmp_path), 1, budget)
    assert (found, seconds) == (blocks, blocks * 93.0)


def test_finished_blocks_cost_a_budget_nothing(tmp_path, probed, monkeypatch):
    trained(tmp_path, blocks=(0, 1))
    monkeypatch.setattr(room, "_cost", lambda store, trial, measured: room.Cost(31.0, "probe", measured))
    assert blocks_for(plans(tmp_path), RunContext(tmp_path), 1, 100) == (3, 93.0)


def test_a_budget_too_small_for_one_block_is_refused(tmp_path, probed):
    with pytest.raises(StudyError, match=r"--budget allows 92 s, and one block of 3 trials takes about 93 s"):
        blocks_for(plans(tmp_path), RunContext(tmp_path), 1, 92)


def test_a_probe_measures_time_memory_and_disk(tmp_path):
    """It names no more time than passed, on a busy machine too, and its process holds far more than its images."""
    planned = plans(tmp_path / "runs", blocks=(0,), levels=(32, 64))[0]
    began = time.perf_counter()
    measured = probe(planned.trials, RunContext(tmp_path / "runs"))
    passed = time.perf_counter() - began
    assert len(measured) == 2
    for one in measured:
        assert one.device == "cpu"
        # bounds that hold however often a process has to wait: half the steps take the median or more, and a validation
        # split that is timed once stands for itself and for the test split, which is two and a half times as large
        assert 0.0 < one.epoch_seconds < 2.0 * passed
        assert 0.0 < one.other_seconds < 5.0 * passed
        assert 30e6 < one.memory_bytes < 3e9
        assert 6570 * 4 < one.disk_bytes < 1e6
    assert not (tmp_path / "runs").exists()


def test_a_recipes_name_does_not_change_what_it_costs():
    assert recipe_key(RECIPE) == recipe_key(RECIPE.model_copy(update={"name": "other"}))
