"""`eailab ablate` on the embedded digits, from the words of the command to the files that it leaves."""

import json

import pytest

QUICK = ("--recipe", "digits-mlp", "-o", "epochs=2", "--jobs", "1")


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
    assert all((trial / "curves.png").exists() and (trial / "curves.svg").exists() for trial in trials)


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
    assert json.loads(done.out) == json.loads(table.read_bytes())


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("batch-sise", "16", "32"), ["batch-sise", "batch-size"]),
        (("batch-size", "16"), ["two or more"]),
        (("batch-size", "16", "16"), ["once"]),
        (("batch-size", "16", "many"), ["many", "whole number"]),
        (("batch-size", "16", "32", "--seeds", "0"), ["--seeds"]),
        (("batch-size", "16", "32", "--baseline", "64"), ["none of the levels"]),
        (("batch-size", "16", "5000"), ["5000", "training images"]),
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
