"""`eailab studies`: a study is found by its name, shown with its trials, and removed without those of others."""

import json
import re

import pytest

from eailab.runs.store import Store

QUICK = (
    *("--recipe", "digits-mlp", "-o", "epochs=1", "-o", "model.hidden=[8]", "-o", "data.limit=64"),
    *("--seeds", "1", "--jobs", "1"),
)


MINE = "name: 我的 研究\nrecipe: digits-mlp\nblocks: 1\nfactors: [{factor: activation, levels: [relu, tanh]}]\n"


@pytest.fixture
def store(eailab, made_once, tmp_path):
    """Two studies that share their baseline's trial, and one by a name of its own."""
    studies = (("batch-size", "16", "32", *QUICK), ("lr", "1e-3", "1e-2", *QUICK), ("--study", "mine.yaml", *QUICK[2:]))
    made_once(tmp_path, *(("ablate", *study) for study in studies), files=(("mine.yaml", MINE),))
    return tmp_path / "runs"


def trials(store):
    return {folder.name for folder in (store / "trials").iterdir()}


def test_studies_are_listed_shown_and_removed(eailab, store):
    listed = eailab("studies", "list")
    lines = [line.split() for line in listed.out.splitlines()]
    assert lines[0] == ["study", "factor", "levels", "model", "data", "blocks", "finished", "folder"]
    (sizes,) = [line for line in lines if line[0] == "digits-mlp-batch-size"]
    assert sizes[:8] == ["digits-mlp-batch-size", "batch_size", "16,", "32", "mlp", "digits", "1", "2/2"]
    assert listed.out.splitlines()[-1] == "3 studies in runs"
    assert ["16", "32"] in [one["levels"] for one in json.loads(eailab("studies", "list", "--json").out)["studies"]]

    shown = eailab("studies", "show", "我的 研究-activation")
    assert shown.code == 0, shown.err
    assert "Does the activation change the validation accuracy?" in shown.out
    assert re.search(r"我的 研究-activation +tanh +0  finished", shown.out)
    assert json.loads(eailab("studies", "show", "我的", "--json").out)["factor"] == "model.activation"
    assert eailab("report", "我的 研究-activation").code == 0

    before = trials(store)
    asked = eailab("studies", "rm", "digits-mlp-batch-size")
    assert asked.code == 2
    assert "add --yes" in asked.err
    removed = eailab("studies", "rm", "digits-mlp-batch-size", "--yes")
    assert removed.code == 0, removed.err
    assert "1 trial from runs; 1 that other studies have too stay" in removed.out
    assert len(before - trials(store)) == 1
    assert eailab("report").code == 0
    assert eailab("runs", "verify").code == 0
    for name in ("digits-mlp-lr", "我的 研究-activation"):
        assert eailab("studies", "rm", name, "-y").code == 0
    assert trials(store) == set()
    assert [path.name for path in store.iterdir() if path.name.startswith(".removed")] == []


def test_rm_asks_at_a_terminal(eailab, store, monkeypatch):
    monkeypatch.setattr("eailab.cli.options.is_terminal", lambda: True)
    for answer in (False, True):
        monkeypatch.setattr("typer.confirm", lambda *_, answer=answer, **__: answer)
        eailab("studies", "rm", "digits-mlp-lr")
        assert ("digits-mlp-lr" in eailab("studies", "list").out) is not answer


def test_a_trial_in_training_keeps_its_study(eailab, store):
    (name,) = {one["name"] for one in json.loads(eailab("runs", "list", "--arm", "0.01", "--json").out)["trials"]}
    with Store(store).folder(name).lock():
        refused = eailab("studies", "rm", "digits-mlp-lr", "--yes")
    assert refused.code == 1
    assert "is being trained right now" in refused.err
    assert "digits-mlp-lr" in eailab("studies", "list").out


def test_a_study_that_cannot_be_read_keeps_its_trials_and_is_said(eailab, store):
    """It may have any of them."""
    (file,) = (store / "studies").glob("digits-mlp-lr-*/study.yaml")
    file.write_bytes(b"\xff")
    refused = eailab("studies", "rm", "digits-mlp-batch-size", "--yes")
    assert refused.code == 1
    assert "cannot be read, and may name trials" in refused.err
    assert "cannot be read" in eailab("studies", "list").out


def test_a_name_of_several_studies_is_answered_with_their_folders(eailab, store):
    assert eailab("ablate", "lr", "1e-3", "1e-2", *QUICK, "-o", "batch_size=64").code == 0
    for command in (["show"], ["rm", "--yes"]):
        asked = eailab("studies", *command, "digits-mlp-lr")
        assert asked.code == 2
        assert "digits-mlp-lr may be 2 studies of runs: digits-mlp-lr-" in asked.err


def test_a_study_of_the_store_goes_on_by_its_name(eailab, store):
    more = eailab("ablate", "--study", "我的 研究-activation", "--seeds", "2", "--jobs", "1")
    assert more.code == 0, more.err
    assert "4 trials: 2 finished already, 2 to train" in more.err
    assert len(list((store / "studies").iterdir())) == 3
    changed = eailab("ablate", "--study", "我的 研究-activation", "-o", "epochs=2")
    assert changed.code == 2
    assert "-o epochs=2 would make another" in changed.err
    assert "there is no study file nothing" in eailab("ablate", "--study", "nothing").err
