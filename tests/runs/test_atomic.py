"""A reader finds the old file or the new one, never a part."""

import os
from pathlib import Path

import pytest

from eailab.errors import DamagedError, StoreError
from eailab.runs import atomic


def test_a_file_is_written_whole_in_folders_that_are_made(tmp_path):
    file = tmp_path / "a" / "b" / "file.bin"
    atomic.write_bytes(file, b"content")
    assert file.read_bytes() == b"content"
    assert [path.name for path in file.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch, call):
    """A full disk must not cost what was there."""
    file = tmp_path / "file.txt"
    atomic.write_text(file, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync" if call == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(StoreError, match="No space left on device"):
        atomic.write_text(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_files_written_together_are_whole_or_as_they_were(tmp_path, monkeypatch, call):
    """Each is flushed, by a thread of its own, and then its name; one that fails leaves no litter of the others."""
    names = ("trial.json", "recipe.yaml", "epochs.jsonl")
    flushed = []
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", flushed.append)
        atomic.write_together({tmp_path / "trial" / name: name.encode() for name in names})
    assert {path.name: path.read_text() for path in (tmp_path / "trial").iterdir()} == {name: name for name in names}
    assert len(flushed) == 3 + 2  # the folder once, and the one in which it was made

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync" if call == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(StoreError, match="No space left on device"):
        atomic.write_together({tmp_path / "trial" / name: b"new" for name in names})
    assert {path.name: path.read_text() for path in (tmp_path / "trial").iterdir()} == {name: name for name in names}


def test_a_link_put_in_place_of_the_file_is_replaced_not_followed(tmp_path):
    """Writing a result must not change a file elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    link = tmp_path / "result.json"
    link.symlink_to(elsewhere)
    atomic.write_text(link, "new")
    assert elsewhere.read_text() == "precious"
    assert not link.is_symlink()


def test_an_append_does_not_follow_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / "timings.jsonl").symlink_to(elsewhere)
    with pytest.raises(StoreError, match=r"timings.jsonl"):
        atomic.append_bytes(tmp_path / "timings.jsonl", b"line\n")
    assert elsewhere.read_text() == "precious"


def test_an_append_that_fails_has_added_nothing(tmp_path, monkeypatch):
    file = tmp_path / "epochs.jsonl"
    atomic.append_bytes(file, b"one\n")

    def half(descriptor, data, write=os.write):
        if len(data) < 4:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StoreError):
        atomic.append_bytes(file, b"two\n")
    assert file.read_bytes() == b"one\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="runs"):
        atomic.write_text(tmp_path / "runs" / "x", "")


def test_what_is_published_is_not_written_over_anything_but_a_file(tmp_path):
    """A pipe in its place is named, and not waited for."""
    os.mkfifo(tmp_path / "report.html")
    with pytest.raises(DamagedError, match=r"report\.html is a pipe"):
        atomic.write_changed(tmp_path / "report.html", b"page")


def test_a_file_that_holds_these_bytes_already_is_left_alone(tmp_path):
    """What was published stays as it was, its time too."""
    file = tmp_path / "report.html"
    atomic.write_changed(file, b"one")
    before = file.stat().st_ino
    atomic.write_changed(file, b"one")
    assert file.stat().st_ino == before
    atomic.write_changed(file, b"two")
    assert file.read_bytes() == b"two"


def test_what_is_set_aside_keeps_its_bytes_beside_what_was_set_aside_before(tmp_path):
    file = tmp_path / "result.json"
    for number in (1, 2, 3):
        file.write_text(f"damage {number}")
        aside = atomic.set_aside(file)
        assert aside == tmp_path / f"result.json.damaged-{number}"
        assert aside.read_text() == f"damage {number}"
    assert not file.exists()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux lists a process's open files")
def test_no_file_is_left_open(tmp_path):
    """A study reads and writes thousands."""
    before = set(Path("/proc/self/fd").iterdir())
    atomic.write_bytes(tmp_path / "a" / "file", b"x")
    atomic.append_bytes(tmp_path / "a" / "file", b"y")
    atomic.rename(tmp_path / "a" / "file", tmp_path / "a" / "other")
    assert set(Path("/proc/self/fd").iterdir()) <= before
