"""What is read from the store is what was written, or it is refused and named."""

import json
import re
import time
import zlib

import numpy as np
import pytest
from scores import scored

from eailab.data.npz import pack_counts
from eailab.engines.spec import PREDICTIONS, WEIGHTS
from eailab.errors import DamagedError, StoreError
from eailab.recipe.load import load, parse_override
from eailab.recipe.override import vary
from eailab.runs import checkpoint
from eailab.runs.checkpoint import packed
from eailab.runs.damage import set_damage_aside
from eailab.runs.records import Epoch, Position, Result, Timing, collect
from eailab.runs.store import Store, problems
from eailab.runs.trial import Trial


@pytest.fixture
def trial():
    return Trial(load("digits-mlp", [parse_override("epochs=2")]).recipe, block=3, data="d" * 64)


def result(**changes):
    fields = {
        "status": "finished",
        "epochs": 2,
        "values": scored((0.1, 0.97), (0.2, 0.95), (0.3, 0.94)),
        "diverged_at": None,
        "parameters": 10,
        "provenance": collect("cpu", 1, ("numpy",)),
    }
    return Result(**(fields | changes))


def epoch(number):
    return Epoch(number, scored((1 / 3 / number, 0.5), (0.7, 0.25)))


def same_json(damaged, whole):
    try:
        return json.loads(damaged) == json.loads(whole)
    except ValueError:
        return False


def write_finished(folder, trial):
    folder.begin(trial, 1)
    for number in (1, 2):
        folder.add_epoch(epoch(number))
    predictions = {"validation": np.array([1, 2], np.uint16), "test": np.array([9], np.uint16)}
    kept = {WEIGHTS.name: packed({"w": np.ones(3, np.float32)}), PREDICTIONS.name: pack_counts(predictions)}
    folder.finish(trial, result(), kept)


def test_a_finished_trial_reads_back_as_written(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    assert folder.result() is None
    write_finished(folder, trial)
    assert folder.result() == result(provenance=folder.result().provenance)
    assert folder.epochs() == [epoch(1), epoch(2)]
    assert folder.predictions()["test"].tolist() == [9]
    assert load(folder.recipe_file).recipe == trial.recipe


@pytest.mark.parametrize("numbers", [(1,), (1, 1), (1, 2, 2), (2, 1), (1, 3), (1, 2, 3)])
def test_a_trial_whose_epochs_are_not_each_there_once_is_not_finished(tmp_path, trial, numbers):
    """Two processes that trained it at once, on locks that did not see each other, leave such lines."""
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.begin(trial, 1)
    for number in numbers:
        folder.add_epoch(epoch(number))
    with pytest.raises(DamagedError, match=r"epochs\.jsonl has . lines that are not the epochs 1 to 2, each once"):
        folder.finish(trial, result(), {})
    assert folder.result() is None
    assert not folder.weights_file.exists()


def test_a_timing_says_when_its_epoch_ended_and_one_of_an_earlier_version_does_not(tmp_path, trial):
    """The date is in no earlier store, and a line without it, or with nonsense, still counts or is passed over."""
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.path.mkdir(parents=True)
    before = time.time()
    folder.add_timing(1, 2.5, 100, collect("cpu", 1, ("numpy",)))
    assert before - 0.001 <= folder.timings()[1].ended <= time.time()

    def line(**fields):
        body = json.dumps({"epoch": 1, "seconds": 2.5, "images_per_second": 40.0, "device": "cpu"} | fields)[:-1]
        return f'{body}, "crc": "{zlib.crc32(body.encode()):08x}"}}\n'

    folder.timings_file.write_text(line() + line(epoch=2, ended="yesterday") + line(epoch=3, ended="2026-01-02T03:04Z"))
    assert folder.timings() == {1: Timing(2.5, 40.0, "cpu", None), 3: Timing(2.5, 40.0, "cpu", 1767323040.0)}


@pytest.mark.parametrize(
    "change", [("optimizer.lr", 0.002), ("epochs", 31), ("batch_size", 16), ("model.init", "xavier")]
)
def test_whatever_changes_a_result_changes_the_name(trial, change):
    other = Trial(vary(trial.recipe, *change).recipe, trial.block, trial.data)
    assert other.fingerprint != trial.fingerprint


def test_block_and_data_change_the_name_and_labels_do_not(trial):
    assert Trial(trial.recipe, 4, trial.data).fingerprint != trial.fingerprint
    assert Trial(trial.recipe, 3, "e" * 64).fingerprint != trial.fingerprint
    renamed = trial.recipe.model_copy(update={"name": "other"})
    assert Trial(renamed, 3, trial.data).fingerprint == trial.fingerprint


def test_the_place_of_own_data_is_no_part_of_the_name(trial):
    """Else a project that moves to another folder, or names its data otherwise, would train everything again."""
    places = ["mine.npz", "./mine.npz", "/data/mine.npz", "mine/"]
    names = {Trial(vary(trial.recipe, "data.name", place).recipe, 3, "d" * 64).fingerprint for place in places}
    assert len(names) == 1
    assert trial.fingerprint not in names


@pytest.mark.parametrize("name", ["result.json", "epochs.jsonl", "model.safetensors", "predictions.npz", "recipe.yaml"])
def test_one_flipped_bit_in_any_file_is_found(tmp_path, trial, name):
    """A wrong number must never reach a table."""
    folder = Store(tmp_path).folder(trial.fingerprint)
    write_finished(folder, trial)
    file = folder.path / name
    whole = file.read_bytes()
    generator = np.random.default_rng(0)
    for position in generator.choice(len(whole), size=min(60, len(whole)), replace=False):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(generator.integers(8))
        file.write_bytes(damaged)
        if name == "result.json" and same_json(damaged, whole):
            continue  # a space became another white space
        with pytest.raises(StoreError, match=re.escape(str(folder.path))):
            folder.result()


def test_a_result_of_a_newer_version_is_refused_with_advice(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    write_finished(folder, trial)
    record = json.loads(folder.result_file.read_text()) | {"schema_version": 99}
    folder.result_file.write_text(json.dumps(record))
    with pytest.raises(StoreError, match="newer eailab"):
        folder.result()


def test_a_torn_last_line_is_dropped_and_a_bad_one_before_it_is_refused(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.begin(trial, 1)
    for number in (1, 2):
        folder.add_epoch(epoch(number))
    whole = folder.epochs_file.read_bytes()
    folder.epochs_file.write_bytes(whole[:-10])
    assert folder.epochs() == [epoch(1)]
    folder.epochs_file.write_bytes(whole.replace(b"0.25", b"0.26", 1))
    with pytest.raises(StoreError, match=r"epochs.jsonl:1"):
        folder.epochs()


def test_beginning_again_cuts_epochs_that_will_be_trained_again(tmp_path, trial):
    """So a resumed trial's file has the bytes of an uninterrupted one."""
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.begin(trial, 1)
    for number in (1, 2, 3):
        folder.add_epoch(epoch(number))
    folder.begin(trial, 3)
    assert [e.number for e in folder.epochs()] == [1, 2]


def test_a_damaged_checkpoint_is_set_aside(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.begin(trial, 1)
    folder.add_epoch(epoch(1))
    folder.save_checkpoint({"w": np.ones(3, np.float32)}, trial, Position(1, 7, 2.5, None))
    found = folder.load_checkpoint(trial)
    assert (found.position, found.unused) == (Position(1, 7, 2.5, None), "")
    assert found.state["w"].tolist() == [1, 1, 1]
    data = bytearray(folder.checkpoint_file.read_bytes())
    data[-1] ^= 1
    folder.checkpoint_file.write_bytes(data)
    found = folder.load_checkpoint(trial)
    assert (found.state, found.position) == (None, Position())
    assert found.unused.startswith("its checkpoint is damaged")
    assert found.unused.endswith("checkpoint.safetensors.damaged-1.")
    assert not folder.checkpoint_file.exists()
    assert folder.checkpoint_file.with_name("checkpoint.safetensors.damaged-1").exists()


def test_a_checkpoint_of_another_trial_is_not_taken_up(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.begin(trial, 1)
    folder.add_epoch(epoch(1))
    folder.save_checkpoint({"w": np.ones(3, np.float32)}, Trial(trial.recipe, 4, trial.data), Position(1))
    assert "another trial's" in folder.load_checkpoint(trial).unused


def test_a_checkpoint_of_an_earlier_version_is_after_its_epoch(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.begin(trial, 1)
    folder.add_epoch(epoch(1))
    facts = {"epoch": "1", "trial": trial.fingerprint, "environment": "here"}
    checkpoint.save(folder.checkpoint_file, {"w": np.ones(3, np.float32)}, **facts)
    assert folder.load_checkpoint(trial, "here").position == Position(1)


def test_a_trial_is_held_by_one_at_a_time(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    with folder.lock() as first, Store(tmp_path).folder(trial.fingerprint).lock() as second:
        assert first
        assert not second


def test_a_folder_says_its_block_and_data_in_a_file_of_its_own_and_those_of_old_stores_in_a_comment(tmp_path, trial):
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.order(trial)
    assert json.loads(folder.identity_file.read_text())["block"] == trial.block
    with_comment = folder.recipe_file.read_text()
    folder.recipe_file.write_text(with_comment.replace("# What:", "# Who knows:"))
    assert folder.ordered() == trial, "nothing reads the comment"
    folder.identity_file.unlink()
    with pytest.raises(DamagedError, match="does not say of which block"):
        folder.identity()
    folder.recipe_file.write_text(with_comment)
    assert folder.identity() == (trial.block, trial.data)


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: text.replace('"block": ', '"block": 1')])
def test_a_damaged_identity_is_found_set_aside_and_written_again(tmp_path, trial, damage):
    folder = Store(tmp_path).folder(trial.fingerprint)
    folder.order(trial)
    whole = folder.identity_file.read_text()
    folder.identity_file.write_text(damage(whole))
    with pytest.raises(DamagedError, match=r"trial\.json"):
        folder.ordered()
    assert [problem.path for problem in problems(Store(tmp_path))] == [folder.identity_file]
    folder.order(trial)
    assert folder.identity_file.read_text() == whole
    assert folder.set_aside() == {"trial.json.damaged-1"}
    folder.identity_file.write_text(damage(whole))
    (said,) = set_damage_aside(folder)
    assert said.endswith("It was set aside as trial.json.damaged-2.")
