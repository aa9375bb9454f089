"""Looking several times keeps the false alarms, and spends trials on open arms alone."""

import numpy as np
import pytest

from eailab.errors import StudyError
from eailab.stats.alpha_spending import look_levels
from eailab.stats.group_sequential import looks_within, replay
from eailab.stats.verdict import Verdict

LOOKS = (3, 6, 10, 13)


def played(values, looks=LOOKS, margin=0.25, ended=None, diverged=None, baseline=0):
    values = np.asarray(values, dtype=np.float64)
    ended = np.isfinite(values) if ended is None else ended
    diverged = np.zeros(values.shape, dtype=np.bool_) if diverged is None else diverged
    return replay(values, ended, diverged, looks, baseline, margin, True)


def noise(blocks=13, arms=3, seed=0):
    return np.random.default_rng(seed).normal(size=(blocks, arms))


@pytest.mark.parametrize(
    ("trials", "arms", "looks"),
    [(40, 3, (3, 6, 10, 13)), (4, 2, (2,)), (6, 2, (2, 3)), (41, 3, (3, 6, 10, 13)), (100, 2, (12, 25, 38, 50))],
)
def test_looks_are_spread_evenly_within_the_trials_allowed(trials, arms, looks):
    assert looks_within(trials, arms) == looks
    assert looks[-1] * arms <= trials


def test_too_few_trials_for_two_blocks_are_refused():
    with pytest.raises(StudyError, match="6 trials of two blocks"):
        looks_within(5, 3)


def test_an_arm_that_is_decided_needs_no_more_trials_and_is_looked_at_no_more():
    values = noise()
    values[:, 1] += 50.0
    first = played(values[:3])
    assert first.decisions[1].verdict is Verdict.BETTER
    assert (first.decisions[1].look, first.decisions[1].blocks) == (1, 3)
    assert not first.over
    later = values[:6].copy()
    later[3:, 1] = -1e6
    second = played(later)
    assert second.decisions[1] == first.decisions[1]
    assert not second.counted[3:, 1].any()
    assert second.counted[:6, [0, 2]].all()


def test_the_next_look_waits_for_the_open_arms_alone():
    values = noise(blocks=6)
    values[:, 1] += 50.0
    values[3:] = np.nan
    found = played(values)
    assert found.looks_made == 1
    assert found.needed[3:, [0, 2]].all()
    assert found.needed.sum() == 6
    assert not found.over


def test_a_study_is_over_when_every_arm_is_decided_or_the_last_look_is_made():
    values = noise()
    values[:, 1:] += [50.0, -50.0]
    early = played(values)
    assert (early.over, early.looks_made, early.needed.any()) == (True, 1, False)
    assert [one and one.verdict for one in early.decisions] == [None, Verdict.BETTER, Verdict.WORSE]
    assert not early.counted[3:].any()
    open_end = played(noise(), margin=0.0)
    assert (open_end.over, open_end.looks_made) == (True, 4)


def test_a_diverged_trial_has_ended():
    values = noise(blocks=3)
    values[1, 2] = np.nan
    diverged = np.isnan(values)
    assert played(values, ended=np.ones((3, 3), dtype=np.bool_), diverged=diverged).looks_made == 1
    assert played(values).looks_made == 0


def test_an_early_look_asks_for_more_than_a_single_one():
    """A difference that 5% would show after three blocks is not enough at the first look's share of it."""
    assert look_levels(LOOKS)[0] < 0.001
    values = np.array([[0.0, 1.0], [0.1, 1.3], [-0.1, 0.7]])
    assert played(values, looks=(3,), margin=0.0).decisions[1].verdict is Verdict.BETTER
    assert played(values, looks=LOOKS, margin=0.0).decisions[1] is None


def test_looking_again_and_again_keeps_the_false_alarms():
    """Without any difference, at most 5% of studies call the arm BETTER or WORSE, up to three standard errors."""
    rng = np.random.default_rng(2)
    studies = 800
    alarms = sum(played(rng.normal(size=(13, 2)), margin=0.0).decisions[1] is not None for _ in range(studies))
    assert 0 < alarms / studies <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
