"""A finished trial's weights say of a file what the trial said of the same image."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eailab.data.registry import load as load_data
from eailab.errors import DamagedError, DataError, StoreError, UsageError
from eailab.inference.predict import find_finished, predict, scaled
from eailab.recipe.load import Override, load
from eailab.runs import checkpoint
from eailab.runs.context import RunContext
from eailab.runs.records import Result
from eailab.runs.store import Store
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.runs.trial_folder import TrialFolder

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
    run_trial(trial, RunContext(root, device="cpu"))
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
    assert [one.classes[0][0] for one in found.images] == [data.classes[number] for number in expected]
    for one in found.images:
        shares = [share for _, share in one.classes]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("row", "has the shape"),
        ("nan", "not finite"),
        ("missing", "is missing"),
        ("foreign", "not a part"),
        ("bool", "kind"),
        ("classes", "names of classes"),
        ("image", "size of an image"),
        ("std", "spread"),
    ],
)
def test_weights_of_another_network_are_refused_and_never_stretched_to_fit(trained, tmp_path, way, says):
    """An array of one row would be broadcast over all, and a class be predicted that nothing has learned."""
    store, name, files, _ = trained
    folder = store.folder(name)
    weights, facts = checkpoint.load(folder.weights_file)
    last = max(part for part in weights if part.endswith("weight"))
    match way:
        case "row":
            weights[last] = weights[last][:1]
        case "nan":
            weights[last] = np.full_like(weights[last], np.nan)
        case "missing":
            del weights[last]
        case "foreign":
            weights["other"] = weights[last]
        case "bool":
            weights[last] = weights[last] > 0
        case "classes":
            facts["classes"] = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
        case "image":
            facts["image"] = "[8, 8, -1]"
        case _:
            facts["std"] = re.sub(r"[0-9.]+", "0.0", facts["std"])
    elsewhere = TrialFolder(tmp_path / "trials" / name)
    shutil.copytree(folder.path, elsewhere.path)
    checkpoint.save(elsewhere.weights_file, weights, **facts)
    with pytest.raises(DamagedError, match=says):
        predict(elsewhere, files[:1])


def test_an_image_of_another_size_is_refused(trained, tmp_path):
    store, name, _, _ = trained
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(tmp_path / "odd.png")
    with pytest.raises(DataError, match=r"odd\.png is 7x9 pixels"):
        predict(find_finished(store, name), [tmp_path / "odd.png"])


def forgetting(trial, monkeypatch):
    """Let a trial be from before results told the range of pixels."""
    real = Result.read
    monkeypatch.setattr(Result, "read", lambda record, metrics=None: replace(real(record), largest_pixel=None))
    return trial


@pytest.mark.parametrize("recorded", [True, False])
def test_pictures_on_another_scale_are_brought_to_that_of_training(trained, tmp_path, monkeypatch, recorded):
    """The embedded digits go to 16, and a picture of one to 255: it was classified in silence, and worse."""
    store, name, files, data = trained
    folder = find_finished(store, name)
    if not recorded:
        forgetting(folder, monkeypatch)
    top = int(data.train.pixels.max())
    bright = []
    for number, pixels in enumerate(data.test.pixels[:COUNT]):
        bright.append(tmp_path / f"{number}.png")
        Image.fromarray((pixels.squeeze().astype(int) * 255 // top).astype(np.uint8)).save(bright[-1])
    found, as_stored = predict(folder, bright), predict(folder, files)
    assert [one.classes for one in found.images] == [one.classes for one in as_stored.images]
    assert as_stored.notes == ()
    said = "the training pixels went up to 16, those of these pictures go up to 255: they were multiplied by 16/255."
    assert found.notes == ((said,) if top == 16 else ())


@pytest.mark.parametrize(
    ("largest", "most", "factor", "said"),
    [
        (16, 33, 16 / 255, "multiplied by 16/255"),
        (16, 32, 1, "taken as they are"),
        (16, 16, 1, None),
        (1, 255, 1 / 255, "multiplied by 1/255"),
        (127, 255, 127 / 255, "multiplied by 127/255"),
        (128, 255, 1, None),
        (255, 255, 1, None),
        (None, 255, 1, "does not say how far its training pixels went"),
    ],
)
def test_pictures_are_scaled_only_where_their_scale_is_another(largest, most, factor, said):
    """A photograph may be a little brighter than those of training."""
    pixels = np.array([0, most // 2, most], np.uint8).reshape(1, 1, 3, 1)
    found, notes = scaled(pixels, largest)
    assert np.array_equal(found, np.rint(pixels * factor))
    assert len(notes) == (said is not None)
    assert all(said in note for note in notes)


def test_a_trial_without_its_data_says_that_its_range_is_not_known(trained, monkeypatch):
    store, name, files, _ = trained
    folder = forgetting(find_finished(store, name), monkeypatch)
    monkeypatch.setattr("eailab.inference.predict.load_data", lambda *_, **__: (_ for _ in ()).throw(DataError("gone")))
    assert "its data are not here" in predict(folder, files[:1]).notes[0]


def test_a_picture_that_is_to_be_turned_is_taken_as_stored_and_that_is_said(trained, tmp_path):
    """As in training; a telephone writes how it was held beside the pixels."""
    store, name, files, _ = trained
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(files[0]) as image:
        image.save(tmp_path / "held.png", exif=exif)
    found = predict(find_finished(store, name), [tmp_path / "held.png", files[0]])
    assert found.images[0].classes == found.images[1].classes
    assert "ask for" in found.notes[-1]
    assert "held.png to be shown turned" in found.notes[-1]


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
