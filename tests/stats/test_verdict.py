"""The rule from intervals to a verdict."""

import pytest

from eailab.stats.verdict import Verdict, decide, fewest


@pytest.mark.parametrize(
    ("interval95", "interval90", "verdict"),
    [
        ((0.1, 0.5), (0.15, 0.45), Verdict.BETTER),
        ((-0.5, -0.1), (-0.45, -0.15), Verdict.WORSE),
        ((-0.2, 0.2), (-0.15, 0.15), Verdict.SAME),
        ((-0.3, 0.2), (-0.25, 0.15), Verdict.SAME),
        ((-0.3, 0.2), (-0.26, 0.15), Verdict.UNDECIDED),
        ((-0.2, 0.3), (-0.15, 0.25), Verdict.SAME),
        ((-0.2, 0.3), (-0.15, 0.26), Verdict.UNDECIDED),
        ((0.0, 0.4), (0.05, 0.35), Verdict.UNDECIDED),
        ((-0.4, 0.0), (-0.35, -0.05), Verdict.UNDECIDED),
        ((0.01, 0.1), (0.02, 0.09), Verdict.BETTER),
    ],
)
def test_the_rule(interval95, interval90, verdict):
    """A margin of 0.25; an interval that touches zero does not exclude it."""
    assert decide(interval95, interval90, 0.25) is verdict


def test_for_a_loss_below_zero_is_better():
    assert decide((-0.5, -0.1), (-0.45, -0.15), 0.25, higher_is_better=False) is Verdict.BETTER


def test_verdicts_read_as_their_names():
    assert [str(verdict) for verdict in Verdict] == ["BETTER", "WORSE", "SAME", "UNDECIDED", "SCREEN"]


def test_fewest_finds_the_edge():
    for edge in range(3, 40):
        assert fewest(lambda number, edge=edge: number >= edge, 3, 39) == edge
    assert fewest(lambda number: False, 3, 39) is None
    assert fewest(lambda number: True, 39, 39) == 39
    assert fewest(lambda number: True, 40, 39) is None
