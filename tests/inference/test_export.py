"""Exported files say of images what the trial's own network says, in software that knows nothing of eailab."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from safetensors import safe_open

from eailab.data.registry import load as load_data
from eailab.errors import DataError
from eailab.inference import export, formats
from eailab.recipe.load import Override, load
from eailab.runs import checkpoint
from eailab.runs.context import RunContext
from eailab.runs.store import Store
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.runs.trial_folder import TrialFolder

MLPS = {
    "every activation": {"model__hidden": [9, 8, 7, 6], "model__activation": ["relu", "sigmoid", "tanh", "gelu"]},
    "batch norm and dropout": {"model__hidden": [9, 8], "model__norm": "batch", "model__dropout": 0.5},
}
RESNETS = {
    "3x3, not square": ((17, 21, 3), {"model__stem": "3x3"}),
    "3x3-nopool, bottlenecks": ((9, 9, 3), {"model__name": "resnet50", "model__stem": "3x3-nopool"}),
    "7x7, resize-224, grey": ((20, 24, 1), {"data__augment": "resize-224"}),
}


def close(found, expected):
    """Equal up to the rounding of sums in 32 bits, taken in another order."""
    assert found.dtype == np.float32
    assert_allclose(found, expected, rtol=0.0, atol=2e-5 * np.abs(expected).max())


@pytest.fixture
def onnxruntime():
    pytest.importorskip("onnx", reason='pip install ".[onnx]"')
    return pytest.importorskip("onnxruntime", reason='pip install ".[onnx]"')


# --- ONNX -----------------------------------------------------------------------------------------------------------


def answers(onnxruntime, trained, pixels):
    """What onnxruntime says of two images at once, and of each alone."""
    session = onnxruntime.InferenceSession(formats.Onnx().write(trained, {}), providers=["CPUExecutionProvider"])
    together = session.run(None, {"images": pixels})[0]
    alone = [session.run(None, {"images": pixels[number : number + 1]})[0] for number in range(len(pixels))]
    return together, np.concatenate(alone)


@pytest.mark.parametrize("settings", MLPS.values(), ids=MLPS)
def test_onnxruntime_agrees_about_an_mlp_which_needs_no_torch(onnxruntime, network, pixels, monkeypatch, settings):
    monkeypatch.setitem(sys.modules, "torch", None)
    trained = network("digits-mlp", (5, 4, 2), **settings)
    images = pixels((5, 4, 2), 2)
    for found in answers(onnxruntime, trained, images):
        close(found, trained.logits(images))


@pytest.mark.parametrize(("image", "settings"), RESNETS.values(), ids=RESNETS)
def test_onnxruntime_agrees_about_a_residual_network(onnxruntime, network, pixels, image, settings):
    trained = network("resnet18-cifar10", image, **{"model__width": 0.0625, **settings})
    images = pixels(image, 2)
    for found in answers(onnxruntime, trained, images):
        close(found, trained.logits(images))


def test_an_onnx_file_says_what_it_takes_gives_and_comes_from(onnxruntime, network):
    trained = network("digits-mlp", (8, 8, 1))
    facts = export.facts(trained)
    data = formats.Onnx().write(trained, facts)
    assert data == formats.Onnx().write(trained, facts)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (takes,), (gives,) = session.get_inputs(), session.get_outputs()
    assert (takes.name, takes.type, takes.shape) == ("images", "tensor(uint8)", ["N", 8, 8, 1])
    assert (gives.name, gives.type, gives.shape) == ("logits", "tensor(float)", ["N", 10])
    told = session.get_modelmeta().custom_metadata_map
    assert told == facts
    assert json.loads(told["classes"]) == list(trained.expected.classes)
    assert (told["trial"], told["block"]) == ("0" * 20, "3")


def test_without_the_extra_the_way_to_get_it_is_told(eailab, trial, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = eailab("export", trial.name, "--to", "onnx", "--runs", trial.runs)
    assert done.code == 2
    assert "pip install" in done.err
    assert '"onnx>=1.18" "onnxruntime>=1.20"' in done.err
    assert "eailab[" not in done.err
    assert "Traceback" not in done.err


# --- safetensors ----------------------------------------------------------------------------------------------------


def saved(trained, tmp_path):
    """The file as the safetensors library opens it: its arrays, and its metadata."""
    file = tmp_path / "network.safetensors"
    file.write_bytes(formats.Safetensors().write(trained, export.facts(trained)))
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118 - no mapping


def test_torchvisions_network_takes_the_weights_with_the_stem_that_the_recipe_names(network, pixels, tmp_path):
    """As the guide says: the stem is exchanged, and the metadata scale the images."""
    import torch
    from torchvision.models import resnet18

    trained = network("resnet18-cifar10", (16, 16, 3), classes=3, model__stem="3x3-nopool")
    weights, told = saved(trained, tmp_path)
    theirs = resnet18(num_classes=3)
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = torch.nn.Identity()
    theirs.load_state_dict(weights)
    mean, std = (torch.tensor(json.loads(told[name])) for name in ("mean", "std"))
    images = pixels((16, 16, 3), 2)
    with torch.inference_mode():
        scores = theirs.eval()(((torch.tensor(images) - mean) / std).permute(0, 3, 1, 2)).numpy()
    close(scores, trained.logits(images))
    assert "stem: 3x3-nopool" in told["recipe"]


def test_the_weights_of_an_mlp_are_those_of_torchs_layers(network, pixels, tmp_path):
    import torch
    from torch import nn

    trained = network("digits-mlp", (5, 4, 2), model__hidden=[9, 8], model__activation="gelu", model__norm="batch")
    weights, told = saved(trained, tmp_path)
    theirs = nn.Module()
    theirs.layers = nn.ModuleList([nn.Linear(40, 9), nn.Linear(9, 8), nn.Linear(8, 10)])
    theirs.norms = nn.ModuleList([nn.BatchNorm1d(9), nn.BatchNorm1d(8)])
    theirs.load_state_dict(weights)
    theirs.eval()
    images = pixels((5, 4, 2), 3)
    mean, std = (torch.tensor(json.loads(told[name])) for name in ("mean", "std"))
    with torch.inference_mode():
        x = ((torch.tensor(images) - mean) / std).flatten(1)
        for layer, norm in zip(theirs.layers, theirs.norms, strict=False):
            x = nn.functional.gelu(norm(layer(x)))
        close(theirs.layers[2](x).numpy(), trained.logits(images))


def test_metadata_of_safetensors_are_in_order_and_leave_the_arrays_alone(network, tmp_path):
    """The library's own order changes from process to process; two exports are to have the same bytes."""
    trained = network("digits-mlp", (8, 8, 1), model__hidden=[3])
    weights, told = saved(trained, tmp_path)
    assert list(json.loads(formats._header((tmp_path / "network.safetensors").read_bytes()))["__metadata__"]) == (
        sorted(told)
    )
    assert told == export.facts(trained) | {"format": "pt"}
    assert {name: array.numpy().tobytes() for name, array in weights.items()} == {
        name: array.tobytes() for name, array in trained.weights.items()
    }


# --- torch ----------------------------------------------------------------------------------------------------------


def test_torch_runs_its_archive_on_any_number_of_images(network, pixels, tmp_path):
    """One network of each engine; torch's own machinery makes this the slowest test here."""
    import torch

    for trained in (
        network("digits-mlp", (5, 4, 2), **MLPS["every activation"], model__norm="batch"),
        network("resnet18-cifar10", (8, 9, 1), model__width=0.0625, data__augment="resize-224"),
    ):
        facts = export.facts(trained)
        file = tmp_path / "network.pt2"
        file.write_bytes(formats.TorchExport().write(trained, facts))
        told = {"eailab.json": ""}
        theirs = torch.export.load(file, extra_files=told).module()
        for count in (1, 3):
            images = pixels(trained.expected.image, count)
            close(theirs(torch.tensor(images)).numpy(), trained.logits(images))
        assert json.loads(told["eailab.json"]) == facts


# --- the command ----------------------------------------------------------------------------------------------------


class Ready:
    """A store with one finished trial of the digits."""

    def __init__(self, runs, name):
        self.runs, self.name = runs, name
        self.folder = Store(runs).folder(name)

    def file(self, suffix):
        return self.runs / "exports" / f"digits-mlp-{self.name[:10]}{suffix}"


def trained_trial(runs, **settings):
    overrides = {"epochs": 1, "model.hidden": [16]} | {key.replace("__", "."): value for key, value in settings.items()}
    recipe = load("digits-mlp", [Override(*item, "-o") for item in overrides.items()]).recipe
    one = Trial(recipe, 0, load_data("digits").fingerprint)
    run_trial(one, RunContext(runs))
    return Ready(runs, one.fingerprint)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return trained_trial(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def trial(finished, tmp_path):
    """A copy of the finished trial, to be maltreated."""
    shutil.copytree(finished.runs, tmp_path / "store")
    return Ready(tmp_path / "store", finished.name)


def leftovers(trial):
    return [path.name for path in (trial.runs / "exports").glob("*")]


def test_the_command_writes_a_file_and_tells_how_it_was_checked(eailab, trial):
    """The test split has 360 images; what the trial recorded of them came from the engine, not from its weights."""
    done = eailab("export", trial.name[:8], "--to", "safetensors", "--runs", trial.runs, "--images", 1000, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["file"] == str(trial.file(".safetensors"))
    check = told["check"]
    assert (check["images"], check["which"]) == (360, "test images of digits")
    assert check["same_class"] == check["as_recorded"] == 360
    assert check["largest_difference"] < 1e-5 < check["largest_logit"]  # 0 but for BLAS, which rounds as memory lies
    with safe_open(trial.file(".safetensors"), "np") as file:
        assert file.metadata()["trial"] == trial.name


def test_onnx_is_run_on_the_test_images_before_it_is_written(onnxruntime, eailab, trial):
    done = eailab("export", trial.name, "--to", "onnx", "--runs", trial.runs)
    assert done.code == 0, done.err
    assert f"run by onnxruntime {onnxruntime.__version__} on 256 test images of digits" in done.out
    assert "256 classes agree, 256 as the trial recorded" in done.out
    session = onnxruntime.InferenceSession(str(trial.file(".onnx")), providers=["CPUExecutionProvider"])
    test = load_data("digits").test.pixels
    found = session.run(None, {"images": test})[0].argmax(1)
    assert found.tolist() == trial.folder.predictions()["test"].tolist()


def test_a_file_that_computes_something_else_is_not_written(onnxruntime, eailab, trial, monkeypatch):
    """The check has teeth: a forgotten activation is found."""
    from eailab.engines.numpy_mlp.inference import COUNTERPARTS, Counterpart

    monkeypatch.setitem(COUNTERPARTS, "relu", Counterpart("Identity", lambda graph, x: graph.add("Identity", x)))
    done = eailab("export", trial.name, "--to", "onnx", "--runs", trial.runs)
    assert done.code == 1
    assert "nothing was written" in done.err
    assert leftovers(trial) == []


@pytest.mark.parametrize("reason", ["missing", "other"])
def test_without_the_test_images_random_ones_are_named_as_such(eailab, trial, monkeypatch, reason):
    """A check that was made on other images must not sound like one on real ones; nothing is downloaded for it."""

    def missing(*_, download):
        assert not download
        raise DataError("not here")

    other = load_data("digits32")
    monkeypatch.setattr(
        "eailab.inference.predict.load_data", missing if reason == "missing" else lambda *_, **__: other
    )
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs, "--images", 5)
    assert done.code == 0, done.err
    assert "on 5 images of random pixels (the files of digits are not" in done.out
    assert "recorded" not in done.out


def test_a_file_says_how_far_the_training_pixels_went(eailab, trial):
    """Whoever feeds pictures to a network of the digits, which go to 16, learns nothing from logits that are wrong."""
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs, "--out", "a.safetensors")
    assert "  pixels: 0 to 16, as in training: multiply those of a picture, 0 to 255, by 16/255 first\n" in done.out
    header = Path("a.safetensors").read_bytes()
    assert b'"largest_pixel": "16"' in header or b'"largest_pixel":"16"' in header


@pytest.mark.parametrize(
    ("largest", "said"),
    [(16, "0 to 16, as in training"), (128, "0 to 255, as in a picture"), (None, "as in training; neither")],
)
def test_which_pixels_a_network_expects_is_said(network, monkeypatch, largest, said):
    monkeypatch.setattr(export, "largest_pixel", lambda *_: largest)
    assert export.pixels_in_words(network("digits-mlp", (8, 8, 1)), None).startswith(said)


def test_an_existing_file_is_left_alone(eailab, trial, tmp_path):
    file = tmp_path / "mine.safetensors"
    file.write_text("mine")
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs, "--out", file)
    assert (done.code, file.read_text()) == (2, "mine")
    assert "exists and is not overwritten" in done.err


def test_a_folder_gets_a_file_of_the_usual_name(eailab, trial, tmp_path):
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs, "--out", tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / trial.file(".safetensors").name).is_file()


def test_a_name_that_torch_would_not_load_is_refused(eailab, trial, tmp_path):
    done = eailab("export", trial.name, "--to", "torch-export", "--runs", trial.runs, "--out", tmp_path / "mine.pt")
    assert done.code == 2
    assert "end in .pt2" in done.err


def test_a_place_that_cannot_be_written_is_told(eailab, trial, tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "mine.safetensors"
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs, "--out", out)
    assert done.code == 1
    assert "could not be written" in done.err


@pytest.mark.parametrize("name", ["zzzz", ""])
def test_an_unknown_trial_is_answered(eailab, trial, name):
    done = eailab("export", name, "--to", "safetensors", "--runs", trial.runs)
    assert (done.code, "runs list" in done.err) == (2, True)


def test_a_diverged_trial_has_nothing_to_export(eailab, tmp_path):
    trial = trained_trial(tmp_path / "store", optimizer__name="sgd", optimizer__lr=1e30)
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs)
    assert (done.code, "has diverged" in done.err) == (2, True)


def test_an_unfinished_trial_is_not_exported(eailab, trial):
    trial.folder.result_file.unlink()
    for name in (trial.name, trial.folder.path):
        done = eailab("export", name, "--to", "safetensors", "--runs", trial.runs)
        assert (done.code, "is not finished" in done.err) == (2, True), done.err


def test_damaged_weights_are_not_exported(eailab, trial):
    data = bytearray(trial.folder.weights_file.read_bytes())
    data[-1] ^= 1
    trial.folder.weights_file.write_bytes(data)
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs)
    assert (done.code, "model.safetensors" in done.err) == (1, True)
    assert leftovers(trial) == []


def test_predictions_of_fewer_images_than_the_data_have_are_named(eailab, trial, monkeypatch):
    """They were sealed again, so that only the data know."""
    monkeypatch.setattr(TrialFolder, "predictions", lambda _: {"test": np.zeros(180, np.uint8)})
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs)
    assert (done.code, "is of 180 test images, and digits has 360" in done.err) == (1, True)
    assert leftovers(trial) == []


def test_weights_that_do_not_say_what_they_expect_are_not_exported(eailab, trial, monkeypatch):
    weights, _ = checkpoint.load(trial.folder.weights_file)
    monkeypatch.setattr(checkpoint, "load", lambda _: (weights, {}))
    done = eailab("export", trial.name, "--to", "safetensors", "--runs", trial.runs)
    assert (done.code, "train the trial again" in done.err) == (1, True)
