"""A study that does not fit the disk is refused before it starts."""

from collections import namedtuple

import pytest

from eailab.data.registry import load as load_data
from eailab.data.split import trial_data
from eailab.engines.registry import build, images_of
from eailab.errors import MemoryShortageError, StoreError
from eailab.recipe.load import Override, load
from eailab.runs import machine
from eailab.runs.trial import Trial

Usage = namedtuple("Usage", "total used free")


def make(name, *changes):
    recipe = load(name, [Override(path, value, "-o") for path, value in changes]).recipe
    return Trial(recipe, 0, load_data(recipe.data.name).fingerprint)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("digits-mlp", []),
        ("digits-mlp", [("ema", 0.9), ("optimizer.name", "sgd"), ("model.norm", "batch"), ("model.hidden", [7, 9])]),
        ("resnet18-digits", [("model.width", 0.25)]),
        ("resnet18-digits", [("model.width", 0.25), ("ema", 0.9)]),
    ],
)
def test_a_state_is_no_larger_than_was_estimated(name, changes):
    trial = make(name, *changes)
    dataset = load_data(trial.recipe.data.name)
    engine = build(trial.recipe, trial_data(dataset, trial.recipe.data, 0), 0, "cpu")
    spec = images_of(trial.recipe)
    counted = spec.parameters(trial.recipe, dataset.train.pixels.shape[1:], len(dataset.classes))
    assert counted == engine.parameters
    state = sum(array.nbytes for array in engine.state().values())
    assert (
        state <= machine.OTHER_NUMBERS * machine.BYTES_A_NUMBER * counted * spec.checkpoint_copies(trial.recipe) + 1000
    )


def test_too_little_room_is_said_with_both_numbers_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - 10**6, 10**6))
    with pytest.raises(StoreError, match=r"has 1\.0 MB free.*need up to 2\d\.\d MB.*Nothing was started"):
        machine.check_disk_space(tmp_path / "runs", None, [make("digits-mlp")] * 100, jobs=2)
    assert not (tmp_path / "runs").exists()


def test_enough_room_is_enough(tmp_path):
    machine.check_disk_space(tmp_path / "not" / "yet", None, [make("digits-mlp")], jobs=1)


def test_a_limit_on_memory_that_the_libraries_do_not_survive_is_named(tmp_path, monkeypatch):
    """They end the process without a word, or wait for ever."""
    monkeypatch.setattr(machine, "address_space_limit", lambda: 450_000 * 1024)
    with pytest.raises(MemoryShortageError, match=r"460\.8 MB.*`ulimit -v 450000`.*536\.9 MB"):
        machine.check_disk_space(tmp_path, None, [make("digits-mlp")], jobs=1)
