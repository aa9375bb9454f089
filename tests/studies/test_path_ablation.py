"""The way from one recipe to another: which moves it has, in what order they may come, and that it arrives."""

from dataclasses import replace
from functools import reduce
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eailab.errors import RecipeError, StudyError
from eailab.recipe.canonical import canonical
from eailab.recipe.load import load
from eailab.recipe.override import differences, vary_together
from eailab.recipe.validate import recipe_from
from eailab.studies.path_ablation import moves, moves_as_stored, on_the_same_images, path_between

MLP = {
    "name": "a",
    "engine": "numpy-mlp",
    "data": {"name": "digits"},
    "model": {"hidden": [64, 32], "activation": ["relu", "tanh"]},
    "optimizer": {"name": "adam", "lr": 0.001},
    "schedule": {"name": "constant"},
    "epochs": 3,
    "batch_size": 32,
}


def recipe(**parts):
    return recipe_from(MLP | {"name": "b"} | parts)


START = recipe(name="a")
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.8}
STEM = {"resnet18": {"model.stem": "3x3", "model.width": 1.0}}
"""What a residual network is varied with, by its name."""


def fields(found):
    return [[change.field for change in move.changes] for move in found]


def arrived(way, order):
    """Take the moves of a path in an order, and return the recipe that is reached."""
    step, taken = way.step([]), []
    for place in order:
        move = way.moves[place]
        index = way.candidates(taken).index(move)
        step = way.step(taken)
        taken.append(move)
        reached = step.arms[1 + index].recipe
    return reached


def test_settings_that_stand_alone_move_alone_in_the_order_of_a_recipe():
    end = recipe(optimizer={"name": "adam", "lr": 0.01, "weight_decay": 0.1}, epochs=5, batch_size=16)
    assert fields(moves(START, end)) == [["optimizer.lr"], ["optimizer.weight_decay"], ["epochs"], ["batch_size"]]


def test_a_variant_moves_with_its_own_settings_and_without_those_that_mean_the_same_in_both():
    switch, lr = moves(START, recipe(optimizer=SGD))
    assert str(switch.changes[0]) == "optimizer adam -> sgd (momentum 0.8, nesterov false, weight_decay 0.0005)"
    assert str(lr.changes[0]) == "optimizer.lr 0.001 -> 0.1"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("resnet18", "a.py:Net(width=8)", ["model resnet18 -> a.py:Net(width=8)"]),
        ("a.py:Net(width=8)", "resnet18", ["model a.py:Net(width=8) -> resnet18 (stem 3x3, width 1.0)"]),
        ("a.py:Net(width=8)", "b.py:Net(width=8)", ["model a.py:Net(width=8) -> b.py:Net(width=8)"]),
        ("a.py:Net(width=8)", "a.py:Net(name='x')", ["model a.py:Net(width=8) -> a.py:Net(name='x')"]),
        ("a.py:Net", "timm:resnet10t", ["model a.py:Net -> timm:resnet10t"]),
        ("a.py:Net(x=1, y=2)", "a.py:Net(x=3, y=4)", ["model.args.x 1 -> 3", "model.args.y 2 -> 4"]),
    ],
)
def test_a_network_of_other_code_or_other_arguments_moves_as_a_whole(tmp_path, monkeypatch, start, end, said):
    """Its file was a move, its digest another, and so was the loss of an argument, which made a network of none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("eailab.recipe.networks.version_here", lambda _: "1.0")
    for name in "ab":
        (tmp_path / f"{name}.py").write_text(f"class Net:\n    name = {name!r}\n")
    base = load("resnet18-digits").recipe
    one, other = (vary_together(base, {"model.name": text, **STEM.get(text, {})}).recipe for text in (start, end))
    found = moves(one, other)
    assert [move.label for move in found] == said
    for order in permutations(found):
        reached = reduce(lambda recipe, move: vary_together(recipe, move.settings).recipe, order, one)
        assert canonical(reached) == canonical(other)


def test_the_move_to_a_network_is_known_by_the_label_that_paths_were_stored_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("class Net:\n    pass\n")
    base = load("resnet18-digits").recipe
    other = vary_together(base, {"model.name": "a.py:Net(width=8)"}).recipe
    (single,), (_, stored) = moves(base, other), moves_as_stored(base, other)
    code = other.model.code
    assert stored.label == (
        f"model resnet18 -> module (class Net, file a.py, args {{width: 8}}, code {code}), model.args.width null -> 8"
    )
    assert stored.settings == single.settings


@pytest.mark.parametrize(
    ("start", "end", "together"),
    [
        (
            {"optimizer": {"name": "sgd", "momentum": 0.0}},
            {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}},
            ["optimizer.momentum", "optimizer.nesterov"],
        ),
        ({}, {"model": {"hidden": [16], "activation": ["gelu"]}}, ["model.hidden", "model.activation"]),
    ],
)
def test_settings_that_are_only_valid_together_are_one_move(start, end, together):
    found = moves(recipe(**start), recipe(**end, epochs=9))
    assert fields(found) == [together, ["epochs"]]


def test_a_batch_larger_than_the_set_waits_for_the_limit_to_go():
    start, end = recipe(data={"name": "digits", "limit": 100}), recipe(batch_size=512)
    found = moves(start, end, lambda one: one.batch_size <= (one.data.limit or 1000))
    assert fields(found) == [["data.limit", "batch_size"]]


def test_a_bundle_moves_as_one():
    end = recipe(optimizer=SGD, epochs=9)
    assert fields(moves(START, end, bundles=["lr+optimizer"])) == [["optimizer", "optimizer.lr"], ["epochs"]]
    with pytest.raises(StudyError, match=r"differ in optimizer, optimizer\.lr, epochs"):
        moves(START, end, bundles=["optimizer+batch-size"])
    with pytest.raises(RecipeError, match="stem"):
        moves(START, end, bundles=["optimizer+stem"])


END = recipe(
    data={"name": "digits", "augment": "deform"},
    model={"hidden": [16, 16, 16], "activation": "gelu"},
    optimizer={**SGD, "nesterov": True},
    schedule={"name": "cosine", "warmup_epochs": 1.0},
)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(len(moves(START, END)))))
def test_every_order_arrives_at_the_second_recipe(order):
    """Each recipe on the way is valid, whichever move comes next."""
    way = path_between(START, END, ("a", "b"), (0,), "gain")
    assert canonical(arrived(way, order)) == canonical(END)


def test_a_step_compares_the_recipe_reached_so_far_with_one_move_more():
    way = path_between(START, recipe(epochs=5, batch_size=16, ema=0.9), ("a", "b"), (0, 1), "gain")
    first, second, third = way.moves
    step = way.step([second])
    assert [arm.label for arm in step.arms] == ["before", first.label, third.label]
    assert step.baseline == 0
    assert set(differences(START, step.arms[0].recipe)) == {change.field for change in second.changes}
    for arm, move in zip(step.arms[1:], (first, third), strict=True):
        assert set(differences(step.arms[0].recipe, arm.recipe)) == {change.field for change in move.changes}


@pytest.mark.parametrize(("order", "arms"), [("gain", 7), ("listed", 4)])
def test_the_arms_that_a_path_may_take_are_those_that_it_takes(order, arms):
    """Every step's recipes, counted by what they train."""
    way = path_between(START, recipe(epochs=5, batch_size=16, ema=0.9), ("a", "b"), (0,), order)
    assert way.most_arms == arms
    orders = permutations(way.moves) if order == "gain" else [way.moves]
    for taken in orders:
        steps = [way.step(taken[:length]) for length in range(len(taken))]
        assert len({str(canonical(arm.recipe)) for step in steps for arm in step.arms}) == arms


def test_the_paths_folder_depends_on_the_ends_and_the_moves_and_not_on_blocks():
    def folder(blocks=(0,), order="gain", bundles=()):
        return path_between(START, recipe(optimizer=SGD), ("../a", "b"), blocks, order, bundles=bundles).folder_name

    assert folder() == folder(blocks=(0, 1))
    assert len({folder(), folder(order="listed"), folder(bundles=["optimizer+lr"])}) == 3
    assert "/" not in folder()


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (START.model_copy(update={"name": "other"}), "train the same"),
        (load("resnet18-digits").recipe, "different engines"),
        (recipe(data={"name": "mnist"}), "different data"),
    ],
)
def test_recipes_without_a_way_between_them_are_refused(end, message):
    """They are called as the command line calls them, since two files may have one name inside."""
    with pytest.raises(StudyError, match=f"^the recipes a/mine.yaml and b/mine.yaml .*{message}"):
        path_between(START, end, ("a/mine.yaml", "b/mine.yaml"), (0,), "gain")


def test_two_paths_to_the_same_images_are_no_difference(tmp_path, monkeypatch):
    """Nor do they make two paths; one that an earlier version named by the path goes on."""
    monkeypatch.chdir(tmp_path)
    images, labels = np.zeros((40, 8, 8), np.uint8), np.arange(40) % 2
    for name, pixels in (("d.npz", images), ("e.npz", images + 1)):
        np.savez(name, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    folders = []
    for path in ("d.npz", "./d.npz"):
        start = recipe(data={"name": path})
        end, data = on_the_same_images(start, recipe(data={"name": "./d.npz"}, epochs=5), None)
        way = path_between(start, end, ("a", "b"), (0,), "listed", data=data)
        assert fields(way.moves) == [["epochs"]]
        folders.append(way.folder(tmp_path))
    assert folders[0] == folders[1]
    by_path = tmp_path / replace(way, data={}).folder_name
    assert by_path != folders[0]
    by_path.mkdir()
    assert way.folder(tmp_path) == by_path
    end, _ = on_the_same_images(START, recipe(data={"name": "e.npz"}), None)
    assert end.data.name == "e.npz"
