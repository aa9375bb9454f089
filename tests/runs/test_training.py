"""One loop for both engines: the same trial always leaves the same bytes, however often it was stopped."""

import shutil

import pytest

from eailab.data.table import load as load_data
from eailab.errors import StoppedError
from eailab.recipe.load import Override, load
from eailab.runs import training
from eailab.runs.events import Ended, EpochEnded, Started, Stepped
from eailab.runs.store import Store, Trial
from eailab.runs.training import is_finished, run_trial

RECIPES = {
    "numpy": ("digits-mlp", [("epochs", 4), ("model.dropout", 0.2), ("ema", 0.9), ("model.norm", "batch")]),
    "torch": (
        "resnet18-digits",
        [("epochs", 2), ("model.width", 0.125), ("data.limit", 128), ("deterministic", True), ("threads", 1)],
    ),
}


def make(engine, *changes):
    name, small = RECIPES[engine]
    recipe = load(name, [Override(path, value, "-o") for path, value in [*small, *changes]]).recipe
    return Trial(recipe, 0, load_data(recipe.data.name).fingerprint)


def run(trial, root, stop=lambda: False, watch=lambda _: None):
    run_trial(trial, Store(root), watch, stop, device="cpu")
    return Store(root).folder(trial.fingerprint)


@pytest.mark.parametrize("engine", RECIPES)
def test_a_trial_tells_its_events_and_leaves_its_files(tmp_path, engine):
    trial, events = make(engine), []
    folder = run(trial, tmp_path, watch=events.append)
    kinds = [type(event) for event in events if not isinstance(event, Stepped)]
    assert kinds == [Started, *[EpochEnded] * trial.recipe.epochs, Ended]
    assert sum(isinstance(event, Stepped) for event in events) >= trial.recipe.epochs
    assert {file.name for file in folder.path.iterdir()} - {".lock"} == {
        "recipe.yaml",
        "epochs.jsonl",
        "timings.jsonl",
        "predictions.npz",
        "model.safetensors",
        "result.json",
    }
    result, epochs = folder.result(), folder.epochs()
    assert result.train == epochs[-1].train
    assert result.validation == epochs[-1].validation
    assert epochs[-1].train.loss < epochs[0].train.loss
    assert folder.seconds() > 0


@pytest.mark.parametrize("engine", RECIPES)
def test_a_trial_stopped_and_resumed_has_the_bytes_of_an_uninterrupted_one(tmp_path, engine, monkeypatch):
    """Resuming is exact, or a study that was interrupted is another study."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    trial = make(engine)
    whole = run(trial, tmp_path / "whole")
    ended = []

    def stop_after_the_first_epoch(event):
        ended.extend([event] if isinstance(event, EpochEnded) else [])

    with pytest.raises(StoppedError):
        run(trial, tmp_path / "parts", stop=lambda: len(ended) >= 1, watch=stop_after_the_first_epoch)
    folder = Store(tmp_path / "parts").folder(trial.fingerprint)
    assert folder.checkpoint_file.exists()
    assert not is_finished(folder)
    resumed = []
    run(trial, tmp_path / "parts", watch=resumed.append)
    assert next(event for event in resumed if isinstance(event, Started)).resumed == 1
    for name in ("epochs.jsonl", "model.safetensors", "predictions.npz", "recipe.yaml"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    assert not folder.checkpoint_file.exists()


def test_a_finished_trial_is_not_trained_again(tmp_path):
    trial = make("numpy")
    before = run(trial, tmp_path).result_file.read_bytes()
    events = []
    folder = run(trial, tmp_path, watch=events.append)
    assert [type(event) for event in events] == [Ended]
    assert folder.result_file.read_bytes() == before


def test_a_damaged_result_is_set_aside_and_trained_again(tmp_path):
    trial = make("numpy")
    folder = run(trial, tmp_path)
    good = folder.epochs_file.read_bytes()
    folder.result_file.write_text("{}")
    assert not is_finished(folder)
    assert run(trial, tmp_path).epochs_file.read_bytes() == good
    assert (folder.path / "result.json.damaged-1").read_text() == "{}"


def test_a_diverging_trial_ends_as_a_result_with_its_place(tmp_path):
    """Divergence is an answer about the recipe, not a failure of the program."""
    trial = make("numpy", ("optimizer.name", "sgd"), ("optimizer.lr", 1e30), ("model.norm", "none"))
    result = run(trial, tmp_path).result()
    assert result.status == "diverged"
    epoch, step = result.diverged_at
    assert (epoch, result.epochs) == (1, 0)
    assert step >= 1
    assert result.test is None


def test_two_trials_of_one_recipe_in_other_folders_have_equal_epochs(tmp_path):
    trial = make("numpy")
    first, second = run(trial, tmp_path / "a"), run(trial, tmp_path / "b")
    assert first.epochs_file.read_bytes() == second.epochs_file.read_bytes()
    shutil.rmtree(first.path)
    assert run(trial, tmp_path / "a").epochs_file.read_bytes() == second.epochs_file.read_bytes()
