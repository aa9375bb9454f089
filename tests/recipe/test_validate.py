"""Any mapping is a recipe or a list of explained problems; what is expected is said in plain words."""

import re
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eailab.errors import RecipeError
from eailab.recipe.describe import advice, expected, found, list_meant, nearest
from eailab.recipe.load import Override, load
from eailab.recipe.optimization import Adam
from eailab.recipe.override import vary
from eailab.recipe.parts import Mlp, ResNet
from eailab.recipe.schema import RECIPES, MlpRecipe, variants
from eailab.recipe.schema import settings as all_settings
from eailab.recipe.validate import check, value_at

BASES = {name: load(name).recipe for name in ("digits-mlp", "resnet18-cifar10")}
NAMES = (
    "name engine data model optimizer schedule augment lr epochs hidden study adam sgd cutout deform mlp resnet18 relu"
)
WORDS = st.sampled_from([*NAMES.split(), "3x3", "numpy-mlp", "torch-resnet", "zzz", "", "10", "on"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 10**19), st.floats(-1e308, 1e308), WORDS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=5
)
PATHS = st.sampled_from(
    sorted({path for engine in RECIPES for path in (*all_settings(engine), *variants(engine))} | {"data", "study"})
)


def put(mapping, path, value):
    first, _, rest = path.partition(".")
    if not rest:
        return {**mapping, first: value}
    inside = mapping.get(first)
    return {**mapping, first: put(inside if isinstance(inside, dict) else {}, rest, value)}


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.sampled_from(list(BASES)), st.lists(st.tuples(PATHS, VALUES), min_size=1, max_size=4))
def test_any_mapping_is_a_recipe_or_a_list_of_problems(base, changes):
    """A bug in the words for one of pydantic's errors would show as an exception here."""
    mapping = BASES[base].model_dump()
    for path, value in changes:
        mapping = put(mapping, path, value)
    recipe, problems = check(mapping)
    assert (recipe is None) == bool(problems)
    for problem in problems:
        assert problem.message
        assert problem.path


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.sampled_from(list(BASES)), st.data())
def test_any_level_makes_a_recipe_or_one_explained_error(base, draw):
    recipe = BASES[base]
    path = draw.draw(st.sampled_from(sorted(all_settings(recipe.engine))))
    value = draw.draw(VALUES)
    try:
        vary(recipe, path, value)
    except RecipeError as error:
        message = str(error)
    else:
        return
    assert re.match(rf"(\d+ problems:\n)?{re.escape(path)}=", message)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(WORDS, VALUES, max_size=6))
def test_a_mapping_of_anything_is_explained_too(mapping):
    recipe, problems = check(mapping)
    assert recipe is None
    assert problems


@pytest.mark.parametrize(
    ("owner", "key", "words"),
    [
        (Adam, "lr", "a number above 0 and at most 1e+38"),
        (Adam, "betas", "a list of 2 items, each a number at least 0 and below 1"),
        (ResNet, "width", "a number above 0 and at most 4"),
        (ResNet, "name", "one of resnet18, resnet34, resnet50"),
        (MlpRecipe, "threads", "a whole number from 1 to 1024"),
        (MlpRecipe, "ema", "a number above 0 and below 1 or null"),
        (MlpRecipe, "study", "a mapping of settings"),
    ],
)
def test_what_is_expected_is_said_in_words(owner, key, words):
    assert expected(owner.model_fields[key]) == words


@pytest.mark.parametrize(
    ("item", "given_", "said"),
    [
        (int, "3", ": remove the quotes"),
        (float, "0.1", ": remove the quotes"),
        (int, 3.0, ": write 3"),
        (bool, "no", ": write false"),
        (str, 3, ": put it in quotes"),
        (list[int], 3, ": write [3], or several in one list, [3, 3]"),
        (list[int], "64,32", ": write [64, 32]"),
        (float, "0,001", ": write 0.001, with a point"),
        (float, "３", ""),
        (float | None, "none", ": write null"),
        (float | None, False, ": write null"),
        (Literal["none", "batch"], None, ": write none"),
        (int, [3], ": write it without the brackets"),
        (int, "ten", ""),
        (int, None, ""),
    ],
)
def test_advice_says_what_to_do_about_a_value_of_the_wrong_kind(item, given_, said):
    assert advice(item, given_) == said


@pytest.mark.parametrize("given_", ["relu,softplus", "relu", "", ","])
def test_only_a_list_of_a_fields_own_words_is_taken_for_one(given_):
    assert list_meant(Mlp.model_fields["activation"], given_) is None
    assert list_meant(Mlp.model_fields["init"], "he,xavier") is None


def test_names_with_commas_between_are_told_how_a_list_is_written():
    """`train-mlp --activation relu,sigmoid` takes them so, and `ablate` takes commas between levels."""
    with pytest.raises(RecipeError, match=re.escape("write [relu, sigmoid]")):
        load("digits-mlp", [Override("activation", "relu,sigmoid", "-o")])


def test_a_long_value_is_cut():
    assert len(found("x" * 1000)) <= 60
    assert len(found([0.123456789] * 1000)) <= 60


def test_the_nearest_name_is_found_whatever_its_case_and_joints():
    assert nearest("ReLU", ["relu", "tanh"]) == "; did you mean 'relu'?"
    assert nearest("Batch-Size", ["batch_size"]) == "; did you mean 'batch_size'?"
    assert nearest("scheduler", ["schedule", "lr"]) == "; did you mean 'schedule'?"
    assert nearest("qqq", ["relu", "tanh"]) == ""


def test_what_lies_beyond_a_list_or_a_value_is_nothing():
    """A problem's place may be one that the recipe does not have."""
    value = {"model": {"hidden": [64, 32]}}
    assert value_at(value, ("model", "hidden", 1)) == 32
    for path in (("model", "hidden", 2), ("model", "hidden", "width"), ("model", "hidden", 0, 0), ("data", "name")):
        assert value_at(value, path) is None
