"""Crashes, full disks, power losses and damage: nothing lost, nothing twice, nothing wrong."""

import errno

import checks
import numpy as np
import pytest


def test_a_crash_at_every_call_costs_nothing(sound, folder):
    """At the end there are the bytes of an uninterrupted study, wherever it died."""
    assert len(sound.calls) > 50
    assert checks.after_crashes(folder, sound.truth, [(point,) for point in range(len(sound.calls))]) == []


def test_crash_after_crash_costs_nothing(sound, folder, long):
    """What an attempt finds of its dead predecessors must not make it go wrong in its turn."""
    generator = np.random.default_rng(2)
    cases = generator.integers(len(sound.calls), size=(2000 if long else 60, 3)).tolist()
    assert checks.after_crashes(folder, sound.truth, cases) == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_fails_is_one_clear_error_at_each_kind_of_write(sound, folder, error, long):
    """The message names the path; earlier results stay; the same command goes on once there is room."""
    every = 1 if long or error == errno.ENOSPC else 9
    points = [n for n, call in enumerate(sound.calls) if call.name != "unlink" and last_kind(sound.calls, n)][::every]
    assert checks.after_a_full_disk(folder, sound.truth, points, error) == []


def last_kind(calls, number):
    """Whether some call from this one on is of a kind that can fail."""
    return any(call.name not in ("unlink", "ftruncate") for call in calls[number:])


def test_a_power_loss_at_any_moment_costs_no_finished_trial_and_shows_no_wrong_number(sound, folder, long):
    for seed in range(20 if long else 2):
        wrong, states = checks.after_a_power_loss(folder, sound.truth, sound.calls, seed)
        assert states > 60
        assert wrong == []


def files_of(root):
    (trial,) = (root / "trials").iterdir()
    (study,) = (root / "studies").iterdir()
    names = ("result.json", "epochs.jsonl", "recipe.yaml", "predictions.npz", "model.safetensors", "timings.jsonl")
    return [trial / name for name in names] + [study / "study.yaml"]


def flips(files, count, seed):
    """Pairs of a file and its bytes with one bit turned over, spread evenly over the files' bits."""
    generator = np.random.default_rng(seed)
    wholes = [file.read_bytes() for file in files]
    sizes = np.array([len(whole) for whole in wholes])
    for place in generator.integers(sizes.sum() * 8, size=count).tolist():
        byte, bit = divmod(place, 8)
        number = int(np.searchsorted(np.cumsum(sizes), byte, side="right"))
        data = bytearray(wholes[number])
        data[byte - int(sizes[:number].sum())] ^= 1 << bit
        yield files[number], bytes(data)


def test_a_file_cut_anywhere_shows_a_gap_and_never_a_wrong_number(sound, long):
    damages = [
        (file, whole[:length])
        for file in files_of(sound.root)
        for whole in [file.read_bytes()]
        for length in range(0, len(whole), 1 if long else 3)
    ]
    wrong, _ = checks.after_damage(sound.root, damages)
    assert wrong == []


def test_a_flipped_bit_shows_a_gap_and_never_a_wrong_number(sound, long):
    count = 20_000 if long else 2000
    wrong, silent = checks.after_damage(sound.root, flips(files_of(sound.root), count, seed=1))
    assert wrong == []
    assert set(silent) <= {"timings.jsonl", "result.json"}, "only timings and white space may change unseen"
    assert silent["result.json"] < count / 50


@pytest.mark.parametrize("name", ["result.json", "epochs.jsonl", "recipe.yaml", "predictions.npz", "model.safetensors"])
def test_what_was_damaged_is_trained_anew_to_the_same_bytes(sound, name):
    (trial,) = (sound.root / "trials").iterdir()
    data = bytearray((trial / name).read_bytes())
    data[len(data) // 2] ^= 4
    (trial / name).write_bytes(data)
    assert checks.rerun(sound.root, sound.truth, name) == []
    for aside in trial.glob("*.damaged-*"):
        aside.unlink()


def test_two_processes_never_train_one_trial(folder):
    assert checks.two_at_once(folder) == 1
