"""`eailab noise` on the embedded digits."""

import json

import pytest

QUICK = ("-o", "epochs=2", "--jobs", "1")


@pytest.mark.draws
def test_noise_prints_the_floor_and_keeps_its_numbers_in_the_studys_folder(eailab, tmp_path):
    done = eailab("noise", "--seeds", "3", *QUICK)
    assert done.code == 0, done.err
    assert "between two single runs are noise" in done.out
    (folder,) = (tmp_path / "runs" / "studies").iterdir()
    assert folder.name.startswith("digits-mlp-noise-")
    assert {"study.yaml", "noise.md", "noise.json"} <= {file.name for file in folder.iterdir()}
    assert len(list((tmp_path / "runs" / "trials").iterdir())) == 3
    numbers = json.loads((folder / "noise.json").read_text())
    assert [one["images"] for one in numbers["sampling"]] == [288, 360]
    assert len(numbers["values"]) == 3
    report = eailab("report")
    assert report.code == 0, report.err
    assert "block 2" in report.out


def test_more_blocks_train_only_what_is_new(eailab):
    eailab("noise", "--seeds", "2", *QUICK)
    again = eailab("noise", "--seeds", "3", "--json", *QUICK)
    assert "3 trials: 2 finished already, 1 to train" in again.err
    assert json.loads(again.out)["blocks"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("--seeds", "1"), ["no spread", "10"]),
        (("--seeds", "0"), ["--seeds"]),
        (("digits-mpl",), ["digits-mpl", "digits-mlp"]),
        (("--metric", "acuracy"), ["acuracy", "validation-accuracy"]),
    ],
)
def test_what_has_no_spread_is_refused_and_starts_nothing(eailab, tmp_path, arguments, fragments):
    done = eailab("noise", *arguments)
    assert done.code == 2
    assert all(fragment in done.err for fragment in fragments), done.err
    assert list(tmp_path.iterdir()) == []


def test_a_training_and_the_noise_of_its_recipe_are_two_studies(eailab, tmp_path):
    """They share their trials; the training goes on answering for its own block."""
    recipe = "digits-mlp -o epochs=1 -o model.hidden=[4]"
    trained = eailab(*f"train-mlp --recipe {recipe}".split())
    assert eailab(*f"noise {recipe} --seeds 2 --jobs 1".split()).code == 0
    again = eailab(*f"train-mlp --recipe {recipe}".split())
    assert again.out == trained.out
    names = {folder.name.rpartition("-")[0] for folder in (tmp_path / "runs" / "studies").iterdir()}
    assert names == {"digits-mlp", "digits-mlp-noise"}
