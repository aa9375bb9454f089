"""Crashes, full disks, power losses and damage: nothing lost, nothing twice, nothing wrong."""

import errno

import checks
import numpy as np
import pytest
from faulty_disk import tiny_study


def test_every_change_of_the_disk_is_a_call_that_the_suite_can_stop_at(folder):
    """Else a file could be written that no crash, full disk or loss of power here ever meets."""
    root = folder / "watched"
    _, calls = checks.count_calls(root)
    assert checks.unseen_changes(root, calls) == []
    (root / "by-the-way").write_text("unseen")
    assert checks.unseen_changes(root, calls) == [str(root / "by-the-way")]


def test_a_crash_at_every_call_costs_nothing(sound, folder, tally):
    """At the end there are the bytes of an uninterrupted study, wherever it died."""
    assert len(sound.calls) > 50
    points = [(point,) for point in range(len(sound.calls))]
    assert checks.after_crashes(folder, sound.truth, points) == ([], len(points))
    tally("crashes of the numpy engine", calls=len(sound.calls), crashes=len(points), wrong=0)


def test_a_crash_of_the_torch_engine_costs_nothing(folder, long, tally):
    study, root = tiny_study("torch"), folder / "sound"
    found, calls = checks.count_calls(root, study)
    truth = {"bytes": found, "value": checks.value_or_gap(root)}
    points = [(point,) for point in range(len(calls))]
    points = points if long else points[20::30]
    assert checks.after_crashes(folder, truth, points, study) == ([], len(points))
    tally("crashes of the torch engine", calls=len(calls), crashes=len(points), wrong=0)


def test_crash_after_crash_costs_nothing(sound, folder, long, tally):
    """What an attempt finds of its dead predecessors must not make it go wrong in its turn."""
    generator = np.random.default_rng(2)
    cases = generator.integers(len(sound.calls), size=(2000 if long else 25, 3)).tolist()
    wrong, crashes = checks.after_crashes(folder, sound.truth, cases)
    assert wrong == []
    assert crashes > 1.5 * len(cases)
    tally("crash after crash", studies=len(cases), crashes=crashes, wrong=0)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_fails_is_one_clear_error_at_each_kind_of_write(sound, folder, error, long, tally):
    """The message names the path; earlier results stay; the same command continues once there is room."""
    every = 1 if long or error == errno.ENOSPC else 9
    points = [n for n, call in enumerate(sound.calls) if call.name != "unlink" and last_kind(sound.calls, n)][::every]
    assert checks.after_a_full_disk(folder, sound.truth, points, error) == []
    tally(f"a disk that fails with {errno.errorcode[error]}", points=len(points), wrong=0)


def last_kind(calls, number):
    """Whether some call from this one on is of a kind that can fail."""
    return any(call.name not in ("unlink", "ftruncate") for call in calls[number:])


def test_a_power_loss_at_any_moment_costs_no_finished_trial_and_shows_no_wrong_number(sound, folder, long, tally):
    met = 0
    for seed in range(20 if long else 1):
        wrong, states = checks.after_a_power_loss(folder, sound.truth, sound.calls, seed)
        met += states
        assert states > 60
        assert wrong == []
    tally("states of the disk after a loss of power", states=met, lost=0, wrong=0)


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


def test_a_file_cut_anywhere_shows_a_gap_and_never_a_wrong_number(sound, long, tally):
    damages = [
        (file, whole[:length])
        for file in files_of(sound.root)
        for whole in [file.read_bytes()]
        for length in range(0, len(whole), 1 if long else 9)
    ]
    wrong, silent = checks.after_damage(sound.root, damages)
    assert wrong == []
    tally("files cut", cuts=len(damages), harmless=silent.total(), wrong=0)


def test_a_flipped_bit_shows_a_gap_and_never_a_wrong_number(sound, long, tally):
    count = 20_000 if long else 700
    wrong, silent = checks.after_damage(sound.root, flips(files_of(sound.root), count, seed=1))
    assert wrong == []
    assert set(silent) <= {"timings.jsonl", "result.json"}, "only timings and white space may change unseen"
    assert silent["result.json"] < count / 50
    tally("bits flipped", flips=count, harmless=silent.total(), wrong=0)


def test_two_processes_never_train_one_trial(folder):
    assert checks.two_at_once(folder) == 1
