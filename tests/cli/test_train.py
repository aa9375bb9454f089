"""`eailab train-mlp` and `train-resnet`: single trials, signals, and going on after them."""

import json
import re
import shlex
import signal
import time
from itertools import count

import pytest

from eailab.data.registry import load as load_data
from eailab.errors import StoppedError
from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial

DIGITS = ("train-mlp", "--recipe", "digits-mlp")


@pytest.mark.draws
def test_a_trial_leaves_its_files_and_prints_the_report_last(eailab, tmp_path):
    done = eailab(
        *DIGITS, "--epochs", "3", "--lr", "2e-3", "--activation", "sigmoid", "--hidden", "16,8", "--seed", "4"
    )
    assert done.code == 0, done.err
    assert "device: cpu" in done.err
    assert "validation" in done.err
    assert done.out.splitlines()[-1].startswith("report:")
    (trial,) = (tmp_path / "runs" / "trials").iterdir()
    recipe = (trial / "recipe.yaml").read_text()
    assert "sigmoid" in recipe
    assert "hidden: [16, 8]" in recipe
    result = json.loads((trial / "result.json").read_text())
    assert result["schema_version"] == 1
    assert result["block"] == 4
    assert {file.name for file in trial.iterdir()} >= {"curves.png", "curves.svg", "epochs.jsonl", "timings.jsonl"}


def test_it_ends_with_the_trials_name_and_the_next_commands(eailab, tmp_path):
    """The name goes where results go; the commands are advice, and can be pasted."""
    quick = ("train-mlp", "--recipe", "digits-mlp", "--epochs", "1", "--hidden", "8", "--runs", "my runs")
    done = eailab(*quick)
    (name,) = [line.split()[1] for line in done.out.splitlines() if line.startswith("trial:")]
    assert re.fullmatch(r"digits-mlp-\w{10}/0", name)
    advised = [line.strip() for line in done.err.split("next:\n")[1].splitlines()]
    assert advised[0] == f"eailab runs show {name} --runs 'my runs'"
    assert [line.split()[1] for line in advised] == ["runs", "predict", "export"]
    assert eailab(*shlex.split(advised[0])[1:]).code == 0
    assert "next:" not in eailab(*quick, "--json").err
    assert eailab(*quick, "--lr", "0.5").code == 0
    assert eailab(*shlex.split(advised[0])[1:]).code == 0  # the name stays this trial's alone


def test_a_trial_that_diverged_is_advised_to_be_looked_at_only(eailab):
    done = eailab("train-mlp", "--recipe", "digits-mlp", "--epochs", "1", "--lr", "1e30", "--optimizer", "sgd")
    assert re.search(r"eailab runs show digits-mlp-\w{10}/0", done.err)
    assert "eailab predict" not in done.err


@pytest.mark.draws
def test_a_resnet_trains_on_the_digits(eailab, tmp_path):
    quick = ("-o", "data.limit=96", "-o", "model.width=0.125", "-o", "threads=1", "--epochs", "1", "--device", "cpu")
    more = ("--label-smoothing", "0.1", "--mixup", "0.2", "--ema", "0.9")
    done = eailab("train-resnet", "--recipe", "resnet18-digits", "--stem", "3x3", "--sched", "steplr", *more, *quick)
    assert done.code == 0, done.err
    (trial,) = (tmp_path / "runs" / "trials").iterdir()
    recipe = (trial / "recipe.yaml").read_text()
    assert all(line in recipe for line in ("label_smoothing: 0.1\n", "mixup: 0.2\n", "ema: 0.9\n", "name: steplr\n"))
    assert json.loads((trial / "result.json").read_text())["provenance"]["device"] == "cpu"


def test_another_optimizer_says_what_it_brings(eailab):
    done = eailab(*DIGITS, "--optimizer", "sgd", "--epochs", "1")
    assert "momentum 0.9" in done.err


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("train-mlp", "--recipe", "resnet18-digits"), ["train-resnet --recipe resnet18-digits"]),
        (("train-resnet", "--recipe", "digits-mlp"), ["train-mlp --recipe digits-mlp"]),
        ((*DIGITS, "--lr", "0"), ["--lr", "0"]),
        ((*DIGITS, "--lr", "nan"), ["--lr"]),
        ((*DIGITS, "--hidden", "0"), ["--hidden"]),
        ((*DIGITS, "--activation", "relu,relu,relu"), ["3", "2 hidden layers"]),
        ((*DIGITS, "--batch-size", "100000"), ["100000", "training split of 1149 images"]),
        ((*DIGITS, "--optimizer", "sdg"), ["sdg", "sgd"]),
        (("train-mlp", "--recipe", "digit-mlp"), ["digit-mlp", "digits-mlp"]),
        (("train-mlp", "--recipe", "missing.yaml"), ["missing.yaml"]),
        ((*DIGITS, "-o", "epochs"), ["epochs", "="]),
    ],
)
def test_bad_input_is_explained_and_writes_nothing(eailab, tmp_path, arguments, fragments):
    done = eailab(*arguments)
    assert done.code == 2
    assert all(fragment in done.err for fragment in fragments), done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_is_not_here_is_an_answer_not_a_traceback(eailab):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = eailab("train-resnet", "--recipe", "resnet18-digits", "--device", "cuda")
    assert done.code == 2
    assert "--device cpu" in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", [DIGITS, ("ablate", "lr", "1e-3", "1e-2", "--recipe", "digits-mlp", "--jobs", "2")])
def test_a_signal_stops_with_the_command_that_goes_on(spawn, command, number, code):
    """Nothing finished is lost, and a person is told what to type."""
    process = spawn(*command, "-o", "epochs=10000", "-v")
    for line in process.stderr:
        if "epoch 2/" in line:
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "eailab " + " ".join(command) in err
    assert "Traceback" not in err


def test_a_second_ctrl_c_stops_at_once(spawn):
    process = spawn("train-mlp", "--recipe", "digits-mlp", "-o", "epochs=10000", "-v")
    for line in process.stderr:
        if "epoch 2/" in line:
            break
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode in {-signal.SIGINT, 130}
    assert time.monotonic() - began < 10


def test_a_killed_trial_goes_on_and_ends_with_the_bytes_of_an_uninterrupted_one(eailab, spawn, tmp_path):
    """A kill -9 leaves no chance to clean up; the same command must still get the same result."""
    command = (*DIGITS, "-o", "epochs=40")
    assert eailab(*command, "--runs", "whole").code == 0
    process = spawn(*command, "--runs", "parts", "-v")
    for line in process.stderr:
        if "epoch 5/" in line:
            break
    process.kill()
    process.communicate()
    again = spawn(*command, "--runs", "parts")
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    (whole,) = (tmp_path / "whole" / "trials").iterdir()
    (parts,) = (tmp_path / "parts" / "trials").iterdir()
    assert (whole / "epochs.jsonl").read_bytes() == (parts / "epochs.jsonl").read_bytes()
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()


def test_a_trial_that_goes_on_says_from_where(eailab, tmp_path, monkeypatch):
    """From within its first epoch here."""
    monkeypatch.setattr("eailab.engines.numpy_mlp.engine.REPORT_SECONDS", 0.0)
    recipe = load("digits-mlp", [Override("epochs", 1, "-o")]).recipe
    trial, asked = Trial(recipe, 0, load_data("digits").fingerprint), count(1)
    with pytest.raises(StoppedError):
        run_trial(trial, RunContext(tmp_path / "runs", should_stop=lambda: next(asked) == 3))
    done = eailab(*DIGITS, "--epochs", "1")
    assert done.code == 0, done.err
    assert "continues after epoch 1, step 3" in done.err
