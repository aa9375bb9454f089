"""Holding the updates sets the epochs, and says by how much it misses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eailab.errors import StudyError
from eailab.recipe.load import Override, load
from eailab.recipe.override import differences
from eailab.studies.design import one_at_a_time, updates
from eailab.studies.factor import FactorLevels
from eailab.studies.plan import held, hold_updates

RECIPE = load("digits-mlp").recipe


def study(*levels, recipe=RECIPE, hold="updates", factor="batch-size"):
    asked = FactorLevels((factor,), tuple((level,) for level in levels))
    return one_at_a_time(recipe, [asked], (0,), hold)[0]


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=5, unique=True), st.integers(1000, 50_000))
def test_updates_are_those_of_the_baseline_to_the_nearest_epoch(levels, images):
    done = hold_updates(study(*levels), [images] * len(levels))
    target = updates(done.arms[done.baseline].recipe, images)
    for arm in done.arms:
        one_epoch = updates(arm.recipe, images) / arm.recipe.epochs
        missed = abs(updates(arm.recipe, images) - target)
        assert missed <= one_epoch / 2 or arm.recipe.epochs == 1
        assert set(differences(done.arms[done.baseline].recipe, arm.recipe)) <= {"batch_size", "epochs"}


def test_holding_twice_changes_nothing_more():
    once = hold_updates(study(16, 32, 64), [1149] * 3)
    assert [arm.recipe.epochs for arm in once.arms] == [15, 30, 60]
    assert hold_updates(once, [1149] * 3) == once


def test_a_study_that_holds_epochs_stays_as_it_is():
    plain = study(16, 64, hold="epochs")
    assert hold_updates(plain, [1000, 1000]) is plain
    assert held(plain, [100, 25]) == []


def test_what_is_missed_and_what_stays_in_epochs_is_said():
    recipe = load("digits-mlp", [Override("sched", "steplr", "-o")]).recipe
    done = hold_updates(study(16, 32, 64, recipe=recipe), [1149] * 3)
    said = held(done, [updates(arm.recipe, 1149) for arm in done.arms])
    assert len(said) == 2
    assert all("step_size 20" in sentence for sentence in said)
    assert "16: 15 epochs in place of 30 hold the updates" in said[0]


def test_by_how_much_the_updates_are_missed_is_their_share_of_the_baselines():
    """1000 images are 63 batches of 16, 32 of 32, 16 of 64: 15 · 63 is 1.6% short of 30 · 32, and 60 · 16 is equal."""
    recipe = load("digits-mlp", [Override("sched", "steplr", "-o")]).recipe
    done = hold_updates(study(16, 32, 64, recipe=recipe), [1000] * 3)
    assert held(done, [945, 960, 960]) == [
        "16: 15 epochs in place of 30 hold the updates to -1.6%; the schedule's step_size 20 stay in epochs",
        "64: 60 epochs in place of 30 hold the updates; the schedule's step_size 20 stay in epochs",
    ]


def test_held_updates_are_another_study():
    assert study(16, 32).folder_name != study(16, 32, hold="epochs").folder_name


def test_epochs_cannot_vary_and_be_set():
    with pytest.raises(StudyError, match="--hold updates sets the epochs"):
        study(5, 10, factor="epochs")
