"""Trials go side by side as the machine's cores allow, and whoever wastes cores is told."""

import os
from dataclasses import replace

import pytest
from plans import one_factor

from eailab.engines.torch_resnet import devices
from eailab.recipe.load import Override, load
from eailab.runs import machine as module
from eailab.runs.context import RunContext
from eailab.runs.machine import advice_on_threads, side_by_side
from eailab.studies.plan import plan

RECIPE = load("digits-mlp", [Override("epochs", 1, "-o")]).recipe


@pytest.fixture(autouse=True)
def _without_limits(monkeypatch, tmp_path):
    """The tests' own machine may be a container with a limit."""
    monkeypatch.setattr(module, "OWN_GROUPS", tmp_path / "none")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "150000 100000"}, 1),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {"cpu.max": "max 100000"}, 12),
        ("0::/a/b", {"cpu.max": "800000 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/not/here", {"cpu.max": "400000 100000"}, 4),
        ("4:cpu,cpuacct:/docker/f00", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/x", {"cpu/x/cpu.cfs_quota_us": "500000", "cpu/x/cpu.cfs_period_us": "100000"}, 5),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 12),
        ("5:cpuset:/\n4:memory:/", {"cpu.max": "100000 100000"}, 12),
        ("0::/", {"cpu.max": "a few"}, 12),
        ("0::/../above", {}, 12),
    ],
)
def test_a_container_has_the_cores_that_its_time_is_worth(tmp_path, monkeypatch, own, files, expected):
    """In a container with two cores' time on a machine of 12, 12 trials would be stopped by turns."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    for name, content in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
    (tmp_path / "own").write_text(f"{own}\n")
    monkeypatch.setattr(module, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(module, "CGROUPS", tmp_path / "cgroup")
    assert module.cores() == expected


def test_a_gpu_takes_one_trial_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "cuda_is_here", lambda: True)
    resnets = one_factor(load("resnet18-digits", []).recipe, "batch-size", [16, 32], tuple(range(6)))
    here = RunContext(tmp_path)
    assert side_by_side(plan(resnets, here).todo, here) == 1


@pytest.mark.parametrize(("allowed", "threads", "side"), [(12, 2, 6), (5, 2, 2), (1, 2, 1)])
def test_trials_go_side_by_side_on_the_cores_that_the_process_may_use(tmp_path, monkeypatch, allowed, threads, side):
    """A process that is bound to some cores of a large machine has no others."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    recipe = RECIPE.model_copy(update={"threads": threads})
    todo = plan(one_factor(recipe, "batch-size", [16, 32], range(4)), RunContext(tmp_path)).todo
    assert side_by_side(todo, RunContext(tmp_path)) == side
    assert side_by_side(todo[:1], RunContext(tmp_path)) == 1


@pytest.mark.parametrize(
    ("threads", "jobs", "blocks", "said"),
    [
        (1, None, 3, None),
        (2, None, 3, "with -o threads=1 up to 4 trials go side by side on these 4 cores"),
        (2, 4, 3, "4 trials side by side with 2 threads each wait for each other on 4 cores: --jobs 2 takes less"),
        (2, None, 1, None),
        (4, 1, 1, "with -o threads=1 up to 2 trials"),
    ],
)
def test_threads_that_waste_cores_are_remarked_upon(tmp_path, monkeypatch, threads, jobs, blocks, said):
    """Two arms on four cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    here = RunContext(tmp_path, device="cpu")

    def todo(recipe):
        study = one_factor(recipe.model_copy(update={"threads": threads}), "batch-size", [16, 32], range(blocks))
        return plan(study, here).todo

    resnets = todo(load("resnet18-digits", []).recipe)
    advice = advice_on_threads(resnets, here, jobs)
    assert advice is None if said is None else advice.startswith(said)
    assert advice_on_threads(resnets, replace(here, on="slurm"), jobs) is None
    assert advice_on_threads(todo(RECIPE), here, jobs) is None


@pytest.mark.parametrize(("cores", "said"), [(4, None), (16, "this trial computes on 2 of 16 cores: -o threads=16")])
def test_a_lone_trial_that_leaves_most_cores_idle_is_remarked_upon(tmp_path, monkeypatch, cores, said):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    here = RunContext(tmp_path, device="cpu")
    lone = one_factor(load("resnet18-digits", [Override("threads", 2, "-o")]).recipe, "batch-size", [16, 32], (0,))
    advice = advice_on_threads(plan(lone, here).todo[:1], here, None)
    assert advice is None if said is None else advice.startswith(said)


def test_a_gpus_trials_get_no_advice_on_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "cuda_is_here", lambda: True)
    resnets = one_factor(load("resnet18-digits", [Override("threads", 2, "-o")]).recipe, "batch-size", [16, 32], (0, 1))
    here = RunContext(tmp_path)
    assert advice_on_threads(plan(resnets, here).todo, here, None) is None
