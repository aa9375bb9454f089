"""What runs out is named in a sentence that says how to get more; a bug stays a bug."""

import errno

import pytest

from eailab.errors import MemoryShortageError
from eailab.shortage import shortage_of


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
