"""A factorial tells its effects, and a bundle that it is one, in every format."""

import json
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from eailab.findings.design import design_facts, effects_table
from eailab.recipe.validate import recipe_from
from eailab.report.terminal import print_study
from eailab.report.write import write_study
from eailab.stats.verdict import Verdict
from eailab.studies.design import all_combinations, one_at_a_time
from eailab.studies.factor import FactorLevels
from eailab.studies.preregistration import freeze
from eailab.studies.storage import Plan, read_record

RECIPE = recipe_from(
    {
        "name": "tiny",
        "engine": "numpy-mlp",
        "data": {"name": "digits"},
        "optimizer": {"name": "adam"},
        "epochs": 3,
        "batch_size": 10,
    }
)
FACTORS = (
    FactorLevels(("optimizer",), (("sgd",), ("adam",))),
    FactorLevels(("sched",), (("constant",), ("steplr",))),
)
# Arms run sgd × constant, sgd × steplr, adam × constant (the baseline), adam × steplr.
TURNED = [[0.80, 0.81, 0.82], [0.90, 0.91, 0.925], [0.90, 0.91, 0.92], [0.80, 0.815, 0.82]]
ADDED = [[0.80, 0.81, 0.82], [0.85, 0.86, 0.875], [0.90, 0.91, 0.92], [0.95, 0.965, 0.97]]


def written(shop, outcomes):
    return shop.of(all_combinations(RECIPE, FACTORS, range(len(outcomes[0]))), outcomes)


def factorial(shop, outcomes):
    return shop.findings(written(shop, outcomes))


def test_effects_are_contrasts_of_the_arms_means(shop):
    found = factorial(shop, ADDED)
    sgd_constant, sgd_step, adam_constant, adam_step = 100 * np.mean(ADDED, axis=1)
    main_optimizer, main_schedule, both = found.effects.effects
    assert (main_optimizer.factors, main_optimizer.levels) == (("optimizer.name",), ("sgd",))
    assert main_optimizer.estimate == pytest.approx((sgd_constant + sgd_step - adam_constant - adam_step) / 2)
    assert main_schedule.estimate == pytest.approx((sgd_step + adam_step - sgd_constant - adam_constant) / 2)
    assert both.estimate == pytest.approx((sgd_step - sgd_constant - adam_step + adam_constant) / 2)
    assert found.baseline_levels == {"optimizer.name": "adam", "schedule.name": "constant"}


def test_an_interaction_larger_than_a_main_effect_is_said_to_mislead(shop):
    facts = {fact.name: fact.sentence for fact in design_facts(factorial(shop, TURNED))}
    said = facts["One factor at a time would mislead"]
    assert "optimizer sgd and schedule steplr" in said
    assert "depends on the schedule" in said


def test_effects_that_add_up_mislead_nobody(shop):
    assert [fact.name for fact in design_facts(factorial(shop, ADDED))] == ["Effects"]


def test_every_format_tells_the_effects(shop):
    folder = written(shop, TURNED)
    found = write_study(shop.store, folder).findings
    stream = StringIO()
    print_study(found, Console(file=stream, width=100))
    table = effects_table(found)
    for text in (stream.getvalue(), (folder / "table.md").read_text(), (folder / "report.html").read_text()):
        assert "optimizer sgd × schedule steplr" in text
        assert all(row[2] in text for row in table.rows)
        assert "would mislead" in text
    assert len(json.loads((folder / "table.json").read_text())["effects"]["effects"]) == 3


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([*ADDED[:3], [0.95, "diverged", 0.97]], "diverged"),
        ([*ADDED[:3], [0.95, "missing", "missing"]], "two blocks of every combination; too few: adam steplr."),
        ([[0.8], [0.85], [0.9], [0.95]], "too few: adam constant, adam steplr, sgd constant, sgd steplr."),
    ],
)
def test_without_enough_trials_there_are_no_effects_and_it_is_said_why(shop, outcomes, reason):
    found = factorial(shop, outcomes)
    assert found.effects is None
    assert effects_table(found) is None
    (fact,) = design_facts(found)
    assert fact.name == "No effects"
    assert reason in fact.sentence


def test_a_bundle_is_named_as_declared(shop):
    bundle = FactorLevels(("optimizer", "lr"), (("adam", 0.001), ("sgd", 0.1)))
    (study,) = one_at_a_time(RECIPE, [bundle], (0, 1, 2))
    found = shop.findings(shop.of(study, [[0.9, 0.91, 0.92], [0.8, 0.81, 0.83]]))
    (fact,) = design_facts(found)
    assert fact.name == "Declared bundle"
    assert "optimizer and lr change together" in fact.sentence
    assert found.heading == "optimizer+lr"


def test_a_plain_study_has_nothing_to_add(shop):
    found = shop.findings(shop.study({10: [0.9, 0.91], 20: [0.8, 0.81]}))
    assert design_facts(found) == []
    assert effects_table(found) is None


def before_training(folder):
    """Return a study's plan as it was when none of its trials had ended."""
    record = read_record(folder)
    return Plan(record, folder, (), tuple(SimpleNamespace(fingerprint=name) for name in record.trials.values()), ())


def test_planned_and_post_hoc_blocks_are_told_apart(shop, tmp_path):
    planned = shop.study({10: [0.90, 0.91, 0.92], 20: [0.80, 0.82, 0.83]})
    plan = before_training(planned)
    record = plan.record
    freeze(
        [replace(plan, record=replace(record, study=replace(record.study, blocks=(0, 1))))], "20 is worse", shop.store
    )
    facts = {fact.name: fact.sentence for fact in design_facts(shop.findings(planned))}
    assert '"20 is worse"' in facts["Plan"]
    assert "block 2 is not in the plan; the planned blocks alone say: 20 " in facts["Post hoc"]
    assert "partly post hoc" in shop.findings(planned).arms[1].notes


def test_a_study_that_no_plan_names_is_post_hoc(shop):
    planned = shop.study({10: [0.90, 0.91], 20: [0.80, 0.82]})
    freeze([before_training(planned)], "20 is worse", shop.store)
    other = shop.findings(shop.study({30: [0.90, 0.91], 40: [0.80, 0.82]}))
    assert [fact.name for fact in design_facts(other)] == ["Post hoc"]
    assert "post hoc" in other.arms[1].notes
    assert "post hoc" not in other.arms[0].notes


def looking(shop, outcomes, looks=(2, 3, 6)):
    (study,) = one_at_a_time(RECIPE, [FactorLevels(("batch-size",), ((10,), (20,), (40,)))], range(len(outcomes[0])))
    return shop.of(replace(study, looks=looks), outcomes)


CLEAR = [[0.90, 0.91, 0.92, 0.905], [0.10, 0.11, 0.125, "missing"], [0.90, 0.92, 0.91, "missing"]]


def test_an_arm_that_a_look_decided_is_spared_and_says_when(shop):
    found = shop.findings(looking(shop, CLEAR))
    _, decided, still_open = found.arms
    assert decided.against_baseline.verdict is Verdict.WORSE
    assert decided.notes[-1] == "decided at look 2 of 3, after 3 blocks"
    assert [trial.state for trial in decided.trials] == ["finished"] * 3 + ["spared"]
    assert still_open.against_baseline.verdict is Verdict.UNDECIDED
    assert still_open.notes[-1] == "open after 2 of 3 looks"
    assert still_open.against_baseline.blocks_needed is None  # the looks are fixed in advance
    assert found.looks.needed == ((2, 3),)
    assert found.planned == 11
    assert found.state == "running"


def test_what_another_study_trained_of_a_decided_arm_is_not_looked_at(shop):
    outcomes = [CLEAR[0], [*CLEAR[1][:3], 0.99], CLEAR[2]]
    (_, decided, _) = shop.findings(looking(shop, outcomes)).arms
    assert decided.against_baseline.mean == pytest.approx(33.5 / 3)


def test_looks_are_told_in_every_format(shop):
    folder = looking(shop, CLEAR)
    found = write_study(shop.store, folder).findings
    stream = StringIO()
    print_study(found, Console(file=stream, width=400))
    for text in (stream.getvalue(), (folder / "table.md").read_text(), (folder / "report.html").read_text()):
        assert "2 made of 3 that were fixed in advance, after 2, 3, 6 blocks" in text
        assert "decided at look 2 of 3" in text
    told = json.loads((folder / "table.json").read_text())["looks"]
    assert (told["made"], told["over"]) == (2, False)
    assert told["decisions"][1] == {"verdict": "WORSE", "look": 2, "blocks": 3, "level": told["levels"][1]}
