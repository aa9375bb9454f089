"""Who has no network gets a command that works without one."""

import shlex
from urllib.error import URLError

import pytest

from eailab.data import fetch


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(fetch, "urlopen", fail)


@pytest.mark.parametrize(
    "command",
    [
        ["train-mlp", "--lr", "1e-2", "--epochs", "1"],
        ["train-mlp", "--recipe=mnist-mlp", "--epochs", "1", "-o", "data.limit=4000", "--override=optimizer.lr=1e-2"],
        ["ablate", "stem", "7x7", "3x3", "--seeds", "2", "--freeze", "-m", "a guess"],
        [
            "ablate",
            "lr",
            "1e-3",
            "1e-2",
            "--recipe",
            "mnist-mlp",
            "--detect",
            "0.5",
            "--sd",
            "0.1",
            "--freeze",
            "-m",
            "x",
        ],
        ["noise", "mnist-mlp"],
        ["split", "--recipe", "resnet18-cifar10"],
    ],
)
def test_missing_data_are_said_with_a_command_that_needs_none(eailab, no_network, tmp_path, command):
    done = eailab(*command, "--data-dir", tmp_path / "none")
    assert done.code == 2
    assert f"downloading {'cifar10' if 'cifar10' in done.err else 'mnist'} from" in done.err
    message, _, offered = done.err.partition("Without any download:\n")
    assert "Name or service not known" in message
    other = shlex.split(offered)
    assert other.pop(0) == "eailab"
    shorter = ["--seeds", "2", "-o", "epochs=1", "--jobs", "1"] if command[0] == "noise" else []
    again = eailab(*other, *shorter)
    assert again.code == 0, again.err


@pytest.mark.parametrize("command", [["ablate", "--study", "lab-task1"], ["explain", "mnist-mlp", "mine.yaml"]])
def test_no_command_is_offered_where_none_fits(eailab, no_network, tmp_path, command):
    """The recipes of a walk or a study file are what is asked about."""
    assert eailab("recipes", "copy", "mnist-mlp", "mine.yaml").code == 0
    (tmp_path / "mine.yaml").write_text((tmp_path / "mine.yaml").read_text().replace("relu", "tanh"))
    done = eailab(*command, "--data-dir", tmp_path / "none")
    assert done.code == 2
    assert "mnist is not complete" in done.err
    assert "Without any download" not in done.err
