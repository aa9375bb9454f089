"""From Python one gets what the commands print, from the same folder and without training twice."""

import json
import subprocess
import sys

import numpy as np
import pytest

import eailab as public
from eailab.api.arguments import block_of, blocks_of
from eailab.errors import StudyError
from eailab.runs.context import Ended

SETTINGS = {"epochs": 1, "model.hidden": [4], "data.limit": 64}
QUICK = ("--recipe", "digits-mlp", "-o", "epochs=1", "-o", "model.hidden=[4]", "-o", "data.limit=64", "--jobs", "1")


def test_importing_the_package_is_quick_and_imports_nothing_heavy():
    """0.1 s of processor time, of which Python itself takes some."""
    code = (
        "import sys, time\nbegan = time.process_time()\nimport eailab\nfrom eailab import ablate, open_study\n"
        "taken = time.process_time() - began\n"
        "print([name for name in ('numpy', 'torch', 'pydantic', 'yaml', 'rich') if name in sys.modules], taken < 0.1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"


def test_what_is_public_is_there_and_documented():
    assert set(public.__all__) <= set(dir(public))
    for name in public.__all__:
        assert getattr(public, name).__doc__ or name == "__version__"
    with pytest.raises(AttributeError, match=r"there are .*open_study"):
        _ = public.abalte


def test_a_study_is_the_one_that_the_command_trains(eailab):
    """The command finds every trial finished, prints the same table, and has the same JSON."""
    ended = []
    study = public.ablate(
        "lr",
        [1e-3, 1e-2],
        seeds=2,
        settings=SETTINGS,
        on_event=lambda event: isinstance(event, Ended) and ended.append(event.trial),
    )
    assert len(set(ended)) == 4
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--seeds", "2", *QUICK)
    assert "4 trials: 4 finished already, 0 to train" in done.err
    assert done.out.startswith(str(study))
    assert study.to_dict() == json.loads((study.folder / "table.json").read_text())
    assert study.values().shape == (2, 2)
    baseline, other = study.table
    assert (baseline["arm"], baseline["is_baseline"], baseline["difference"]) == ("0.001", True, None)
    assert baseline["mean"] == pytest.approx(np.mean(study.values()[:, 0]))
    assert other["difference"] == pytest.approx(np.diff(study.values()).mean())
    assert other["verdict"] == "UNDECIDED"
    low, high = other["interval"]
    assert low < other["difference"] < high
    assert f"{other['difference']:+.2f}" in done.out
    assert (study.folder / "report.html").is_file()
    again = public.open_study("digits-mlp-lr")
    assert str(again) == str(study)
    assert again.folder.resolve() == study.folder.resolve()


def test_arms_are_tuned_as_the_command_tunes_them(eailab):
    """With the arms as the recipe has them beside the winners; the command finds every trial finished."""
    tuned = public.ablate(
        "optimizer",
        ["adam", "sgd"],
        seeds=2,
        settings=SETTINGS,
        tune={"lr": [1e-3, 1e-2], "sgd:lr": "0.1,1"},
        tune_blocks=1,
        carry=2,
    )
    assert tuned.to_dict()["tuning"]["arms"][1]["values"][:2] == ["0.1", "1"]
    assert [arm.label for arm in tuned.untuned] == ["adam", "sgd"]
    words = ("--tune", "lr=1e-3,1e-2", "--tune", "sgd:lr=0.1,1", "--tune-blocks", "1", "--carry", "2")
    done = eailab("ablate", "optimizer", "adam", "sgd", "--seeds", "2", *words, *QUICK)
    assert "finished already, 0 to train" in done.err
    assert tuned.to_dict() == json.loads((tuned.folder / "table.json").read_text())
    with pytest.raises(public.EailabError, match="several of their values"):
        tuned.until_decided(max_trials=8)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"carry": 2}, "carry is for a tuning"),
        ({"tune_all": True}, "tune_all is for a tuning"),
        ({"carry": 0}, "carry is for a tuning"),
        (
            {"tune": {"lr": [0.1, 0.2]}, "tune_blocks": 0},
            r"\(from Python tune_blocks\): give a number of blocks from 1",
        ),
        ({"tune": {"sgd:lr": [0.1, 0.2]}}, "from Python tune_unequal=True"),
        ({"tune": {"lr": [0.1, 0.2]}, "carry": 0}, "give 1 or 2"),
        ({"tune": {}}, "give settings with their values"),
        ({"tune": ["lr=1,2"]}, "give settings with their values"),
        ({"tune": {"lr": {"a": 1}}}, "a list of plain values"),
        ({"tune": {"lr": 0.1}}, "a list of plain values"),
        ({"tune": {"lr": [object(), 1]}}, "a list of plain values"),
        ({"tune": {"lr": [0.1, 0.2]}, "carry": 2.0}, "give 1 or 2"),
        ({"tune": {"lr": [0.1, 0.2]}, "seeds": [1_000_000, 1_000_001]}, "is for --tune"),
    ],
)
def test_what_no_tuning_can_have_is_refused_before_anything_is_trained(how, said, tmp_path):
    with pytest.raises(public.EailabError, match=said):
        public.ablate("optimizer", ["adam", "sgd"], settings=SETTINGS, **how)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "how", "said"),
    [
        (("lr", [1e-3, 1e-2]), {"hold": "nope"}, "^hold='nope': give one of 'epochs', 'updates'"),
        (("lr", [1e-3, 1e-2]), {"device": "gpu"}, "^device='gpu': give one of 'auto', 'cpu', 'cuda'"),
        (("lr", [1e-3, 1e-2]), {"jobs": 0}, "^jobs=0: give a number of trials side by side, 1 or more"),
        (("lr", [1e-3, 1e-2]), {"seeds": "abc"}, "^seeds='abc': give the number of blocks, such as 5, or distinct"),
        (("lr", [1e-3, 1e-2]), {"seeds": [1, 1]}, r"^seeds=\[1, 1\]: .* such as \[0, 3, 7\]"),
        (("lr", [1e-3, 1e-2]), {"seeds": [0.5]}, r"^seeds=\[0.5\]: give"),
        (("lr", [1e-3, 1e-2]), {"settings": {"nope": 1}}, r"^settings=\{'nope': 1\}: there is no setting 'nope'"),
        (("lr", [1e-3, 1e-2]), {"margin": -1}, r"^margin=-1: study\.margin: expected a number from 0"),
        (("lr", [1e-3, 1e-2]), {"seeds": [-1]}, r"^seeds=\[-1\]: give"),
        (("lr", [1e-3, 1e-2]), {"seeds": True}, "^seeds=True: give"),
        (("lr", [1e-3, 1e-2]), {"settings": {"study.margin": -1}}, r"^settings=\{'study.margin': -1\}: study\.margin"),
    ],
)
def test_arguments_that_do_not_fit_are_named_as_python_has_them(words, how, said, tmp_path):
    """What `hold` was not made a study that nothing could read."""
    with pytest.raises(public.EailabError, match=said) as refused:
        public.ablate(*words, **{"settings": SETTINGS, **how})
    assert "--" not in str(refused.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("block", [1.5, "0", -1, True, 2**31])
def test_a_block_that_is_none_is_refused(block, tmp_path):
    with pytest.raises(public.EailabError, match=r"block=.*: give a whole number from 0"):
        public.train(block=block, settings=SETTINGS)
    assert not (tmp_path / "runs").exists()


def test_numbers_of_numpy_are_blocks():
    assert blocks_of(np.array([7, 3])) == (3, 7)
    assert blocks_of(np.int64(2)) == (0, 1)
    assert block_of(np.int64(3)) == 3


def test_a_training_is_the_one_that_the_command_trains(eailab):
    trial = public.train(block=3, settings=SETTINGS)
    assert 0.0 <= trial.metrics["test_accuracy"] <= 1.0
    assert {"result.json", "model.safetensors", "curves.png"} <= {file.name for file in trial.folder.iterdir()}
    done = eailab("train-mlp", "--seed", "3", *QUICK[:-2])
    assert "this trial is finished already" in done.err
    assert done.out.startswith(str(trial))


def test_noise_is_what_the_command_says(eailab):
    found = public.noise(seeds=[0, 4, 7], settings=SETTINGS)
    assert found.blocks == (0, 4, 7)
    told = json.loads(eailab("noise", "--seeds", "0,4,7", "--json", *QUICK[2:]).out)
    assert told["values"] == list(found.values)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: public.ablate("batchsize", [1, 2]), "did you mean 'batch-size'"),
        (lambda: public.ablate("lr", [1e-3]), "has 1 level"),
        (lambda: public.ablate("lr", [1e-3, 1e-2], seeds=[3, 3]), "distinct blocks"),
        (lambda: public.ablate("lr", [1e-3, 1e-2], seeds=[-3]), r"seeds=\[-3\]: give the number of blocks"),
        (lambda: public.train("digits-mpl"), "did you mean 'digits-mlp'"),
        (lambda: public.train(settings={"epoch": 3}), "did you mean 'epochs'"),
        (lambda: public.noise(seeds=1), "two blocks or more"),
        (lambda: public.open_study("x"), "there is no folder runs"),
    ],
)
def test_a_mistake_is_explained_and_nothing_is_written(tmp_path, monkeypatch, call, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(public.EailabError, match=said) as caught:
        call()
    assert caught.value.exit_code == StudyError.exit_code
    assert list(tmp_path.iterdir()) == []
