"""`eailab explain` on the embedded digits, from two recipes to the table of its steps."""

import json
from hashlib import sha256

import pytest

from eailab.studies import path_run
from eailab.studies.storage import CHECKSUM

MINE = """
name: mine
engine: numpy-mlp
data: {name: digits, val_fraction: 0.2}
model: {name: mlp, hidden: [64, 32]}
optimizer: {name: adam, lr: 0.003}
schedule: {name: cosine}
epochs: 30
batch_size: 32
"""
QUICK = ("--seeds", "2", "-o", "epochs=2", "--jobs", "1")


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)
    return "mine.yaml"


@pytest.mark.draws
def test_a_path_prints_the_steps_and_keeps_it(eailab, tmp_path, mine):
    done = eailab("explain", "digits-mlp", mine, *QUICK)
    assert done.code == 0, done.err
    assert "optimizer.lr 0.001 -> 0.003" in done.out
    assert done.err.index("both ends: digits-mlp and mine\n") < done.err.index("4 trials: 0 finished")
    assert "step 1 of 2: which of 2 settings gains most: " in done.err
    assert "The gap from digits-mlp to mine" in done.out
    assert "optimistic" in done.out
    (folder,) = (tmp_path / "runs" / "studies").iterdir()
    assert {"waterfall.json", "waterfall.md", "figures", "steps"} == {file.name for file in folder.iterdir()} - {
        ".lock"
    }
    found = json.loads((folder / "waterfall.json").read_text())
    assert found["arms"] == 4
    assert sum(step["gain"] for step in found["steps"]) == pytest.approx(found["gap"])
    assert len(list((tmp_path / "runs" / "trials").iterdir())) == 8


def test_a_path_keeps_the_blocks_that_another_command_measured_meanwhile(eailab, tmp_path, mine, monkeypatch):
    """Both were begun before either had written anything: the narrower must not write over the wider."""
    assert eailab("explain", "digits-mlp", mine, *QUICK).code == 0
    looks, look = [], path_run.with_other_blocks

    def look_too_early(path, runner):
        looks.append(path)
        return path if len(looks) == 1 else look(path, runner)

    monkeypatch.setattr(path_run, "with_other_blocks", look_too_early)
    done = eailab("explain", "digits-mlp", mine, *QUICK, "--seeds", "1")
    assert done.code == 0, done.err
    (folder,) = (tmp_path / "runs" / "studies").iterdir()
    assert json.loads((folder / "waterfall.json").read_text())["blocks"] == [0, 1]
    assert "this path ablation has other blocks too (1)" in " ".join(done.err.split())


def test_a_path_again_trains_nothing_and_keeps_its_blocks(eailab, mine):
    first = json.loads(eailab("explain", "digits-mlp", mine, "--json", *QUICK).out)
    again = eailab("explain", "digits-mlp", mine, "--json", *QUICK, "--seeds", "1")
    assert "choose among results" in again.err
    assert ", 0 to train" in again.err
    assert ", 2 to train" not in again.err
    assert json.loads(again.out) == first


def test_a_dry_run_says_what_may_be_trained_and_trains_nothing(eailab, tmp_path, mine):
    done = eailab("explain", "digits-mlp", mine, "-n", "--seeds", "5")
    assert done.code == 0, done.err
    assert "4 recipes in 5 blocks: 20 trials" in done.out
    assert "20 to train" in done.out
    assert [file.name for file in tmp_path.iterdir()] == ["mine.yaml"]
    plan = json.loads(eailab("explain", "digits-mlp", mine, "-n", "--json", "--order", "listed").out)
    assert (plan["most_arms"], plan["most_trials"]) == (3, 15)


def test_a_path_is_listed_shown_verified_and_removed_as_studies_are(eailab, tmp_path, mine):
    assert eailab("explain", "digits-mlp", mine, *QUICK, "--seeds", "1").code == 0
    (path,) = (tmp_path / "runs" / "studies").iterdir()
    lines = eailab("studies", "list").out.splitlines()
    assert "path of 2 steps" in lines[2]
    assert lines[-1] == "1 study in runs"
    shown = eailab("studies", "show", "digits-mlp-to-mine")
    assert "optimizer.lr 0.001 -> 0.003" in shown.out
    assert "The gap from digits-mlp to mine" in shown.out
    as_json = json.loads(eailab("studies", "show", "digits-mlp-to-mine", "--json").out)
    assert as_json == json.loads((path / "waterfall.json").read_text())
    assert eailab("runs", "verify").code == 0
    named, every = eailab("report", "digits-mlp-to-mine", "--format", "markdown"), eailab("report", "--format", "json")
    assert named.code == 0, named.err
    assert "The gap from digits-mlp to mine" in named.out
    assert named.out.count(f"study:    {path.name}") == 1
    text = (tmp_path / "report" / "report.md").read_text()
    assert f"Study {path.name}" in text
    assert "optimizer.lr 0.001" in text
    assert json.loads((tmp_path / "report" / "report.json").read_text())["paths"] == [as_json]
    assert every.code == eailab("report", "--lang", "zh-TW", "--format", "html", "--format", "latex").code == 0
    assert f'<p class="name">{path.name}</p>' in (tmp_path / "report" / "report.html").read_text()
    for suffix in ("md", "json", "html", "tex"):
        verified = eailab("verify", f"report/report.{suffix}")
        assert verified.code == 0, verified.out + verified.err
    step = path / "steps" / "1" / "study.yaml"
    assert rewritten(step, "optimizer.lr 0.001 -> 0.003", "optimizer.lr 0.001 -> 0.004") == 1
    found = eailab("runs", "verify")
    assert found.code == 1
    assert f"{path.relative_to(tmp_path)} cannot be read as a path ablation: optimizer.lr 0.001 -> 0.004" in found.out
    assert "optimizer.lr 0.001 -> 0.004" in eailab("studies", "list").out
    assert rewritten(step, "optimizer.lr 0.001 -> 0.004", "optimizer.lr 0.001 -> 0.003") == 1
    assert rewritten(step, "      lr: 0.003", "      lr: 0.005") == 1
    assert "1 is not a step between its two recipes" in eailab("runs", "verify").out
    assert rewritten(step, "      lr: 0.005", "      lr: 0.003") == 1
    removed = eailab("studies", "rm", "digits-mlp-to-mine", "--yes")
    assert "and 4 trials from runs" in removed.out
    assert list((tmp_path / "runs" / "trials").iterdir()) == []


def rewritten(file, old, new):
    """Put a lie into a study's record, under a right checksum, and return how often it stands there."""
    body, mark, _ = file.read_text().rpartition(CHECKSUM)
    number, body = body.count(old), body.replace(old, new)
    file.write_text(f"{body}{mark}{sha256(body.encode()).hexdigest()}\n")
    return number


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("digits-mlp", "digits-mlp"), ["train the same"]),
        (("digits-mlp", "resnet18-digits"), ["numpy-mlp", "torch-resnet"]),
        (("digits-mlp", "mnist-mlp"), ["different data"]),
        (("digits-mlp", "mine.yaml", "--joint", "optimizer+lr"), ["--joint", "optimizer.lr, schedule"]),
        (("digits-mlp", "mine.yaml", "--seeds", "0"), ["--seeds"]),
        (("digits-mlp", "yours.yaml"), ["yours.yaml", "no such file"]),
        (("digits-mlp", "mine.yaml", "-o", "batch_size=5000"), ["batch_size 5000", "training split of 1149 images"]),
    ],
)
def test_what_cannot_be_explained_is_refused_and_starts_nothing(eailab, tmp_path, mine, arguments, fragments):
    done = eailab("explain", *arguments)
    assert done.code == 2
    assert all(fragment in done.err for fragment in fragments), done.err
    assert "Traceback" not in done.err
    assert [file.name for file in tmp_path.iterdir()] == ["mine.yaml"]
