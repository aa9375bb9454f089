"""A store or a recipe from a stranger: refused with a clear error, and nothing outside the run folder is touched."""

import io
import itertools
import json
import os
import pickle
import shutil
import string
import tarfile
import time
from hashlib import sha256

import numpy as np
import pytest
from checks import digits, rerun
from faulty_disk import TINY, run, tiny_study

from eailab import files
from eailab.data.fetch import fetch
from eailab.data.published import CIFAR10
from eailab.errors import DamagedError, DataError, StoreError
from eailab.runs import records
from eailab.runs.context import RunContext
from eailab.runs.lock import LOCAL_NAME
from eailab.runs.store import NAME, quarantine, verify
from eailab.studies.storage import CHECKSUM


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


@pytest.fixture
def copy(sound, folder):
    """A copy of the finished study, to be tampered with."""
    shutil.copytree(sound.root, folder / "runs")
    return folder / "runs"


ARGUMENTS = [word for key, value in TINY["numpy"][1].items() for word in ("-o", f"{key}={value}")] + [
    "--recipe",
    TINY["numpy"][0],
]
"""What makes the study of the suite on a command line."""


def trial_of(root):
    (name,) = RunContext(root).store.trial_names()
    return RunContext(root).store.folder(name)


def forge(trial, **changes):
    """Change a result and seal it again."""
    record = json.loads(trial.result_file.read_text())
    del record["checksum"]
    record |= changes
    record["checksum"] = records.seal(record)
    trial.result_file.write_text(json.dumps(record))


@pytest.mark.parametrize("name", ["result.json", "model.safetensors", "predictions.npz", "epochs.jsonl", "recipe.yaml"])
def test_a_pickle_in_place_of_any_file_is_not_opened(sound, copy, folder, name):
    payload = pickle.dumps(Payload(folder / "owned"))
    trial = trial_of(copy)
    (trial.path / name).write_bytes(payload)
    with pytest.raises(DamagedError):
        verify(trial)
    assert rerun(copy, sound.truth, name) == []
    assert not (folder / "owned").exists()


def test_a_pickle_in_place_of_a_checkpoint_is_set_aside(sound, copy, folder):
    trial = trial_of(copy)
    trial.result_file.unlink()
    trial.checkpoint_file.write_bytes(pickle.dumps(Payload(folder / "owned")))
    assert rerun(copy, sound.truth, "checkpoint") == []
    assert not (folder / "owned").exists()
    assert trial.checkpoint_file.with_name("checkpoint.safetensors.damaged-1").exists()


def test_objects_among_the_predictions_are_not_unpickled_even_if_the_seal_is_right(copy, folder):
    trial, buffer = trial_of(copy), io.BytesIO()
    np.savez(buffer, validation=np.array([Payload(folder / "owned")], dtype=object), test=np.zeros(1))
    trial.predictions_file.write_bytes(buffer.getvalue())
    files = json.loads(trial.result_file.read_text())["files"]
    forge(trial, files=files | {"predictions.npz": sha256(buffer.getvalue()).hexdigest()})
    with pytest.raises(DamagedError, match=r"predictions\.npz"):
        trial.predictions()
    assert not (folder / "owned").exists()


def test_predictions_that_would_fill_the_memory_are_refused(copy, monkeypatch):
    monkeypatch.setattr(files, "PREDICTIONS", files.Kind(10_000, folders=2))
    trial, buffer = trial_of(copy), io.BytesIO()
    np.savez_compressed(buffer, validation=np.zeros(10**6, np.uint8), test=np.zeros(1))
    assert buffer.tell() < 10_000
    trial.predictions_file.write_bytes(buffer.getvalue())
    with pytest.raises(DamagedError, match="too large"):
        trial.predictions()


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**5, "1" * 10**6, "NaN", "\x00", '"\\ud800"', "\ufeff{}"])
def test_a_result_that_is_meant_to_choke_its_reader_is_damaged(copy, text):
    trial = trial_of(copy)
    trial.result_file.write_text(text)
    with pytest.raises(DamagedError, match=r"result\.json"):
        trial.result()


def test_a_giant_result_is_not_read(copy):
    trial = trial_of(copy)
    with trial.result_file.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DamagedError, match="bytes"):
        trial.result()


@pytest.mark.parametrize("name", ["result.json", "epochs.jsonl", "recipe.yaml", "model.safetensors", "predictions.npz"])
def test_a_link_in_place_of_a_file_is_neither_followed_nor_written_through(sound, copy, folder, name):
    trial, outside = trial_of(copy), folder / "outside"
    (trial.path / name).rename(outside)  # even the right bytes are not taken from elsewhere
    before = outside.read_bytes()
    (trial.path / name).symlink_to(outside)
    with pytest.raises(DamagedError, match=name):
        trial.result()
    assert rerun(copy, sound.truth, name) == []
    assert outside.read_bytes() == before


def test_links_in_place_of_folders_and_appended_files_stop_the_study(copy, folder):
    outside = folder / "outside"
    outside.mkdir()
    trial = trial_of(copy)
    shutil.rmtree(trial.path)
    trial.path.symlink_to(outside)
    with pytest.raises(StoreError, match="is a link"):
        run(copy)
    trial.path.unlink()
    trial.path.mkdir()
    trial.timings_file.symlink_to(outside / "file")
    with pytest.raises(AssertionError, match=r"timings\.jsonl is a link"):
        run(copy)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("place", ["trials", "trials/*", "studies", "studies/*", "studies/*/figures"])
def test_nothing_is_written_or_renamed_through_a_link_in_place_of_a_folder(eailab, sound, copy, folder, place):
    """Not even a damaged result, which would be set aside where it belongs to somebody else."""
    damaged = trial_of(copy).result_file
    damaged.write_text("nothing that eailab wrote")
    (copy / "studies" / study_of(copy).name / "figures").mkdir(exist_ok=True)
    (victim,) = copy.glob(place)
    victim.rename(folder / "outside")
    before = contents(folder / "outside")
    victim.symlink_to(folder / "outside")
    ended = eailab("train-mlp", *ARGUMENTS, "--runs", copy)
    assert ended.code == 1
    assert f"{victim} is a link" in ended.err
    assert "Traceback" not in ended.err
    assert contents(folder / "outside") == before


def test_a_report_copies_no_file_that_a_link_leads_to(copy, folder):
    """A report is handed on: what a stranger's link leads to would be handed on with it."""
    from eailab.report.write import write_report, write_study

    context, study, secret = RunContext(copy), study_of(copy), folder / "id_rsa"
    write_study(context.store, study)
    secret.write_text("PRIVATE KEY")
    (study / "figures" / "curves.png").unlink()
    (study / "figures" / "curves.png").symlink_to(secret)
    report = write_report([study], folder / "out", formats=["markdown"])
    assert "curves.png is a link" in report.notes[0]
    assert b"PRIVATE KEY" not in b"".join(contents(folder / "out").values())
    assert len(list((folder / "out").rglob("*.png"))) == 1
    with pytest.raises(DamagedError, match=r"curves\.png is a link"):
        write_study(context.store, study)


def test_a_lock_that_is_a_link_does_not_empty_its_target(copy, folder):
    trial, outside = trial_of(copy), folder / "outside"
    outside.write_text("precious")
    trial.result_file.unlink()
    (trial.path / LOCAL_NAME).unlink(missing_ok=True)
    (trial.path / LOCAL_NAME).symlink_to(outside)
    with pytest.raises(StoreError, match=r"cannot be used"):
        run(copy)
    assert outside.read_text() == "precious"


def test_a_quarantine_that_is_a_link_takes_nothing(copy, folder):
    outside = folder / "outside"
    outside.mkdir()
    (copy / "quarantine").symlink_to(outside)
    with pytest.raises(StoreError, match="is a link"):
        quarantine(RunContext(copy).store, trial_of(copy).path)
    assert list(outside.iterdir()) == []


def contents(root):
    """Every file below a folder, with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def study_of(root):
    (study,) = (root / "studies").iterdir()
    return study


def test_names_of_files_cannot_command_the_terminal(eailab, tmp_path):
    """An error quotes them: escapes that would colour the screen, set its title or clear it are shown, not sent."""
    for part, name in itertools.product(("train", "test"), ("cat", "dog")):
        folder = tmp_path / "images" / part / name
        folder.mkdir(parents=True)
        (folder / "\x1b]0;owned\x07\x1b[2J.png").write_bytes(b"no image")
    for command in (("data", "check"), ("train-mlp", "--recipe", "digits-mlp", "-o")):
        prefix = "data.name=" if command[-1] == "-o" else ""
        ended = eailab(*command, f"{prefix}{tmp_path / 'images'}/")
        assert ended.code == 2
        assert "owned" in ended.err
        assert not {"\x1b", "\x07"} & set(ended.out + ended.err)


def test_a_level_is_a_value_and_never_a_path_that_is_written(eailab, tmp_path):
    """Nor a word of a command: what no recipe can hold is refused before anything is made."""
    for level in ("../../escape", "$(touch owned)", "`touch owned`; touch owned", "\x1b[2J"):
        ended = eailab("ablate", "activation", "relu", level, "--recipe", "digits-mlp", "--seeds", 1)
        assert ended.code == 2
        assert "\x1b" not in ended.out + ended.err
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.REGTYPE])
def test_an_archive_that_leads_out_of_its_folder_is_not_unpacked(tmp_path, monkeypatch, kind):
    """Put in place of CIFAR-10's: it has not the published checksum, and the network is asked instead."""

    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("eailab.data.fetch.urlopen", no_network)
    data = tmp_path / "data"
    data.mkdir()
    with tarfile.open(data / "cifar-10-python.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("../owned")
        member.type, member.linkname, member.size = kind, "/etc/passwd", 0
        archive.addfile(member)
    with pytest.raises(DataError, match="no network"):
        fetch(CIFAR10, data)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_named_pipe_does_not_make_the_reader_wait(copy):
    trial = trial_of(copy)
    trial.epochs_file.unlink()
    os.mkfifo(trial.epochs_file)
    with pytest.raises(DamagedError, match=r"epochs\.jsonl"):
        trial.result()


@pytest.mark.parametrize("name", ["../../../../etc", "/etc", "..", "", "a" * 21, "A" * 20, "0" * 19 + "\n"])
def test_a_study_cannot_name_trials_outside_the_store(copy, name):
    from eailab.findings.study import study_findings
    from eailab.studies.storage import read_record

    (file,) = copy.glob("studies/*/study.yaml")
    body = file.read_text().rpartition(CHECKSUM)[0].replace(trial_of(copy).path.name, json.dumps(name)[1:-1])
    file.write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")
    with pytest.raises(StoreError):
        study_findings(RunContext(copy).store, read_record(file.parent))


def test_a_study_of_nested_aliases_is_refused_at_once(copy):
    from eailab.studies.storage import read_record

    (file,) = copy.glob("studies/*/study.yaml")
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(f'*{a}' for _ in range(9))}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    )
    body = f"schema_version: 1\n{bomb}name: *j\n"
    file.write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")
    began = time.process_time()
    with pytest.raises(StoreError, match=r"study\.yaml"):
        read_record(file.parent)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "$(touch owned)", "`id`; rm -rf .", "\x1b]0;x\x07", "a\u202eb", "/"]
)
def test_names_become_folders_below_the_store_only(folder, name):
    """A recipe's name is free text; what is written lies below the runs folder all the same."""
    from dataclasses import replace

    study = replace(tiny_study(), name=name)
    before = set(folder.parent.iterdir())
    run(folder / "runs", study)
    assert {path.name for path in folder.iterdir()} == {"runs"}
    assert set(folder.parent.iterdir()) == before
    (written,) = (folder / "runs" / "studies").iterdir()
    assert set(written.name) <= set(string.ascii_letters + string.digits + "-_")


def test_a_trials_name_is_of_its_recipe_block_and_data_alone():
    """So no text of a recipe can choose the folder that a trial is written to."""
    (trial,) = tiny_study().trials([digits()]).values()
    assert NAME.fullmatch(trial.fingerprint)
