"""Collapsed trials are told from arms that merely learn less."""

import numpy as np
import pytest

from eailab.stats.collapse import Chance, collapsed

CHANCE = Chance.of_share(0.1, 1000)
NAN = np.nan


def test_a_trial_at_chance_beside_good_ones_has_collapsed():
    values = np.array([[0.97, 0.95], [0.96, 0.10], [0.98, 0.94]])
    assert np.argwhere(collapsed(values, CHANCE)).tolist() == [[1, 1]]


def test_a_trial_that_names_two_of_ten_classes_has_not_learnt():
    """It has a tenth of what the others gained over chance, at most."""
    values = np.array([[0.97, 0.95], [0.96, 0.18], [0.98, 0.20]])
    assert np.argwhere(collapsed(values, CHANCE)).tolist() == [[1, 1]]


def test_an_arm_that_learns_less_has_not_collapsed():
    values = np.array([[0.97, 0.40], [0.96, 0.20], [0.98, 0.41]])
    assert not collapsed(values, CHANCE).any()


def test_what_sampling_adds_to_chance_is_chance():
    """Three standard errors are 0.0285, where a tenth of the best arm's gain is 0.02."""
    values = np.array([[0.30, 0.128], [0.30, 0.129], [0.30, 0.09]])
    assert collapsed(values, CHANCE)[:, 1].tolist() == [True, False, True]


def test_most_arms_may_have_collapsed():
    """A median over all trials would itself be at chance."""
    values = np.array([[0.97, 0.10, 0.11, 0.10], [0.96, 0.09, 0.10, 0.95]])
    assert collapsed(values, CHANCE).tolist() == [[False, True, True, True], [False, True, True, False]]


@pytest.mark.parametrize("values", [[[0.12, 0.10], [0.11, 0.09]], [[0.15, 0.10]], [[NAN, NAN]]])
def test_where_nothing_is_learnt_nothing_has_collapsed(values):
    """Six standard errors above chance (0.157) is where learning is seen."""
    assert not collapsed(np.array(values), CHANCE).any()


def test_trials_without_a_value_have_not_collapsed():
    values = np.array([[0.97, NAN], [0.96, 0.10], [np.inf, 0.94]])
    assert np.argwhere(collapsed(values, CHANCE)).tolist() == [[1, 1]]


def test_a_loss_collapses_upwards():
    values = np.array([[0.1, 0.2], [0.1, 2.4], [0.1, 1.9]])
    assert np.argwhere(collapsed(values, Chance(2.303, 0.0), higher_is_better=False)).tolist() == [[1, 1]]


def test_what_a_program_declares_as_chance_is_exact():
    values = np.array([[0.5, 0.9], [0.52, 0.9]])
    assert collapsed(values, Chance(0.5, 0.0)).tolist() == [[True, False], [True, False]]
