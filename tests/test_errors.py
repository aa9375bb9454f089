"""What runs out is named in a sentence that says how to get more; a bug stays a bug."""

import errno
import os
import signal
import threading

import pytest

from eailab import files
from eailab.cli.stopping import raising
from eailab.errors import EailabError, MemoryShortageError, StoppedError, shortage_of
from eailab.runs.executors import local


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "ulimit -v"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "ulimit -v"),
        (ImportError("libscipy.so: failed to map segment from shared object"), "ulimit -v"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
    ],
)
def test_a_limit_of_the_system_is_named(error, says):
    said = shortage_of(error)
    assert says in str(said)
    assert "What is finished is kept" in str(said)
    assert said.exit_code == 1
    assert isinstance(said, MemoryShortageError) == (says == "ulimit -v")


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ImportError("no module"), OSError(errno.EACCES, "no"), KeyError()]
)
def test_any_other_error_is_not_a_shortage(error):
    assert shortage_of(error) is None


@pytest.mark.parametrize(("number", "words"), [(errno.EMFILE, "ulimit -n"), (errno.EAGAIN, "cannot be read")])
def test_a_file_that_cannot_be_opened_for_want_of_something_names_that(tmp_path, monkeypatch, number, words):
    """Permission would help with nothing."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(EailabError, match=words):
        files.read(tmp_path / "file", files.STUDY)


@pytest.fixture
def no_threads(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_the_interrupt_of_a_library_that_can_start_no_thread_is_not_a_persons(no_threads):
    """OpenBLAS sends it to its own process while it is imported."""
    with pytest.raises(RuntimeError, match="new thread"), raising():
        signal.raise_signal(signal.SIGINT)


def test_the_interrupt_of_a_person_stops_the_program():
    with pytest.raises(StoppedError), raising():
        signal.raise_signal(signal.SIGINT)


def test_a_worker_that_can_start_no_thread_ends_with_a_sentence(no_threads, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="ulimit -u"):
        local._work(None, None, None)
