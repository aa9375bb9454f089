"""`eailab ablate` on the embedded digits, from the words of the command to the files that it leaves."""

import json
import re

import pytest

pytestmark = pytest.mark.usefixtures("forked")
QUICK = ("--recipe", "digits-mlp", "-o", "epochs=2", "--jobs", "1")


@pytest.mark.draws
def test_a_study_prints_its_table_and_the_report_last(eailab, tmp_path):
    done = eailab("ablate", "batch-size", "16", "32", "--seeds", "2", *QUICK)
    assert done.code == 0, done.err
    assert "batch_size" in done.out
    assert done.out.splitlines()[-1].startswith("report:")
    report = tmp_path / done.out.splitlines()[-1].split()[-1]
    assert report.exists()
    assert "Traceback" not in done.err
    (folder,) = (tmp_path / "runs" / "studies").iterdir()
    assert {"study.yaml", "table.md", "table.json", "costs.json", "report.html", "figures"} <= {
        file.name for file in folder.iterdir()
    }
    trials = list((tmp_path / "runs" / "trials").iterdir())
    assert len(trials) == 4
    assert not any((trial / "curves.png").exists() for trial in trials)
    assert eailab("runs", "show", "16/0", "--curves").code == 0
    assert len([trial for trial in trials if (trial / "curves.png").exists() and (trial / "curves.svg").exists()]) == 1


def test_a_study_run_again_trains_nothing_and_keeps_the_bytes_of_its_table(eailab, tmp_path):
    command = ("ablate", "batch-size", "16,32", "--seeds", "2", *QUICK)
    eailab(*command)
    (table,) = tmp_path.glob("runs/studies/*/table.json")
    before = table.read_bytes()
    again = eailab(*command)
    assert "0 to train" in again.err
    assert table.read_bytes() == before


def test_json_is_the_tables_json(eailab, tmp_path):
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--seeds", "2", "--json", *QUICK)
    (table,) = tmp_path.glob("runs/studies/*/table.json")
    told = json.loads(done.out.splitlines()[-1])
    decision = told.pop("decision")
    assert told == json.loads(table.read_bytes())
    other = told["arms"][1]
    assert (decision["arm"], decision["difference"]) == (other["label"], other["difference"])
    assert [decision["low"], decision["high"]] == other["interval95"]


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("batch-sise", "16", "32"), ["batch-sise", "batch-size"]),
        (("batch-size", "16"), ["two or more"]),
        (("batch-size", "16", "16"), ["once"]),
        (("batch-size", "16", "many"), ["many", "whole number"]),
        (("batch-size", "16", "32", "--seeds", "0"), ["--seeds"]),
        (("batch-size", "16", "32", "--baseline", "64"), ["none of the levels"]),
        (("hidden", "[64,,32]", "[64]"), ["the level [64,,32]: a value is missing"]),
        (("batch-size", "16", "32", "--baseline", "["), ["--baseline [: "]),
        (("batch-size", "16", "5000"), ["batch_size 5000", "training split of 1149 images"]),
        (("stem", "7x7", "3x3"), ["stem", "torch-resnet"]),
        (("batch-size", "16", "32", "-o", "lerning_rate=1"), ["lerning_rate"]),
        (("batch-size", "16", "32", "-o", "data.name=mnits"), ["mnits", "mnist"]),
    ],
)
def test_what_makes_no_study_is_explained_and_starts_nothing(eailab, tmp_path, arguments, fragments):
    done = eailab("ablate", *arguments, "--recipe", "digits-mlp")
    assert done.code == 2
    assert all(fragment in done.err for fragment in fragments), done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_without_a_recipe_the_factor_chooses_the_engine(eailab, tmp_path):
    """Only the MLP has activations; the error about missing data tells which recipe was taken."""
    empty = tmp_path / "no-data"
    for factor, levels, name in [("activation", ("relu", "tanh"), "mnist"), ("batch-size", ("16", "32"), "cifar10")]:
        done = eailab("ablate", factor, *levels, "--data-dir", empty)
        assert done.code == 2
        assert name in done.err.lower()
        assert "digits" in done.err


def test_a_dry_run_shows_the_plan_and_leaves_nothing(eailab, tmp_path):
    done = eailab("ablate", "optimizer", "adam", "sgd", "--seeds", "3", "--sd", "0.4", "--dry-run", *QUICK)
    assert done.code == 0, done.err
    assert "2 arms in 3 blocks, 6 trials" in done.out
    assert "0 to 2" in done.out
    assert "blocks finished  blocks to train  a trial" in done.out
    assert "to train: 6 trials" in done.out
    assert {"time:", "memory:", "disk:", "detects:"} <= set(done.out.split())
    assert "as assumed by --sd" in done.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_as_json_names_every_trial(eailab, tmp_path):
    eailab("ablate", "lr", "1e-3", "1e-2", "--seeds", "2", *QUICK)
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--seeds", "3", "-n", "--json", *QUICK)
    told = json.loads(done.out)
    (study,) = told["studies"]
    assert [(arm["finished"], arm["to_train"]) for arm in study["arms"]] == [([0, 1], [2])] * 2
    assert study["arms"][1]["differs"] == ["optimizer.lr 0.001 -> 0.01"]
    assert {arm["parameters"] for arm in study["arms"]} == {64 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10}
    assert {arm["network"]["multiply_adds"] for arm in study["arms"]} == {64 * 64 + 64 * 32 + 32 * 10}
    assert {trial.name for trial in (tmp_path / "runs" / "trials").iterdir()} == {
        trial for arm in study["arms"] for trial in arm["trials"][:2]
    }
    assert study["detectable"] > 0
    assert "4 finished trials" in study["sd_from"]
    assert told["left"]["trials"] == 2


def test_a_difference_to_detect_sets_the_blocks(eailab, tmp_path):
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--detect", "2.5", "--sd", "0.5", *QUICK)
    assert done.code == 0, done.err
    assert "needs 3 blocks" in done.err
    assert len(list((tmp_path / "runs" / "trials").iterdir())) == 6


def test_several_factors_share_the_baseline_and_have_one_table(eailab, tmp_path):
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--and", "batch-size=16,32", "--seeds", "2", *QUICK)
    assert done.code == 0, done.err
    assert "6 trials" in done.err
    assert len(list((tmp_path / "runs" / "studies").iterdir())) == 2
    assert re.search(r"2 factors against one baseline\n.*\n-+\nbaseline .*\nlr 0.01 .*\nbatch_size 16 ", done.out)
    assert (tmp_path / done.out.splitlines()[-1].split()[-1]).name == "report.html"


def test_a_bundle_is_named_as_such(eailab, tmp_path):
    done = eailab("ablate", "--joint", "optimizer+lr", "adam+1e-3", "sgd+0.1", "--seeds", "2", *QUICK)
    assert done.code == 0, done.err
    assert "optimizer+lr" in done.out
    assert "sgd+0.1" in done.out
    assert "momentum 0.9" in done.err


def test_held_updates_set_the_epochs(eailab, tmp_path):
    done = eailab("ablate", "batch-size", "16", "32", "--hold", "updates", "--seeds", "2", *QUICK)
    assert done.code == 0, done.err
    assert "16: 1 epoch in place of 2 holds the updates" in done.err
    assert "updates +" not in done.out


def test_a_study_file_is_carried_out(eailab, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "recipe: digits-mlp\nblocks: 2\nfactors:\n  - {factor: lr, levels: [1e-3, 1e-2]}\n"
        "  - {factor: activation, levels: [relu, tanh]}\n"
    )
    done = eailab("ablate", "--study", "mine.yaml", "-o", "epochs=1", "--jobs", "1", "--json")
    assert done.code == 0, done.err
    assert [study["name"] for study in json.loads(done.out)["studies"]] == ["mine-lr", "mine-activation"]


def test_fail_fast_stops_at_the_first_failure(eailab, tmp_path, monkeypatch):
    from eailab.engines.numpy_mlp.engine import MlpEngine

    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(MlpEngine, "train_epoch", broken)
    command = ("ablate", "lr", "1e-3", "1e-2", "--seeds", "2", *QUICK)
    said = eailab(*command).err
    assert (said.count("failed: Traceback"), said.count("failed: as lr 0.001, block 0 did")) == (1, 3)
    done = eailab(*command, "--fail-fast")
    assert done.code == 1
    assert done.err.count("failed: Traceback") == 1


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ((), ["FACTOR"]),
        (("lr", "1e-3", "1e-2", "--and", "optimizer.lr=1,2"), ["varied twice"]),
        (("lr", "1e-3", "1e-2", "--and", "batch-size"), ["--and batch-size"]),
        (("lr", "1e-3", "1e-2", "--and", "stem=7x7,3x3"), ["stem", "torch-resnet"]),
        (("optimizer+lr", "adam+1e-3", "sgd+0.1"), ["--joint"]),
        (("--joint", "optimizer+lr", "adam", "sgd+0.1"), ["adam", "give 2"]),
        (("--joint", "lr", "1e-3", "1e-2"), ["is one"]),
        (("lr", "1e-3", "1e-2", "--cross"), ["there is one"]),
        (("epochs", "2", "4", "--hold", "updates"), ["--hold updates"]),
        (("lr", "1e-3", "1e-2", "--detect", "0.3"), ["--sd"]),
        (("lr", "1e-3", "1e-2", "--detect", "0", "--sd", "1"), ["above 0"]),
        (("lr", "1e-3", "1e-2", "--detect", "1", "--sd", "0"), ["--sd 0", "above 0"]),
        (("lr", "1e-3", "1e-2", "--study", "lab-task1", "--cross"), ["--cross", "--study"]),
        (("lr", "1e-3", "1e-2", "--budget", "soon"), ["--budget soon"]),
        (("lr", "1e-3", "1e-2", "--budget", "0.0001s"), ["one block"]),
        (("lr", "1e-3", "1e-2", "--budget", "3m", "--seeds", "3"), ["--seeds and --budget"]),
        (("--study", "nowhere.yaml"), ["nowhere.yaml"]),
        (("lr", "1", "2", "--study", "lab-task1"), ["FACTOR", "--study"]),
    ],
)
def test_a_design_that_cannot_be_is_explained_and_starts_nothing(eailab, tmp_path, arguments, fragments):
    recipe = () if "--study" in arguments else ("--recipe", "digits-mlp")
    done = eailab("ablate", *arguments, *recipe)
    assert done.code == 2
    assert all(fragment in done.err for fragment in fragments), done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_frozen_plan_is_told_apart_from_what_came_after(eailab, tmp_path):
    command = ("ablate", "lr", "1e-3", "1e-2", *QUICK)
    done = eailab(*command, "--seeds", "2", "--freeze", "-m", "1e-2 is better")
    assert done.code == 0, done.err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["plans"]
    assert done.out.splitlines()[-1].startswith("plan:")
    planned = " ".join(eailab(*command, "--seeds", "2").out.split())
    assert 'expected: "1e-2 is better"' in planned
    assert "post hoc" not in planned.lower()
    more = " ".join(eailab(*command, "--seeds", "3").out.split())
    assert "partly post hoc" in more
    assert "the planned blocks alone say: 0.01" in more
    other = eailab("ablate", "batch-size", "16", "32", "--seeds", "2", *QUICK)
    assert "no frozen plan names this study" in " ".join(other.out.split())


def test_a_plan_that_is_refused_makes_no_other_study_post_hoc(eailab):
    for factor in (("lr", "1e-3", "1e-2"), ("batch-size", "16", "32")):
        eailab("ablate", *factor, "--seeds", "2", *QUICK)
    late = eailab("ablate", "lr", "1e-3", "1e-2", "--seeds", "2", *QUICK, "--freeze", "-m", "a guess")
    assert late.code == 2
    assert "every trial has ended already" in " ".join(late.err.split())
    assert "post hoc" not in late.err
    early = eailab("ablate", "lr", "1e-3", "1e-2", "--seeds", "3", *QUICK, "--freeze", "-m", "a guess")
    assert "reports call 1 other study there post hoc" in " ".join(early.err.split())


@pytest.mark.parametrize(("arguments", "fragment"), [(("--freeze",), "-m"), (("-m", "x"), "--freeze")])
def test_a_plan_needs_its_hypothesis_and_a_hypothesis_its_plan(eailab, tmp_path, arguments, fragment):
    done = eailab("ablate", "lr", "1e-3", "1e-2", *arguments, *QUICK)
    assert done.code == 2
    assert fragment in done.err
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_added_until_every_arm_is_decided(eailab, tmp_path):
    command = ("ablate", "lr", "1e-3", "1e-5", "1e-1", "--until-decided", "--max-trials", "24", *QUICK)
    done = eailab(*command)
    assert done.code == 0, done.err
    assert "look 1 of 6: 3 blocks, 9 to train" in done.err
    assert "decided at look" in done.out
    trained = len(list((tmp_path / "runs" / "trials").iterdir()))
    assert trained <= 24
    again = eailab(*command)
    assert again.out == done.out
    assert "to train" not in again.err
    assert "note:" not in again.err
    assert len(list((tmp_path / "runs" / "trials").iterdir())) == trained
    late = eailab(*command, "--freeze", "-m", "1e-5 is worse")
    assert late.code == 2
    assert "its looks are over, so a plan would be written after its results" in late.err
    assert not (tmp_path / "runs" / "plans").exists()


@pytest.mark.parametrize("earlier", [("--until-decided", "--max-trials", "4"), ("--seeds", "2")])
def test_a_second_set_of_looks_at_the_same_arms_is_said(eailab, earlier):
    """Looking again after other numbers of blocks until something shows is what looks fixed in advance are against."""
    assert eailab("ablate", "lr", "1e-3", "1e-5", *earlier, *QUICK).code == 0
    done = eailab("ablate", "lr", "1e-3", "1e-5", "--until-decided", "--max-trials", "8", *QUICK)
    assert done.code == 0, done.err
    assert re.search("note: digits-mlp-lr-[0-9a-f]{10} compares the same arms after other numbers of blocks", done.err)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--until-decided",), "--max-trials"),
        (("--max-trials", "9"), "--until-decided"),
        (("--until-decided", "--max-trials", "3"), "4 trials of two blocks"),
        (("--until-decided", "--max-trials", "30", "--seeds", "3"), "--seeds and --until-decided"),
        (("--until-decided", "--max-trials", "30", "--and", "epochs=1,2"), "one factor at a time"),
    ],
)
def test_looks_that_cannot_be_are_explained_and_start_nothing(eailab, tmp_path, arguments, fragment):
    done = eailab("ablate", "lr", "1e-3", "1e-2", *arguments, *QUICK)
    assert done.code == 2
    assert fragment in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", ["auto", "2"])
def test_the_number_of_jobs_is_chosen_or_given(eailab, jobs):
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--recipe", "digits-mlp", "-o", "epochs=1", "--jobs", jobs, "-n")
    assert done.code == 0, done.err


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_a_number_of_jobs_that_is_none_is_refused(eailab, jobs):
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--recipe", "digits-mlp", "--jobs", jobs)
    assert done.code == 2
    assert "give auto, or 1 or more" in done.err


def test_labels_of_ones_own_replace_the_levels(eailab):
    asked = ("ablate", "batch-size", "64", "32", "--recipe", "digits-mlp", "-n")
    done = eailab(*asked, "--labels", "large,'usual, as ever'")
    assert done.code == 0, done.err
    first = [line.split("  ")[0] for line in done.out.splitlines()]
    assert {"large", "usual, as ever (baseline)"} <= set(first)
    for labels, said in (
        ("large", "1 label for 2 levels"),
        ("one,one", "'one' is there twice"),
        ("one," + 81 * "x", "1 to 80 printable characters"),
    ):
        done = eailab(*asked, "--labels", labels)
        assert done.code == 2
        assert said in done.err
    done = eailab("ablate", "--study", "lab-task1", "--labels", "a,b")
    assert done.code == 2
    assert "--labels cannot be given with --study" in done.err
