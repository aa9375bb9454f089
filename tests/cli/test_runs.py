"""`eailab runs`: the store as a person sees it."""

import json
import re

import pytest


@pytest.fixture
def trained(eailab, tmp_path):
    """A store with one trial, and the trial's name."""
    assert eailab("train-mlp", "--recipe", "digits-mlp", "--epochs", "2", "--hidden", "8").code == 0
    (name,) = [path.name for path in (tmp_path / "runs" / "trials").iterdir()]
    return name


def test_list_shows_each_trial_in_a_line_and_as_json(eailab, trained):
    shown = eailab("runs", "list")
    assert shown.code == 0
    heading, _, line, counts = [line.split() for line in shown.out.splitlines()]
    assert heading == ["trial", "study", "arm", "block", "state", "score", "finished"]
    assert line[:5] == [trained[:12], "digits-mlp", "digits-mlp", "0", "finished"]
    assert re.fullmatch(r"\d+\.\d\d%", line[5])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", line[6])
    assert counts == ["1", "trial", "in", "runs:", "1", "finished"]
    (one,) = json.loads(eailab("runs", "list", "--json").out)["trials"]
    assert (one["name"], one["state"], one["block"], one["called"]) == (trained, "finished", 0, "digits-mlp/0")
    assert one["uses"][0]["study"] == "digits-mlp"
    assert eailab("runs", "list", "--state", "stopped").out == "0 of 1 trial in runs\n"
    assert eailab("runs", "list", "--state", "ended").code == 2


@pytest.mark.parametrize(
    "command",
    [
        "runs list",
        "runs show 16/0",
        "runs verify",
        "runs rm 16/0 --yes",
        "studies list",
        "studies show x",
        "studies rm x --yes",
        "diff 16/0 32/0",
        "predict 16/0 seven.png",
        "export 16/0 --to onnx",
    ],
)
def test_a_folder_that_does_not_exist_is_said_and_not_taken_for_an_empty_store(eailab, tmp_path, command):
    (tmp_path / "seven.png").touch()
    done = eailab(*command.split(), "--runs", "nothere")
    assert done.code == 2
    assert "there is no folder nothere: name the one that has your trials with --runs" in done.err
    assert done.out == ""


def test_an_empty_store_is_said_to_be_empty(eailab, tmp_path):
    (tmp_path / "runs").mkdir()
    assert eailab("runs", "list").out == "0 trials in runs\n"
    assert json.loads(eailab("runs", "list", "--json").out)["trials"] == []
    assert eailab("runs", "verify").code == 0


def test_show_tells_scores_and_files(eailab, trained):
    shown = eailab("runs", "show", trained[:6])
    assert re.search(r"^test accuracy       \d+\.\d\d%$", shown.out, re.MULTILINE)
    assert "model.safetensors" in shown.out
    assert re.search(r"^called              digits-mlp/0$", shown.out, re.MULTILINE)
    assert re.search(r"^  *hidden: \[8\]$", shown.out, re.MULTILINE)
    assert json.loads(eailab("runs", "show", trained, "--json").out)["result"]["trial"] == trained


def test_a_trial_that_is_not_there_is_a_mistake_of_usage(eailab, trained):
    asked = eailab("runs", "show", "xyz")
    assert asked.code == 2
    assert "runs list" in asked.err


def test_verify_names_what_is_damaged_and_repair_moves_it_to_be_trained_again(eailab, trained, tmp_path):
    file = tmp_path / "runs" / "trials" / trained / "epochs.jsonl"
    good = file.read_bytes()
    file.write_bytes(good.replace(b"0.", b"1.", 1))
    found = eailab("runs", "verify")
    assert found.code == 1
    assert "epochs.jsonl" in found.out
    assert "--repair" in found.err
    repaired = eailab("runs", "verify", "--repair", "--json")
    assert repaired.code == 0
    (problem,) = json.loads(repaired.out)["problems"]
    assert (tmp_path / problem["moved_to"] / "epochs.jsonl").exists()
    assert eailab("runs", "verify").code == 0
    eailab("train-mlp", "--recipe", "digits-mlp", "--epochs", "2", "--hidden", "8")
    assert file.read_bytes() == good


def test_verify_finds_a_damaged_record_of_a_study(eailab, trained, tmp_path):
    (study,) = (tmp_path / "runs" / "studies").glob("*/study.yaml")
    study.write_text(study.read_text().replace("margin: 0.5", "margin: 0.1"))
    found = eailab("runs", "verify")
    assert found.code == 1
    assert "study.yaml" in found.out


def test_rm_does_not_remove_without_a_yes(eailab, trained, tmp_path):
    """Nobody is there to be asked when the input is no terminal."""
    asked = eailab("runs", "rm", trained)
    assert asked.code == 2
    assert "--yes" in asked.err
    assert (tmp_path / "runs" / "trials" / trained).exists()
    assert eailab("runs", "rm", trained[:5], "--yes").code == 0
    assert not (tmp_path / "runs" / "trials" / trained).exists()


@pytest.mark.parametrize("answer", ["y", "n"])
def test_rm_asks_at_a_terminal(eailab, trained, tmp_path, monkeypatch, answer):
    monkeypatch.setattr("eailab.cli.options.is_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer == "y")
    eailab("runs", "rm", trained)
    assert (tmp_path / "runs" / "trials" / trained).exists() is (answer == "n")


def test_what_a_file_says_cannot_command_the_terminal(eailab, trained, tmp_path):
    """A name with escape characters, in a store that came from someone else."""
    recipe = tmp_path / "runs" / "trials" / trained / "recipe.yaml"
    recipe.write_bytes(recipe.read_bytes().replace(b"name: digits-mlp\n", b'name: "\\u001b]0;owned\\u0007"\n'))
    for command in (["list"], ["show", trained], ["verify"]):
        told = eailab("runs", *command)
        assert "\x1b" not in told.out + told.err


def test_curves_that_cannot_be_drawn_are_said_to_be_missing(eailab, trained, tmp_path):
    folder = tmp_path / "runs" / "trials" / trained
    for file in folder.glob("curves.*"):
        file.unlink()
    assert "no curves" not in eailab("runs", "show", trained, "--curves").err
    assert len(list(folder.glob("curves.*"))) == 2
    for file in folder.glob("curves.*"):
        file.unlink()
    (folder / "epochs.jsonl").write_text("no line\n")
    assert "no curves were drawn" in eailab("runs", "show", trained, "--curves").err


def test_damaged_timings_are_named_by_their_lines_and_repair_keeps_the_others(eailab, trained, tmp_path):
    """The trial holds without them, and is not trained again for them."""
    file = tmp_path / "runs" / "trials" / trained / "timings.jsonl"
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first.replace(b'"seconds"', b'"sekonds"') + second)
    assert "(1 of 2 epochs timed)" in eailab("runs", "show", trained).out
    found = eailab("runs", "verify")
    assert found.code == 1
    assert "timings.jsonl is damaged in lines 1: 1 of 2 epochs timed" in found.out
    assert eailab("runs", "verify", "--repair").code == 0
    assert file.read_bytes() == second
    assert (tmp_path / "runs" / "quarantine" / f"{trained}-timings.jsonl-1").exists()
    assert eailab("runs", "verify").code == 0
