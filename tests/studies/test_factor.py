"""What a person types as a factor, and how it is called afterwards."""

import pytest

from eailab.errors import StudyError
from eailab.recipe.load import load
from eailab.studies.factor import (
    Bundle,
    Crossing,
    FactorLevels,
    Setting,
    factor_from_option,
    factor_from_text,
    read_factor,
    word,
)

RECIPE = load("digits-mlp").recipe
LR_TOO = Bundle(("optimizer.name", "optimizer.lr"))


def test_a_plain_factor_has_levels_of_one_value():
    assert factor_from_text("lr", [0.1, 0.01], 0.01) == FactorLevels(("lr",), ((0.1,), (0.01,)), (0.01,))


@pytest.mark.parametrize("level", ["sgd+1e+3", "sgd+1000", ["sgd", 1000.0], "sgd + 1e3"])
def test_a_bundles_level_has_a_value_for_each_setting(level):
    factor = factor_from_text("optimizer+lr", ["adam+0.001", level], joint=True)
    assert factor.levels == (("adam", 0.001), ("sgd", 1000))
    assert factor.paths(RECIPE) == ("optimizer.name", "optimizer.lr")


def test_a_bundles_baseline_is_written_as_its_levels_are():
    factor = factor_from_text("optimizer+lr", ["adam+0.001", "sgd+0.1"], "sgd+0.1", joint=True)
    assert factor.baseline == factor.levels[1] == ("sgd", 0.1)


def test_a_bundle_must_be_declared():
    with pytest.raises(StudyError, match="--joint"):
        factor_from_text("optimizer+lr", ["adam+0.001", "sgd+0.1"])
    with pytest.raises(StudyError, match="is one"):
        factor_from_text("lr", [0.1, 0.2], joint=True)


@pytest.mark.parametrize("level", ["adam", "adam+1+2", ["adam"], 3])
def test_a_bundles_level_with_another_number_of_values_is_refused(level):
    with pytest.raises(StudyError, match="give 2 joined by"):
        factor_from_text("optimizer+lr", [level, "sgd+0.1"], joint=True)


def test_a_bundle_names_each_setting_once():
    with pytest.raises(StudyError, match="twice"):
        factor_from_text("lr+optimizer.lr", ["1+2", "3+4"], joint=True).paths(RECIPE)


@pytest.mark.parametrize(
    ("text", "words", "levels"),
    [
        ("stem=7x7,3x3", ("stem",), (("7x7",), ("3x3",))),
        ("hidden=[64],[64, 32]", ("hidden",), (([64],), ([64, 32],))),
        ("lr = 1e-3, 1e-2", ("lr",), ((0.001,), (0.01,))),
        ("optimizer+lr=adam+0.1,sgd+1e-2", ("optimizer", "lr"), (("adam", 0.1), ("sgd", 0.01))),
    ],
)
def test_a_further_factor_is_one_option(text, words, levels):
    asked = factor_from_option(text, joint=True)
    assert (asked.words, asked.levels) == (words, levels)


@pytest.mark.parametrize("text", ["stem", "stem=", "=7x7,3x3", ""])
def test_a_further_factor_without_name_or_levels_is_refused(text):
    with pytest.raises(StudyError, match="--and"):
        factor_from_option(text)


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        ("batch_size", "batch_size"),
        ("optimizer.name", "optimizer"),
        ("optimizer.name+optimizer.lr", "optimizer+lr"),
        ("optimizer.name × schedule.name", "optimizer × schedule"),
        (None, ""),
    ],
)
def test_a_factor_is_called_by_its_last_words(factor, said):
    assert word(factor) == said


@pytest.mark.parametrize(
    ("factor", "text", "level", "values"),
    [
        (Setting("optimizer.lr"), "optimizer.lr", 0.001, {"optimizer.lr": 0.001}),
        (LR_TOO, "optimizer.name+optimizer.lr", "sgd+1e+3", {"optimizer.name": "sgd", "optimizer.lr": 1000.0}),
        (LR_TOO, "optimizer.name+optimizer.lr", "plain sgd", None),
        (
            Crossing((LR_TOO, Setting("model.stem"))),
            "optimizer.name+optimizer.lr × model.stem",
            "sgd+0.1 × 3x3",
            {"optimizer.name": "sgd", "optimizer.lr": 0.1, "model.stem": "3x3"},
        ),
        (Crossing((LR_TOO, Setting("model.stem"))), "optimizer.name+optimizer.lr × model.stem", "3x3", None),
    ],
)
def test_a_factor_is_read_back_as_records_have_it_and_knows_the_settings_of_a_level(factor, text, level, values):
    assert str(factor) == text
    assert read_factor(text) == factor
    assert factor.values_of(level) == values
