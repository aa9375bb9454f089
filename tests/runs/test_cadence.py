"""How often a trial's state is written."""

import pytest

from eailab.errors import UsageError
from eailab.runs.checkpoint import Cadence, parse_cadence


@pytest.mark.parametrize(
    ("text", "cadence"),
    [
        ("5", Cadence(epochs=5)),
        ("1 epoch", Cadence(epochs=1)),
        ("90s", Cadence(seconds=90.0)),
        ("10m", Cadence(seconds=600.0)),
        ("0.5h", Cadence(seconds=1800.0)),
    ],
)
def test_a_number_is_of_epochs_and_a_time_has_its_unit(text, cadence):
    assert parse_cadence(text) == cadence


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "1.5", "10 parsecs", "nan", "1e3", "9" * 20])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="such as 90s"):
        parse_cadence(text)


def test_it_is_due_after_its_epochs_or_its_seconds():
    assert [Cadence(epochs=2).is_due(n, 1e9) for n in (1, 2, 3)] == [False, True, True]
    assert [Cadence(seconds=2.0).is_due(10**9, s) for s in (1.9, 2.0)] == [False, True]


def test_a_time_is_stretched_where_writing_would_take_much_of_it():
    """A hundredth of the thread's time goes into writing."""
    assert [Cadence(seconds=10.0).is_due(1, s, took=0.08) for s in (9.9, 10.0)] == [False, True]
    assert [Cadence(seconds=10.0).is_due(1, s, took=0.4) for s in (39.0, 41.0)] == [False, True]
    assert Cadence(epochs=1).is_due(1, 0.0, took=100.0)
