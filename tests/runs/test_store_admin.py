"""What lies in a store is told as it is, and what does not hold is moved, not lost."""

import json
import os
import shutil
from hashlib import sha256

import pytest

from eailab.data.registry import load as load_data
from eailab.errors import DamagedError, StoppedError, StoreError, UsageError
from eailab.recipe.load import Override, load
from eailab.runs.context import EpochEnded, RunContext
from eailab.runs.store import QUARANTINE, Store, problems, quarantine, remove, summary, verify
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial, identity_text


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store with one finished trial, to be copied."""
    root = tmp_path_factory.mktemp("finished")
    run_trial(make(0), RunContext(root))
    return root


@pytest.fixture
def store(tmp_path, finished):
    shutil.copytree(finished, tmp_path / "runs")
    return Store(tmp_path / "runs")


def make(block, *changes):
    small = [("epochs", 3), ("model.hidden", [8]), ("name", "a name: with colon"), *changes]
    recipe = load("digits-mlp", [Override(path, value, "-o") for path, value in small]).recipe
    return Trial(recipe, block, load_data("digits").fingerprint)


def stop_early(trial, store):
    events = []
    context = RunContext(store.root, on_event=events.append, should_stop=lambda: EpochEnded in map(type, events))
    with pytest.raises(StoppedError):
        run_trial(trial, context)


def folders(store):
    return list(map(store.folder, store.trial_names()))


def only(store):
    (folder,) = folders(store)
    return folder


def test_trials_are_listed_with_state_epochs_recipe_block_and_device(store):
    stop_early(make(7), store)
    listed = {one.block: one for one in map(summary, folders(store))}
    assert (listed[0].state, listed[0].epochs, listed[0].planned, listed[0].device) == ("finished", 3, 3, "cpu")
    assert (listed[7].state, listed[7].epochs, listed[7].planned, listed[7].device) == ("stopped", 1, 3, None)
    assert {one.recipe for one in listed.values()} == {"a name: with colon"}


def test_a_trial_in_training_is_told_from_one_that_was_stopped(store):
    trial = make(1)
    stop_early(trial, store)
    folder = store.folder(trial.fingerprint)
    with store.folder(trial.fingerprint).lock():
        assert summary(folder).state == "training"
    assert summary(folder).state == "stopped"


def test_a_damaged_result_is_listed_as_damaged_with_the_reason(store):
    only(store).result_file.write_text("{")
    one = summary(only(store))
    assert one.state == "damaged"
    assert "result.json" in one.problem


def test_a_recipe_that_is_no_text_spoils_no_list(store):
    only(store).recipe_file.write_bytes(b"name: \xff\xfe\n")
    one = summary(only(store))
    assert one.recipe == "\ufffd\ufffd"


def test_only_trials_of_the_store_are_removed(store, tmp_path):
    folder = only(store)
    with pytest.raises(UsageError, match="is not a trial of"):
        remove(Store(tmp_path / "another"), folder)
    assert folder.path.exists()


def test_a_sound_store_has_no_problems(store):
    stop_early(make(1), store)
    assert list(problems(store)) == []
    assert list(problems(Store(store.root / "nothing"))) == []


def edit_record(folder, **changes):
    """Change a result and seal it again, as someone would who means to deceive."""
    from eailab.runs import records

    record = json.loads(folder.result_file.read_text())
    del record["checksum"]
    record |= changes
    record["checksum"] = records.seal(record)
    folder.result_file.write_text(json.dumps(record))


def edit_metrics(folder, **changes):
    edit_record(folder, metrics=json.loads(folder.result_file.read_text())["metrics"] | changes)


def forge(folder, file, content):
    """Put other bytes in a file's place, and vouch for them."""
    file.write_bytes(content)
    files = json.loads(folder.result_file.read_text())["files"]
    assert file.name in files
    edit_record(folder, files=files | {file.name: sha256(content).hexdigest()})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: f.epochs_file.unlink(), "epochs.jsonl"),
        (lambda f: f.weights_file.write_bytes(b"\x80\x04."), "model.safetensors"),
        (lambda f: forge(f, f.weights_file, b"\x80\x04."), "model.safetensors"),
        (lambda f: forge(f, f.predictions_file, b"PK"), "predictions.npz"),
        (lambda f: f.recipe_file.write_text("name: other"), "recipe.yaml"),
        (lambda f: f.result_file.write_text("[]"), "result.json"),
        (lambda f: f.result_file.write_text(f.result_file.read_text().replace("{", '{"block": 9,', 1)), "result.json"),
        (lambda f: edit_record(f, block=5), "not named after"),
        (lambda f: edit_record(f, trial="0" * 20), "another trial"),
        (lambda f: edit_record(f, files={"../../../etc/passwd": "0"}), "has checksums of other files"),
        (lambda f: edit_record(f, files={}), "has checksums of other files"),
        (lambda f: edit_record(f, status="<script>"), "not a result"),
        (lambda f: edit_record(f, epochs=2), "has not the epochs 1 to 2"),
        (lambda f: edit_record(f, engine="other"), "the engine is other"),
        (lambda f: edit_record(f, engine_version=2, block=5), "another block"),
        (lambda f: edit_record(f, engine_version=99), "not named after"),
        (lambda f: edit_record(f, parameters=1), "1 parameters"),
        (lambda f: edit_metrics(f, validation_accuracy=0.9999), "final validation scores"),
        (lambda f: edit_metrics(f, train_loss=0.01), "final training scores"),
        (lambda f: edit_metrics(f, test_accuracy=0.99999), "not that of a whole number of"),
        (lambda f: edit_record(f, metrics={}), "not a result"),
        (lambda f: edit_record(f, provenance=[]), "not a result"),
        (
            lambda f: f.identity_file.write_text(identity_text(Trial(f.recipe(), 5, f.record()["data"]))),
            "another block",
        ),
        (lambda f: (f.path / "more").symlink_to("/etc/passwd"), "is a link"),
    ],
)
def test_what_does_not_hold_is_found_even_where_a_seal_was_forged(store, damage, said):
    damage(only(store))
    with pytest.raises(DamagedError, match=said):
        verify(only(store))
    (problem,) = problems(store)
    assert problem.path == only(store).path


def test_a_damaged_checkpoint_of_an_unfinished_trial_is_found(store):
    trial = make(1)
    stop_early(trial, store)
    folder = store.folder(trial.fingerprint)
    data = bytearray(folder.checkpoint_file.read_bytes())
    data[-1] ^= 1
    folder.checkpoint_file.write_bytes(data)
    assert [problem.path for problem in problems(store)] == [folder.path]


def test_files_of_other_programs_are_left_alone(store):
    """Notebooks and file managers leave theirs wherever one looks; a good trial is not moved for them."""
    folder = only(store).path
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "recipe-checkpoint.yaml").write_text("name: x")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (store.root / "trials" / name).touch()
        (folder / name).touch()
    assert list(problems(store)) == []


def test_damaged_lines_of_timings_are_named_and_repaired_without_moving_the_trial(store):
    file = only(store).timings_file
    first, second, third = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second.replace(b'"seconds": ', b'"seconds": 9') + b'{"epoch": 3, "sec\n' + third)
    (problem,) = problems(store)
    assert problem.path == file
    assert "lines 2: 2 of 3 epochs timed" in problem.reason
    moved = quarantine(store, file)
    assert moved.exists()
    assert file.read_bytes() == first + third
    assert list(problems(store)) == []


def test_what_cannot_be_the_file_of_timings_is_named_and_costs_no_trial(store):
    """A sparse file of 40 GB, say; it is found in no time and without memory."""
    file = only(store).timings_file
    os.truncate(file, 40 * 2**30)
    (problem,) = problems(store)
    assert problem.path == file
    assert "at most" in problem.reason
    quarantine(store, file)
    assert list(problems(store)) == []


def test_an_unfinished_trial_whose_epochs_do_not_count_up_is_found(store):
    trial = make(1)
    stop_early(trial, store)
    folder = store.folder(trial.fingerprint)
    folder.epochs_file.write_bytes(folder.epochs_file.read_bytes() * 2)
    with pytest.raises(DamagedError, match="has not the epochs 1 to 2"):
        verify(folder)


def test_what_is_no_trial_is_told(store):
    (store.root / "trials" / "notes.txt").write_text("mine")
    (problem,) = problems(store)
    assert "did not put it there" in problem.reason


def test_quarantine_moves_a_trial_whole_and_twice_over(store):
    folder = only(store)
    before = {file.name: file.read_bytes() for file in folder.path.iterdir() if file.name != ".lock"}
    moved = quarantine(store, folder.path)
    assert moved == store.root / QUARANTINE / f"{folder.path.name}-1"
    assert {file.name: file.read_bytes() for file in moved.iterdir() if file.name != ".lock"} == before
    assert store.trial_names() == []
    folder.path.mkdir()
    assert quarantine(store, folder.path).name.endswith("-2")


def test_a_removed_trial_is_gone_and_nothing_else(store):
    stop_early(make(1), store)
    folder, beside = only_finished(store), store.root / "trials" / "notes.txt"
    beside.write_text("mine")
    remove(store, folder)
    assert not folder.path.exists()
    assert len(store.trial_names()) == 1
    assert beside.read_text() == "mine"
    assert {path.name for path in store.root.iterdir()} == {"trials"}


def only_finished(store):
    return next(folder for folder in folders(store) if summary(folder).state == "finished")


@pytest.mark.parametrize("act", [remove, lambda s, f: quarantine(s, f.path)])
def test_a_trial_in_training_is_neither_removed_nor_moved(store, act):
    folder = only(store)
    with store.folder(folder.path.name).lock(), pytest.raises(StoreError, match="being trained"):
        act(store, folder)
    assert folder.result() is not None


def test_removing_does_not_follow_a_link_out_of_the_store(store, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    folder = only(store)
    (folder.path / "link").symlink_to(precious)
    remove(store, folder)
    assert (precious / "file").read_text() == "kept"
