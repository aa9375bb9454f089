"""A suite that cannot fail proves nothing: each guard is taken away once, and the suite has to notice."""

import os
from contextlib import contextmanager

import checks
import pytest
import texts
from checks import SMALL_STUDY
from test_disk import files_of, flips

from eailab.errors import DamagedError
from eailab.recipe.load import load as load_recipe
from eailab.report import figure_files
from eailab.runs import atomic, checkpoint, lock, training, trial_folder
from eailab.runs.records import Result
from eailab.studies import sharing


class OsWithout:
    """The module `os`, with some of its functions doing nothing."""

    def __init__(self, **replaced):
        self.replaced = replaced

    def __getattr__(self, name):
        return self.replaced[name] if name in self.replaced else getattr(os, name)


def every_call(sound):
    return [(point,) for point in range(len(sound.calls))]


def test_without_flushing_a_power_loss_is_seen_to_cost_finished_trials(folder, monkeypatch):
    monkeypatch.setattr(atomic, "os", OsWithout(fsync=lambda _: None))
    root = folder / "sound"
    found, calls = checks.count_calls(root)
    truth = {"bytes": found, "value": checks.value_or_gap(root)}
    wrong, _ = checks.after_a_power_loss(folder, truth, calls, seed=0, first=len(calls), sought="lost")
    assert any("lost" in one for one in wrong)


def test_without_flushing_the_folder_a_power_loss_is_seen_to_cost_finished_trials(folder, monkeypatch):
    """A file's bytes are safe on the disk, and its name is not."""
    monkeypatch.setattr(atomic, "flush_folder", lambda _: None)
    root = folder / "sound"
    found, calls = checks.count_calls(root)
    truth = {"bytes": found, "value": checks.value_or_gap(root)}
    wrong, _ = checks.after_a_power_loss(folder, truth, calls, seed=0, first=len(calls), sought="lost")
    assert any("lost" in one for one in wrong)


def test_without_a_rename_crashes_are_seen_to_leave_halves(sound, folder, monkeypatch):
    """Files written in place are half there after a crash."""

    def write_in_place(path, data):
        atomic.make_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    monkeypatch.setattr(atomic, "write_bytes", write_in_place)
    monkeypatch.setattr(checkpoint, "write_bytes", write_in_place)
    wrong, _ = checks.after_crashes(folder, sound.truth, every_call(sound), sought="damaged")
    assert any("damaged" in one for one in wrong)


def unchecked_result(self):
    """Read a result as it is, as a store without checksums would."""
    import json

    try:
        record = json.loads(self.result_file.read_text())
    except FileNotFoundError:
        return None
    return record, Result.read(record)


def test_without_checksums_flipped_bits_are_seen_to_give_wrong_numbers(sound, monkeypatch):
    monkeypatch.setattr(trial_folder.TrialFolder, "recorded", unchecked_result)
    recorded = lambda file, _: trial_folder.TrialFolder(file.parent).record()["files"].get(file.name)  # noqa: E731
    monkeypatch.setattr("eailab.files.sha256", recorded)
    wrong, _ = checks.after_damage(sound.root, flips(files_of(sound.root), 2000, seed=1), "a wrong number")
    assert any("a wrong number" in one for one in wrong)


def test_without_the_checksum_of_a_state_a_flipped_bit_is_seen_to_be_taken_up(tmp_path, monkeypatch):
    import numpy as np

    monkeypatch.setattr(checkpoint, "_sha256", lambda *_: "always the same")
    file = tmp_path / "c.safetensors"
    checkpoint.save(file, {"w": np.ones(8, np.float32)}, epoch="3")
    data = bytearray(file.read_bytes())
    data[-1] ^= 64
    file.write_bytes(data)
    try:
        arrays, _ = checkpoint.load(file)
    except DamagedError:
        arrays = {"w": np.ones(8, np.float32)}
    assert not np.array_equal(arrays["w"], np.ones(8))


def test_without_a_lock_two_processes_are_seen_to_train_one_trial(folder, monkeypatch):
    @contextmanager
    def hold_nothing(path):
        path.mkdir(parents=True, exist_ok=True)
        yield lambda: None

    monkeypatch.setattr(lock, "hold", hold_nothing)
    assert checks.two_at_once(folder) > 1


def test_without_remembering_what_was_watched_a_dead_hosts_lease_is_seen_to_stay(tmp_path):
    """As where each try begins to watch from the start."""

    class Forgetful(dict):
        def setdefault(self, _, value):
            return value

    now = iter(range(0, 10_000, 10))
    (tmp_path / lock.SHARED_NAME).write_text("of a host that has died")
    for watched, is_stuck in ((Forgetful(), True), ({}, False)):
        machine = lock.Machine("host", lambda: float(next(now)), is_shared=lambda _: True, watched=watched)
        assert all(lock.is_held(tmp_path, machine) for _ in range(20)) is is_stuck


def test_without_cutting_the_epochs_back_a_resumed_trial_is_seen_to_repeat_them(sound, folder, monkeypatch):
    begin = trial_folder.TrialFolder.begin

    def begin_without_cutting(self, trial, first_epoch):
        epochs = self.epochs_file.read_bytes() if self.epochs_file.exists() else b""
        begin(self, trial, first_epoch)
        self.epochs_file.write_bytes(epochs)

    monkeypatch.setattr(trial_folder.TrialFolder, "begin", begin_without_cutting)
    sought = "are not the epochs 1 to"
    wrong, _ = checks.after_crashes(folder, sound.truth, every_call(sound)[::3], sought=sought)
    assert any(sought in one for one in wrong), "such a trial gets no result"
    monkeypatch.setattr(trial_folder.TrialFolder, "check_epochs", lambda *_: None)
    wrong, _ = checks.after_crashes(folder, sound.truth, every_call(sound)[::3], sought="epochs.jsonl differs")
    assert any("epochs.jsonl differs" in one for one in wrong)


def test_without_resuming_from_the_right_state_the_bytes_are_seen_to_differ(sound, folder, monkeypatch):
    from eailab.engines.numpy_mlp.engine import MlpEngine

    monkeypatch.setattr(MlpEngine, "load_state", lambda self, state: None)
    wrong, _ = checks.after_crashes(folder, sound.truth, every_call(sound), sought="model.safetensors differs")
    assert any("model.safetensors differs" in one for one in wrong)


def test_without_the_epochs_in_a_checkpoint_a_damaged_line_is_seen_to_cost_training(folder, monkeypatch):
    load = checkpoint.load

    def load_without_epochs(path):
        arrays, facts = load(path)
        arrays.pop(trial_folder.CARRIED)
        return arrays, facts

    monkeypatch.setattr(checkpoint, "load", load_without_epochs)
    ((wrong,), _) = checks.after_a_damaged_epoch(folder / "runs", folder / "quiet")
    assert wrong.startswith("it went on after epoch 0: its checkpoint is of epoch 3, step ")
    assert wrong.endswith("and epochs.jsonl lacks epochs before that.")


def test_without_a_lock_on_the_study_two_commands_are_seen_to_lose_blocks(folder, monkeypatch):
    @contextmanager
    def hold_nothing(path):
        path.mkdir(parents=True, exist_ok=True)
        yield lambda: None

    monkeypatch.setattr(sharing, "hold", hold_nothing)
    assert checks.two_merges_at_once(folder) in {(0, 1, 2), (0, 3)}


def test_without_merging_two_commands_are_seen_to_lose_blocks(folder, monkeypatch):
    monkeypatch.setattr(sharing, "_merged", lambda planned, *_: planned.record)
    assert checks.two_merges_at_once(folder) in {(0, 1, 2), (0, 3)}


def test_without_a_seat_a_running_commands_blocks_are_seen_to_leave(folder, monkeypatch):
    monkeypatch.setattr(sharing, "is_held", lambda seat: False)
    assert checks.two_merges_at_once(folder) in {(0, 1, 2), (0, 3)}


def test_a_plan_that_sets_damage_aside_is_seen_to_write(small_store, eailab, monkeypatch, forked):
    result = trial_folder.TrialFolder.result

    def result_or_aside(self, *, thorough=True):
        try:
            return result(self, thorough=thorough)
        except DamagedError:
            atomic.set_aside(self.result_file)
            raise

    checks.damage_of_every_kind(small_store)
    monkeypatch.setattr(trial_folder.TrialFolder, "result", result_or_aside)
    changed = checks.changed_by(eailab, small_store, [("runs", "list"), ("ablate", *SMALL_STUDY, "--dry-run")])
    assert list(changed) == ["ablate"]


@pytest.mark.draws
def test_without_their_checksums_damaged_figures_are_seen_to_be_handed_on(small_store, eailab, monkeypatch):
    monkeypatch.setattr(figure_files, "_whole", lambda folder, name, _: (folder / "figures" / name).read_bytes())
    copied, left = checks.damaged_figures_handed_on(eailab, small_store)
    assert (len(copied), len(left)) == (3, 6)  # a report has PNG alone


def test_an_aside_that_is_not_said_or_of_another_file_is_seen(sound, folder, monkeypatch):
    import shutil

    def set_the_result_aside(trial):
        atomic.set_aside(trial.result_file)
        return []

    shutil.copytree(sound.root, folder / "runs")
    monkeypatch.setattr(training, "set_damage_aside", set_the_result_aside)
    wrong = checks.after_one_damage(folder / "runs", sound.truth, "epochs.jsonl", checks.flip_half)
    assert [one.partition(":")[0] for one in wrong] == ["set aside", "said"]


@pytest.mark.parametrize(
    ("reader", "seen"),
    [
        (lambda _: bytearray(b"x") * (250 * 2**20), r"2\d\d MB for b'a: 1'"),
        (lambda _: sum(range(10**6)), r"0\.\d\d s for b'a: 1'"),
        (lambda _: {}["a bug"], "a bug"),
        (lambda _: load_recipe("no-such-recipe"), "the file is not named"),
    ],
)
def test_a_reader_of_recipes_that_swells_dawdles_or_fails_is_seen(tmp_path, monkeypatch, reader, seen):
    monkeypatch.setattr(texts, "load", reader)
    with pytest.raises((AssertionError, KeyError), match=seen):
        texts.Judge(tmp_path / "recipe.yaml", most_seconds=0.005 if "s for" in seen else 1.0)(b"a: 1")


def test_without_deriving_what_a_result_must_say_a_lie_is_seen_to_pass(sound, folder, monkeypatch):
    """Sealed again, it holds all its checksums."""
    import shutil

    from test_malice import forge, trial_of

    from eailab.runs import store

    shutil.copytree(sound.root, folder / "runs")
    trial = trial_of(folder / "runs")
    forge(trial, parameters=1)
    with pytest.raises(DamagedError, match="1 parameters"):
        store.verify(trial)
    monkeypatch.setattr(store, "contradictions", lambda *_: ())
    store.verify(trial)
