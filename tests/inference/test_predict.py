"""A finished trial's weights say of a file what the trial said of the same image."""

import re

import numpy as np
import pytest
from PIL import Image

from eailab.data.table import load as load_data
from eailab.errors import DataError, StoreError, UsageError
from eailab.inference.predict import predict
from eailab.inference.trained import find_finished
from eailab.recipe.load import Override, load
from eailab.runs import checkpoint
from eailab.runs.store import Store, Trial
from eailab.runs.training import run_trial

COUNT = 40
SETTINGS = {
    "digits-mlp": {"epochs": 3, "model.norm": "batch", "ema": 0.9, "model.activation": ["relu", "gelu"]},
    "resnet18-digits": {"epochs": 1, "model.width": 0.125, "data.limit": 96, "ema": 0.9, "threads": 1},
}


@pytest.fixture(scope="module", params=SETTINGS)
def trained(request, tmp_path_factory):
    """A store with one finished trial, and its test images as files."""
    root = tmp_path_factory.mktemp("store")
    recipe = load(request.param, [Override(*item, "-o") for item in SETTINGS[request.param].items()]).recipe
    data = load_data(recipe.data.name)
    trial = Trial(recipe, 0, data.fingerprint)
    run_trial(trial, Store(root), lambda _: None, lambda: False, device="cpu")
    files = []
    for number, pixels in enumerate(data.test.pixels[:COUNT]):
        files.append(root / f"{number}.png")
        Image.fromarray(pixels.squeeze()).save(files[-1])
    return Store(root), trial.fingerprint, files, data


def test_files_are_classified_as_the_trial_classified_the_test_split(trained):
    """The stored predictions are the reference: they came from the engine, not from the file of weights."""
    store, name, files, data = trained
    folder = find_finished(store, name[:8])
    found = predict(folder, files, top=10)
    expected = folder.predictions()["test"][:COUNT]
    assert [one.classes[0][0] for one in found] == [data.classes[number] for number in expected]
    for one in found:
        shares = [share for _, share in one.classes]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1.0)


def test_an_image_of_another_size_is_refused(trained, tmp_path):
    store, name, _, _ = trained
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(tmp_path / "odd.png")
    with pytest.raises(DataError, match=r"odd\.png is 7x9 pixels"):
        predict(find_finished(store, name), [tmp_path / "odd.png"])


def test_a_file_that_is_no_image_is_refused(trained, tmp_path):
    store, name, _, _ = trained
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png"):
        predict(find_finished(store, name), [tmp_path / "text.png"])


def test_a_trial_that_is_not_finished_classifies_nothing(trained, tmp_path):
    with pytest.raises(UsageError, match="is not finished"):
        predict(Store(tmp_path).folder(trained[1]), trained[2])


def test_a_name_that_no_trial_has_is_answered(trained):
    with pytest.raises(UsageError, match="no trial"):
        find_finished(trained[0], "zzzz")


def test_weights_that_do_not_say_what_they_expect_are_refused(trained, tmp_path):
    store, name, files, _ = trained
    folder = find_finished(store, name)
    whole = folder.weights_file.read_bytes()
    try:
        weights, _ = checkpoint.load(folder.weights_file)
        checkpoint.save(folder.weights_file, weights)
        with pytest.raises(StoreError, match="does not say what images it expects"):
            predict(folder, files)
    finally:
        folder.weights_file.write_bytes(whole)


def test_the_command_names_classes_with_probabilities(eailab, trained):
    store, name, files, _ = trained
    done = eailab("predict", name, files[0], files[1], "--runs", store.root)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 2
    assert re.search(r"0\.png: \d \d+\.\d%, \d \d+\.\d%, \d \d+\.\d%$", lines[0])
