"""What a study's record says is derived from its recipes: true ones of any design hold, and lies do not."""

from dataclasses import replace

import pytest

from eailab.recipe.load import load, parse_override
from eailab.runs.context import RunContext
from eailab.studies.admin import contradictions
from eailab.studies.design import all_combinations, one_at_a_time, repeated, single
from eailab.studies.factor import FactorLevels
from eailab.studies.plan import plan

RECIPE = load("digits-mlp", [parse_override("optimizer.weight_decay=0.1")]).recipe
OPTIMIZER = FactorLevels(("optimizer",), (("adam",), ("sgd",)))
HIDDEN = FactorLevels(("optimizer",), (("sgd",), ("adamw",)))  # the recipe's own is neither
BUNDLE = FactorLevels(("optimizer", "lr"), (("adam", 0.001), ("sgd", 1)))
NAMED = FactorLevels(("lr",), ((0.001,), (0.01,)), names=("slow", "quick"))
SCHEDULE = FactorLevels(("sched",), (("constant",), ("cosine",), ("steplr",)))
BATCH = FactorLevels(("batch-size",), ((16,), (32,)))


def designs():
    for factor in (OPTIMIZER, HIDDEN, BUNDLE, NAMED, SCHEDULE, BATCH):
        yield one_at_a_time(RECIPE, [factor], (0, 1))[0]
    yield one_at_a_time(RECIPE, [BATCH], (0, 1), "updates")[0]
    yield all_combinations(RECIPE, [BUNDLE, SCHEDULE], (0, 1))
    yield all_combinations(RECIPE, [NAMED, OPTIMIZER], (0, 1))
    yield single(RECIPE, 3)
    yield repeated(RECIPE, (0, 1, 2))


def found(tmp_path, study, lie=lambda study: study):
    where = RunContext(tmp_path / "runs")
    record = plan(study, where).record
    return list(contradictions(where.store, replace(record, study=lie(record.study)), {}))


@pytest.mark.parametrize("study", list(designs()), ids=lambda study: f"{study.name}, {study.hold}, {len(study.axes)}")
def test_the_record_of_any_design_holds(tmp_path, study):
    assert found(tmp_path, study) == []


def with_arms(study, change):
    return replace(study, arms=tuple(replace(arm, **change(arm)) for arm in study.arms))


def swapped(study):
    levels = dict(zip((arm.level for arm in study.arms), (arm.level for arm in study.arms[::-1]), strict=True))
    return with_arms(study, lambda arm: {"level": levels[arm.level]})


def other_axes(study):
    return replace(study, axes=tuple(replace(axis, levels=axis.levels[::-1]) for axis in study.axes))


@pytest.mark.parametrize(
    ("factors", "lie", "said"),
    [
        ([OPTIMIZER], swapped, "another level"),
        ([BUNDLE], swapped, "another level"),
        ([BATCH], lambda s: with_arms(s, lambda arm: {"level": str(arm.level)}), "another level"),
        ([OPTIMIZER], lambda s: with_arms(s, lambda _: {"brought": ()}), "bring"),
        ([HIDDEN], lambda s: with_arms(s, lambda _: {"brought": ()}), "bring"),
        ([HIDDEN], lambda s: with_arms(s, lambda _: {"brought": ("optimizer sgd brings momentum 0.1",)}), "bring"),
        ([BATCH], lambda s: replace(s, margin=9.0), "metric or margin"),
        ([OPTIMIZER, SCHEDULE], other_axes, "axes"),
        ([OPTIMIZER, SCHEDULE], lambda s: replace(s, axes=()), "axes"),
    ],
)
def test_a_lie_about_a_design_is_found(tmp_path, factors, lie, said):
    make = all_combinations(RECIPE, factors, (0, 1)) if len(factors) > 1 else one_at_a_time(RECIPE, factors, (0, 1))[0]
    assert any(said in sentence for sentence in found(tmp_path, make, lie))
