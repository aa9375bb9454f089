"""The choice of settings for each arm: halving, equal budgets, ends of lists, and what cannot be tuned."""

from math import inf

import pytest
from plans import one_factor

from eailab.errors import UsageError
from eailab.recipe.load import load
from eailab.seeding import TUNING_BLOCKS
from eailab.studies.design import repeated
from eailab.studies.plan import parse_blocks
from eailab.studies.tuning import Space, asked, budget, equal_budgets, spaces, tune, with_point


def by_hand(table, log):
    """Return what trains by a table: of each arm, a score by value, or a list of one a block."""

    def train(wanted):
        for arm, trainings in wanted.items():
            log.setdefault(arm, []).extend((at.point[0], at.block - TUNING_BLOCKS) for at in trainings)
        return {arm: {at: score(table[arm], at) for at in trainings} for arm, trainings in wanted.items()}

    return train


def score(of_arm, at):
    found = of_arm(at.point[0]) if callable(of_arm) else of_arm[at.point[0]]
    return found[at.block - TUNING_BLOCKS] if isinstance(found, list) else found


def grid(*values, is_whole=False):
    return Space(("optimizer.lr",), tuple((value,) for value in values), is_whole)


SIX = (1, 2, 3, 4, 5, 6)


def test_the_worse_half_is_dropped_after_each_block():
    """Six values, three, two: eleven trainings, and the winner is the best of those that came to the end."""
    log = {}
    table = {1: 0, 2: [5, 9, 9], 3: [7, 4, 1], 4: [9, 3, 2], 5: 1, 6: 2}
    choice = tune({"a": grid(*SIX)}, 3, by_hand({"a": table}, log))["a"]
    assert log["a"] == [*((v, 0) for v in SIX), (4, 1), (3, 1), (2, 1), (2, 2), (4, 2)]
    assert (choice.winner, choice.runner_up, choice.at_edge) == ((2,), (4,), False)
    assert choice.gap == pytest.approx(23 / 3 - 14 / 3)
    assert len(log["a"]) == budget(grid(*SIX), 3) == 11


def test_the_smaller_of_equal_values_wins_and_a_diverged_one_is_last():
    """A choice never hangs on the order in which trials ended."""
    table = {1: -inf, 2: 5, 3: 5, 4: 5, 5: -inf, 6: -inf}
    choice = tune({"a": grid(*SIX)}, 3, by_hand({"a": table}, {}))["a"]
    assert (choice.winner, choice.runner_up, choice.gap) == ((2,), (3,), 0.0)


def test_every_arm_gets_a_further_value_where_the_best_of_one_is_at_an_end():
    """Arms keep equal budgets, twice at most; an arm whose best is inside gets the value beyond the nearer end."""
    log = {}
    values = (0.01, 0.1, 1.0, 10.0)
    rises = {"a": lambda lr: lr, "b": lambda lr: -abs(lr - 0.1)}
    found = tune({arm: grid(*values) for arm in rises}, 2, by_hand(rises, log))
    assert found["a"].winner == (1000.0,)
    assert found["a"].at_edge
    assert (found["b"].winner, found["b"].at_edge) == ((0.1,), False)
    assert [value for value, _ in log["b"][-4:]] == [0.001, 0.001, 0.0001, 0.0001]
    assert len(log["a"]) == len(log["b"]) == 4 + 2 + 2 * 2


@pytest.mark.parametrize(
    ("values", "rises", "further"),
    [
        ((0.001, 0.002, 0.1), True, 5.0),
        ((0.001, 0.002, 0.1), False, 0.0005),
        ((8, 16, 64), True, 256),
        ((8, 16, 64), False, 4),
        ((3, 5), False, 2),
        ((1, 2, 4), False, None),
    ],
)
def test_a_value_is_added_at_the_ratio_of_the_end_that_it_lies_beyond(values, rises, further):
    """Lists need not have equal ratios, and whole numbers stay whole and above 0."""
    log = {}
    space = grid(*values, is_whole=type(values[0]) is int)
    tune({"a": space}, 1, by_hand({"a": lambda value: value if rises else -value}, log))
    added = [value for value, _ in log["a"][len(values) :]]
    assert added[:1] == ([] if further is None else [pytest.approx(further)])
    assert {type(value) for value in added} <= {type(values[0])}


def test_an_arm_lacks_no_budget_because_its_settings_are_named_in_another_order():
    """What is tuned is a set of settings."""
    one, other = ("optimizer.lr", "batch_size"), ("batch_size", "optimizer.lr")
    assert equal_budgets({"a": Space(one, ((0.1, 16),)), "b": Space(other, ((16, 0.1),))})
    assert not equal_budgets({"a": Space(one, ((0.1, 16),)), "b": Space(("optimizer.lr",), ((0.1,),))})


def test_no_arm_is_extended_where_one_cannot_be():
    """An arm that may not have the value beyond would be tuned less than the others."""
    log = {}
    tune({"a": grid(*SIX), "b": grid(*SIX)}, 1, by_hand({"a": float, "b": float}, log), valid=lambda arm, _: arm == "a")
    assert len(log["a"]) == len(log["b"]) == 6


def test_a_range_has_six_values_of_equal_ratios_and_an_arm_may_have_its_own():
    """`--tune sgd:lr` stands in place of `--tune lr` for that arm."""
    recipe = load("digits-mlp").recipe
    arms = {"adam": recipe, "sgd": load("digits-mlp", []).recipe}
    found = spaces([asked("lr=1e-4..1e-1"), asked("sgd:lr=1e-3..1")], arms, ("optimizer.name",))
    assert found["adam"].points == ((0.0001,), (0.000398,), (0.00158,), (0.00631,), (0.0251,), (0.1,))
    assert (found["sgd"].points[0], found["sgd"].points[-1]) == ((0.001,), (1.0,))
    assert equal_budgets(found)


def test_a_setting_that_is_a_list_can_be_tuned():
    """Trainings are known by their values, which a list could not be."""
    recipe = load("digits-mlp").recipe
    space = spaces([asked("hidden=[8],[8, 8],[8]")], {"adam": recipe}, ("optimizer.name",))["adam"]
    assert len(set(space.points)) == len(space.points) == 2
    assert [list(with_point(recipe, space, point).model.hidden) for point in space.points] == [[8], [8, 8]]


def test_several_settings_are_tried_at_points_spread_over_all_of_them():
    """As many trainings as for one setting, each list's ends and middle among them, no point twice."""
    found = spaces([asked("lr=1e-4..1e-1"), asked("batch-size=16,32,64")], {"a": load("digits-mlp").recipe}, ())["a"]
    assert len(set(found.points)) == len(found.points) == 6
    assert {batch for _, batch in found.points} == {16, 32, 64}
    assert len({lr for lr, _ in found.points}) >= 5
    assert not found.has_ends


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("lr=1e-3", "one value to choose from"),
        ("lr=0..1", "a number above 0"),
        ("lr=1..0.1", "rises"),
        ("lr=1e-3...1e-1", "two numbers"),
        ("lr=,", "--tune lr=,: a value is missing"),
        ("lr={a: 1},2", "cannot have {a: 1}"),
        ("hidden=[8],[8]", "one value to choose from"),
        ("lr", "write a setting"),
        (":lr=1,2", "write a setting"),
        ("optimizer=adam,sgd", "is what is compared"),
        ("momentum=0,0.9", "cannot have"),
        ("lr=a,b", "cannot have a"),
        ("lr=a..b", "two numbers"),
        ("nobody:lr=1,2", "is not an arm"),
        ("batch-size=16.5,20", "cannot have 16.5"),
    ],
)
def test_what_cannot_be_tuned_is_refused_with_its_reason(option, message):
    """One clear error, before anything is trained."""
    with pytest.raises(UsageError, match=message):
        spaces([asked(option)], {"adam": load("digits-mlp").recipe}, ("optimizer.name",))


@pytest.mark.parametrize(
    "asked_for",
    [
        lambda blocks: parse_blocks(",".join(map(str, blocks))),
        lambda blocks: one_factor(load("digits-mlp").recipe, "optimizer", ["adam", "sgd"], blocks),
        lambda blocks: repeated(load("digits-mlp").recipe, blocks),
    ],
    ids=["--seeds", "a study file or Python", "noise"],
)
def test_no_study_is_judged_on_blocks_of_a_tuning(asked_for):
    """However they are asked for."""
    with pytest.raises(UsageError, match=r"block 1000000 is for --tune, as all from 1000000 to 1000999 are"):
        asked_for([0, TUNING_BLOCKS])
