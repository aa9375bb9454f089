"""A signal ends a command in one way, wherever it comes."""

import signal

import pytest

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


def test_a_module_that_is_missing_is_not_taken_for_a_signal():
    with pytest.raises(ImportError, match="gone"), raising():
        raise ImportError("gone")
