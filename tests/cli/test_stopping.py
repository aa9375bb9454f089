"""A signal ends a command in one way, wherever it comes."""

import signal
import sys
import time
from types import ModuleType

import pytest

from eailab.__main__ import main as start
from eailab.cli.stopping import raising
from eailab.errors import StoppedError


def imported(number: int) -> None:
    """Import a module in C during which a signal comes; what it meets, it reports as a failure of its own."""
    try:
        signal.raise_signal(number)
    except StoppedError as error:
        raise ImportError("initialization failed") from error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_an_import_swallows_still_stops_the_command(number, code):
    """As the module of matplotlib did that draws."""
    with pytest.raises(StoppedError) as stopped, raising():
        imported(number)
    assert stopped.value.exit_code == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_an_object_is_finalized_still_stops_the_command(number, code, capsys):
    """As in a generator of matplotlib's, which was closed: Python printed a traceback, and the command went on."""

    class Closing:
        def __del__(self):
            signal.raise_signal(number)

    def go_on():
        Closing()
        for _ in range(500):
            time.sleep(0.01)

    with pytest.raises(StoppedError) as stopped, raising():
        go_on()
    assert (stopped.value.exit_code, capsys.readouterr().err) == (code, "")


def test_a_module_that_is_missing_is_not_taken_for_a_signal():
    with pytest.raises(ImportError, match="gone"), raising():
        raise ImportError("gone")


def test_an_interrupt_while_the_program_is_loaded_leaves_no_traceback(monkeypatch, capsys):
    """Loading takes a second, in which many a Ctrl-C falls."""

    class Loading(ModuleType):
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "eailab.cli.app", Loading("eailab.cli.app"))
    with pytest.raises(SystemExit) as ended:
        start()
    assert (ended.value.code, capsys.readouterr().err) == (130, "stopped\n")
