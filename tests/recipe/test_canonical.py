"""Recipes that train the same have one identity, and a recipe written out in full is the same recipe again."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eailab.recipe.base import Recipe
from eailab.recipe.canonical import canonical, digest, flatten, to_yaml, yaml_lines
from eailab.recipe.load import load
from eailab.recipe.override import differences, vary
from eailab.recipe.validate import check
from eailab.recipe.yaml12 import parse

PRINTABLE = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff"),
    min_size=1,
    max_size=20,
)
NOT_NEGATIVE = st.floats(0, 1e6)
SHARE = st.floats(0, 1, exclude_max=True)
POSITIVE = st.floats(0, 1e6, exclude_min=True)
COUNT = st.integers(1, 2**31 - 1)
ACTIVATION = st.sampled_from(["relu", "sigmoid", "tanh", "gelu"])


def part(name, **optional):
    """Mappings of one variant, with any choice of its settings."""
    return st.fixed_dictionaries({"name": st.just(name)}, optional=optional)


ADAM = {"lr": POSITIVE, "betas": st.lists(SHARE, min_size=2, max_size=2), "weight_decay": NOT_NEGATIVE}
OPTIMIZERS = st.one_of(
    part("sgd", lr=POSITIVE, momentum=st.floats(0.1, 0.9), nesterov=st.booleans(), weight_decay=NOT_NEGATIVE),
    part("adam", **ADAM),
    part("adamw", **ADAM),
)
SCHEDULES = st.one_of(
    part("constant", warmup_epochs=NOT_NEGATIVE),
    part("steplr", step_size=COUNT, gamma=POSITIVE),
    part("multistep", milestones=st.lists(COUNT, min_size=1, max_size=4, unique=True).map(sorted), gamma=POSITIVE),
    part("lambda", formula=st.sampled_from(["inverse-sqrt", "inverse", "linear", "poly2"])),
    part("onecycle", peak=st.floats(0.1, 0.9), start_divisor=st.floats(1, 1e9), final_divisor=st.floats(1, 1e9)),
)
COMMON = {
    "name": PRINTABLE,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "epochs": st.integers(1, 1_000_000),
    "batch_size": COUNT,
}
OPTIONAL = {
    "label_smoothing": SHARE,
    "ema": st.none() | st.floats(0.1, 0.9),
    "threads": st.integers(1, 1024),
    "study": st.fixed_dictionaries({}, optional={"margin": NOT_NEGATIVE, "metric": st.just("loss-gap")}),
}


def data(*augments):
    return st.fixed_dictionaries(
        {"name": PRINTABLE},
        optional={
            "val_fraction": st.floats(0.01, 0.99),
            "split_seed": st.integers(0, 2**32 - 1),
            "split": st.sampled_from(["fixed", "per-block"]),
            "augment": st.one_of(*augments),
            "limit": st.none() | COUNT,
        },
    )


def mlp(hidden):
    listed = st.lists(ACTIVATION, min_size=len(hidden), max_size=len(hidden))
    return part("mlp", hidden=st.just(hidden), activation=ACTIVATION | listed if len(hidden) == 2 else ACTIVATION)


MLP_DATA = data(st.just("deform"), part("deform", rotation=st.floats(0, 180), nodes=st.integers(2, 64)))
MLPS = st.fixed_dictionaries(
    {
        **COMMON,
        "engine": st.just("numpy-mlp"),
        "data": MLP_DATA,
        "model": st.lists(st.integers(1, 65536), min_size=1, max_size=4).flatmap(mlp),
    },
    optional=OPTIONAL,
)
RESNETS = st.fixed_dictionaries(
    {**COMMON, "engine": st.just("torch-resnet"), "data": data(st.just("crop-flip"), part("cutout", size=st.just(3)))},
    optional={
        **OPTIONAL,
        "model": part("resnet34", stem=st.sampled_from(["7x7", "3x3"]), width=st.floats(0.1, 4)),
        "mixup": st.none() | POSITIVE,
        "precision": st.sampled_from(["fp32", "tf32", "bf16"]),
        "deterministic": st.booleans(),
    },
)


def made(value) -> Recipe:
    recipe, problems = check(value)
    assert recipe is not None, problems
    return recipe


@settings(max_examples=150, deadline=None, derandomize=True)
@given((MLPS | RESNETS).map(made))
def test_a_recipe_written_out_is_the_same_recipe_again(recipe):
    again = made(parse(to_yaml(recipe), "x.yaml").value)
    assert again == recipe
    assert again.model_dump_json() == recipe.model_dump_json()
    assert digest(canonical(again)) == digest(canonical(recipe))


@settings(max_examples=100, deadline=None, derandomize=True)
@given((MLPS | RESNETS).map(made), st.sampled_from(["sgd", "adam", "adamw"]), st.sampled_from(["sgd", "adam", "adamw"]))
def test_a_change_of_optimizer_stays_in_the_optimizer_and_does_not_depend_on_the_way(recipe, first, second):
    """From one variant to another by a third: all but shared settings are the last one's defaults."""
    varied = vary(recipe, "optimizer.name", first).recipe
    assert {path.partition(".")[0] for path in differences(recipe, varied)} <= {"optimizer"}
    assert vary(varied, "optimizer.lr", recipe.optimizer.lr).recipe == varied  # the rate stays
    if recipe.optimizer.name not in (first, second) and first != second:
        other = vary(recipe, "optimizer.name", second).recipe
        over = vary(other, "optimizer.name", first).recipe
        assert set(differences(over, varied)) <= {"optimizer.betas"}  # sgd has none to hand on


@settings(max_examples=100, deadline=None, derandomize=True)
@given((MLPS | RESNETS).map(made), st.sampled_from(["epochs", "batch_size", "threads"]), st.integers(1, 1024))
def test_two_recipes_have_one_digest_when_they_train_the_same(recipe, path, value):
    other = vary(vary(recipe, path, value).recipe, "name", "other").recipe
    same = not set(differences(recipe, other)) - {"name"}
    assert (digest(canonical(recipe)) == digest(canonical(other))) is same


def test_the_canonical_form_has_every_default_and_neither_name_nor_study():
    recipe = load("digits-mlp").recipe
    form = canonical(recipe)
    assert set(form) == set(type(recipe).model_fields) - {"name", "study"}
    assert form["model"]["dropout"] == 0.0
    assert json.loads(json.dumps(form)) == form


def test_the_form_of_a_number_is_no_part_of_the_identity():
    """`1` and `1.0`, `0.0` and `-0.0` are one setting; `32` and `33` are not."""
    recipe = load("digits-mlp").recipe
    one, same = (vary(recipe, "optimizer.lr", value).recipe for value in (1, 1.0))
    zero, minus = (vary(recipe, "model.dropout", value).recipe for value in (0.0, -0.0))
    assert digest(canonical(one)) == digest(canonical(same))
    assert digest(canonical(zero)) == digest(canonical(minus))
    assert digest(canonical(recipe)) != digest(canonical(vary(recipe, "batch_size", 33).recipe))


def test_a_digest_does_not_change_between_versions():
    """Trials are found again by it, so the bytes that are hashed are fixed."""
    hashed = rb'{"a":"\u00e9","b":[1,2.5,null,true]}'
    assert digest({"b": [1, 2.5, None, True], "a": "é"}) == hashlib.sha256(hashed).hexdigest()[:20]


def test_a_digest_is_of_finite_numbers_in_json():
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_a_recipe_is_written_in_the_order_people_read():
    heads = [line.partition(":")[0] for line in to_yaml(load("mnist-mlp").recipe).splitlines() if line[0] != " "]
    assert heads[:8] == ["name", "engine", "data", "model", "optimizer", "schedule", "epochs", "batch_size"]
    assert heads[-1] == "study"


def test_every_setting_has_a_line():
    recipe = load("resnet18-cifar10").recipe
    lines = list(yaml_lines(recipe))
    assert [path for path, _ in lines if path] == list(flatten(recipe))
    assert ("model.stem", "  stem: 7x7") in lines
    assert (None, "optimizer:") in lines
