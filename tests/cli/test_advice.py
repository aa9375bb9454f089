"""Advice is a command to paste: the one that was typed, with its options, and what has to change."""

import shlex
from urllib.error import URLError

import pytest

from eailab.data import fetch

ADVICE = {
    "ablate batch-size 16 --recipe digits-mlp --seeds 3 -o epochs=2": (
        "ablate batch-size 16 32 --recipe digits-mlp --seeds 3 --override epochs=2"
    ),
    "ablate --recipe digits-mlp -j x batch-size 32": None,
    "ablate batch-size 32 --recipe=digits-mlp": "ablate batch-size 32 16 --recipe digits-mlp",
    "ablate activation relu --recipe digits-mlp": "ablate activation relu sigmoid --recipe digits-mlp",
    "ablate lr 1e-2 -n --and batch-size=16 --recipe digits-mlp": (
        "ablate lr 1e-2 0.001 --dry-run --and batch-size=16 --recipe digits-mlp"
    ),
    "ablate lr 1e-2 1e-3 --and batch-size=16 --recipe digits-mlp": (
        "ablate lr 1e-2 1e-3 --and batch-size=16,32 --recipe digits-mlp"
    ),
    "ablate stem 3x3 7x7 --recipe digits-mlp --seeds 4": "ablate stem 3x3 7x7 --seeds 4 --recipe resnet18-digits",
    "ablate lr 0.1 0.01 --recipe digits-mlp --freeze": (
        "ablate lr 0.1 0.01 --recipe digits-mlp --freeze --message '0.01 is better than 0.1 by 0.5 or more'"
    ),
    "ablate lr 0.1 0.01 --recipe digits-mlp -m why": "ablate lr 0.1 0.01 --recipe digits-mlp --message why --freeze",
    "ablate lr=1e-3,1e-2 --jobs 1": "ablate lr 1e-3 1e-2 --jobs 1",
    "ablate digits-mlp lr 1 2 --seeds 3": "ablate lr 1 2 --seeds 3 --recipe digits-mlp",
    "ablate lr 1 2 digits-mlp --seeds 3": "ablate lr 1 2 --seeds 3 --recipe digits-mlp",
    "train-mlp --recipe resnet18-digits --lr 0.1 --runs 'my runs' --activation relu": None,
    "train-mlp --recipe resnet18-digits --lr 0.1 --runs 'my runs'": (
        "train-resnet --recipe resnet18-digits --lr 0.1 --runs 'my runs'"
    ),
    "train-mlp --recipe lab-task1 --runs other": "ablate --runs other --study lab-task1",
}


@pytest.mark.parametrize("typed", ADVICE)
def test_an_advised_command_keeps_what_was_typed_and_is_right(eailab, typed):
    done = eailab(*shlex.split(typed))
    assert done.code == 2
    *_, last = done.err.splitlines()
    wanted = ADVICE[typed]
    assert last == f"  eailab {wanted}" if wanted else not last.startswith("  eailab"), done.err
    if wanted:
        assert eailab(*shlex.split(wanted), "--help").code == 0


def test_commands_in_messages_look_into_the_folders_that_were_named(eailab, tmp_path):
    (tmp_path / "my runs").mkdir()
    said = eailab("runs", "show", "16/0", "--runs", "my runs").err
    assert "`eailab runs list --runs 'my runs'`" in said
    assert "`eailab recipes list`" in eailab("split", "--recipe", "digit", "--runs", "my runs").err


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
    """The recipes of a path ablation or a study file are what is asked about."""
    assert eailab("recipes", "copy", "mnist-mlp", "mine.yaml").code == 0
    (tmp_path / "mine.yaml").write_text((tmp_path / "mine.yaml").read_text().replace("relu", "tanh"))
    done = eailab(*command, "--data-dir", tmp_path / "none")
    assert done.code == 2
    assert "mnist is not complete" in done.err
    assert "Without any download" not in done.err
