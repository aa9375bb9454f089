"""`benchmarks/gpu.py` where there is no GPU; its checks and timings are rehearsed by hand with `--rehearse`."""

import importlib.util
import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from eailab.errors import DataError

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch):
    """Return the benchmark as a module."""
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_it_says_so_and_measures_nothing(gpu, monkeypatch, capsys):
    """Predictions are promises about a GPU, so they are not printed either."""
    monkeypatch.setattr(gpu.devices, "cuda_is_here", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.startswith("no GPU answers here: nothing was measured.")


@pytest.fixture
def asked(gpu, monkeypatch, tmp_path):
    """Return the parts that were asked for, and a maker of runs of which one part does not end well."""
    parts = []

    def run(bad="", how="exit code -11", only=(), holds=True):
        def have_done(name, options, folder, deadline):
            parts.append(name)
            found = {"it holds": {"holds": holds}} if name in gpu.CHECKS else {}
            return {"how": how if name == bad else "ended", "seconds": 1.0, "found": found}

        monkeypatch.setattr(gpu, "have_done", have_done)
        parts.clear()
        gpu.measure(Namespace(minutes=9.0, json=tmp_path / "gpu.json", only=only, rehearse=False))
        return parts

    return run


def test_every_part_has_its_place(gpu):
    assert sorted(gpu.ORDER) == sorted(gpu.CHECKS | gpu.TIMINGS | gpu.COMMANDS)


def test_a_part_that_dies_takes_nothing_along_and_is_done_again(gpu, asked, tmp_path):
    assert asked(bad="3x3") == list(gpu.ORDER)
    kept = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert {name: part["how"] for name, part in kept.items()} == {
        name: "exit code -11" if name == "3x3" else "ended" for name in gpu.ORDER
    }
    assert asked() == ["3x3"]
    assert asked() == []
    assert asked(only=["task2"]) == ["task2"]


@pytest.mark.parametrize("kind", [{"holds": False}, {"bad": "checks"}])
def test_after_a_check_that_fails_nothing_is_timed_unasked(gpu, asked, kind):
    with pytest.raises(SystemExit, match="a check does not hold"):
        asked(**kind)
    assert asked(only=["7x7"]) == ["7x7"]


def test_a_command_that_is_stopped_or_lacks_its_data_is_not_done(gpu, monkeypatch, tmp_path):
    """So the next call goes on with it."""

    def lacks(name, **_):
        raise DataError(f"no {name}")

    monkeypatch.setattr(gpu, "load", lacks)
    monkeypatch.setattr(gpu, "command", lambda *words, **_: "stopped: the time was over")
    options = Namespace(runs=tmp_path, task2="--study lab-task2 --seeds 2")
    assert {gpu.have_done(name, options, tmp_path, 0.0)["how"] for name in gpu.COMMANDS} == {"no cifar10"}
    monkeypatch.setattr(gpu, "load", lambda name, **_: None)
    done = gpu.have_done("task2", options, tmp_path, 0.0)
    assert done["how"] == "stopped: the time was over"
    assert done["found"]["command"].startswith(
        "ablate --study lab-task2 --seeds 2 --device cuda --checkpoint-every 60s"
    )


def test_the_process_of_a_part_is_killed_when_its_time_is_over_and_leaves_what_it_found(gpu, monkeypatch, tmp_path):
    """Here it is one that writes a piece and hangs."""
    script = tmp_path / "hangs.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--folder') + 1])\n"
        "(folder / '3x3.json').write_text('{\"found\": {\"ratio\": 5.0}}')\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(gpu, "__file__", str(script))
    monkeypatch.setitem(gpu.TIMINGS, "3x3", gpu.Part(gpu.kernels, 2.0))
    done = gpu.have_done("3x3", Namespace(rehearse=True), tmp_path, 1e9)
    assert (done["how"], done["found"]) == ("killed: its time was over", {"ratio": 5.0})
