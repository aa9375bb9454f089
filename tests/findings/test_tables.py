import re

import numpy as np
import pytest
from plans import one_factor
from stores import recipe

from eailab.findings.noise import noise_findings, sentences
from eailab.findings.statements import facts, headlines, state_sentences
from eailab.findings.tables import blocks_table, main_table
from eailab.studies.design import repeated, single
from eailab.studies.storage import read_record

SMALL = [0.90, 0.92, 0.91, 0.93]
LARGE = [0.80, 0.83, 0.81, 0.84]


def cells(table):
    """The rows of a table by their first cell, each by column heading."""
    headings = [column.heading for column in table.columns]
    return {row[0]: dict(zip(headings, row, strict=True)) for row in table.rows}


def test_the_table_sets_each_arm_against_the_baseline(shop):
    rows = cells(main_table(shop.findings(shop.study({10: SMALL, 20: LARGE}))))

    assert rows["10 (baseline)"]["mean (%)"] == "91.50"
    assert rows["10 (baseline)"]["difference (pp)"] == rows["10 (baseline)"]["verdict"] == "-"
    assert rows["20"]["difference (pp)"] == "-9.50"
    assert rows["20"]["95% interval"] == "[-10.42, -8.58]"
    assert rows["20"]["verdict"] == "WORSE"
    assert rows["20"]["test accuracy (%)"] == "81.00"
    assert rows["20"]["trials"] == "4"


def test_what_is_a_number_in_every_row_is_set_as_one(shop):
    """Digits stand below digits."""
    table = main_table(shop.findings(shop.study({10: SMALL, 20: LARGE})))
    (row,) = (row for row in table.rows if row[0] == "20")
    numbers = [re.fullmatch(r"[-+.\d, \[\]]+", cell) is not None for cell in row]
    assert [column.is_number for column in table.columns[1:]] == numbers[1:]


@pytest.mark.parametrize(("blocks", "heading"), [(1, "loss"), (2, "mean loss")])
def test_scores_of_several_trials_are_called_means(shop, blocks, heading):
    study = single(recipe(), 0) if blocks == 1 else repeated(recipe(), range(blocks))
    found = shop.findings(shop.of(study, [SMALL[:blocks]]))
    table = main_table(found)
    assert [column.is_number for column in table.columns] == [False, True, True]
    assert table.columns[1].heading == heading
    assert cells(table)["validation"][heading.replace("loss", "accuracy (%)")] == ("90.00" if blocks == 1 else "91.00")


def test_gaps_are_words_in_the_table_of_blocks(shop):
    outcomes = {10: [0.9, 0.91, 0.92, 0.93], 20: ["diverged", "damaged", "unfinished", "missing"]}
    rows = cells(blocks_table(shop.findings(shop.study(outcomes))))
    assert list(rows["20"].values()) == ["20", "diverged", "damaged", "not finished", "not started"]
    assert rows["10 (baseline)"]["block 1"] == "91.00"


def test_an_arm_without_any_value_has_no_numbers(shop):
    row = cells(main_table(shop.findings(shop.study({10: SMALL, 20: ["missing"] * 4}))))["20"]
    assert {row[name] for name in ("mean (%)", "difference (pp)", "95% interval", "test accuracy (%)")} == {"-"}
    assert row["trials"] == "0 of 4"
    assert "4 of 4 not finished" in row["note"]


def test_every_claim_states_its_evidence(shop):
    stated = {fact.name: fact.sentence for fact in facts(shop.findings(shop.study({10: SMALL, 20: LARGE})))}

    assert stated["Blocks"] == "4 (0 to 3)"
    assert "validation accuracy after the last epoch" in stated["Metric"]
    assert "Student's t" in stated["Intervals"]
    assert stated["Margin"] == "differences within ±0.25 pp do not matter"
    assert stated["Device and versions"] == "cpu; eailab 0.1.0, python 3.12.1, numpy 2.3.4"
    assert "optimizer adam (lr 0.001" in stated["Held fixed"]
    assert "batch_size" not in stated["Held fixed"]
    assert "1,234 trained parameters" in stated["Sizes"]


def test_the_precision_is_that_of_the_blocked_model(shop):
    """With two arms an SD within the block is that of the differences over √2; the correlation is numpy's."""
    facts_of = facts(shop.findings(shop.study({10: SMALL, 20: LARGE})))
    (stated,) = (fact.sentence for fact in facts_of if fact.name == "Precision")
    values = 100.0 * np.array([SMALL, LARGE])
    covariance = np.cov(values)
    sd = np.std(values[1] - values[0], ddof=1) / np.sqrt(2.0)
    assert stated.startswith(f"SD of a trial within its block {sd:.2f} pp; ")
    assert f"; correlation between arms {covariance[0, 1] / np.diag(covariance).mean():.2f}; " in stated


def test_why_a_trial_has_no_value_is_a_fact_and_others_have_none(shop):
    named = [
        (fact.name, fact.sentence) for fact in facts(shop.findings(shop.study({10: SMALL[:2], 20: [0.9, "diverged"]})))
    ]
    assert [one for one in named if ", block " in one[0]] == [
        ("20, block 1", "diverged: a value was not finite at epoch 2, step 7")
    ]


@pytest.mark.parametrize(
    ("blocks", "said"), [((4,), "1 (number 4)"), ((1, 2), "2 (1 to 2)"), ((0, 2, 5), "3 (0, 2, 5)")]
)
def test_blocks_are_told_by_number(shop, blocks, said):
    study = one_factor(recipe(), "batch-size", [10, 20], blocks)
    found = shop.findings(shop.of(study, [SMALL[: len(blocks)], LARGE[: len(blocks)]]))
    assert {fact.name: fact.sentence for fact in facts(found)}["Blocks"] == said


def test_mixed_devices_are_called_so(shop):
    found = shop.findings(shop.study({10: SMALL, 20: LARGE}, devices=["cpu", "a GPU", "cpu", "cpu"]))
    stated = {fact.name: fact.sentence for fact in facts(found)}
    assert stated["Device and versions"].startswith("MIXED")
    assert "2 trials on a GPU" in stated["Device and versions"]


def test_a_verdict_on_the_test_set_is_marked(shop):
    found = shop.findings(shop.study({10: SMALL, 20: LARGE}, study={"metric": "test-accuracy"}))
    assert any("rest on the test set" in fact.sentence for fact in facts(found))


def test_an_interval_near_zero_is_not_rounded_onto_it(shop):
    """A bound of -0.004 must not read as 0.00."""
    close = [0.9, 0.900001, 0.9, 0.900001]
    found = shop.findings(shop.study({10: close, 20: [value + 0.0001 for value in close[::-1]]}))
    digits = found.decimals
    assert digits == 4
    assert re.fullmatch(r"\[\+0\.009\d, \+0\.010\d\]", cells(main_table(found))["20"]["95% interval"])


def test_a_running_study_says_so_first(shop):
    running = shop.findings(shop.study({10: [0.9, 0.91], 20: [0.8, "unfinished"]}))
    assert "3 of 4 trials have a result" in " ".join(state_sentences(running))
    assert state_sentences(shop.findings(shop.study({10: SMALL, 20: LARGE}, label_smoothing=0.1))) == ()


def test_no_wording_claims_significance_or_equality_of_the_undecided(shop):
    undecided = shop.findings(shop.study({10: SMALL, 20: [0.93, 0.90, 0.92, 0.90]}))
    said = " ".join([*headlines(undecided), *(fact.sentence for fact in facts(undecided))])
    assert "20: UNDECIDED against 10" in said
    assert "not enough blocks to tell" in said
    assert "signific" not in said
    assert "no difference" not in said


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (0.9, "test accuracy 89.00%, validation accuracy 90.00%"),
        ("diverged", "diverged: a value was not finite at epoch 2, step 7"),
        ("unfinished", "not finished: 1 epoch so far"),
        ("missing", "not started"),
    ],
)
def test_a_single_trial_is_told_in_a_line(shop, outcome, said):
    found = shop.findings(shop.trial(outcome))
    assert headlines(found) == (said,)
    assert [row[0] for row in main_table(found).rows] == ["training", "validation", "test"]


def test_several_blocks_of_one_recipe_say_which_differences_are_noise(shop):
    """As `eailab noise` does, in every report and not only there."""
    found = shop.findings(shop.of(repeated(recipe(), range(4)), [SMALL]))
    spread = noise_findings(shop.store, read_record(shop.root / "studies" / found.folder_name))
    first, *by_block = headlines(found)
    assert first == sentences(spread)[0] == "Differences below 5.81 pp between two single runs are noise."
    assert len(by_block) == 4
    said = {fact.name: fact.sentence for fact in facts(found)}
    assert said["Seed-to-seed spread"].startswith("validation accuracy: SD 1.29 pp, 95% interval 0.73 to 4.81")
    assert said["Detectable with 80% power"].startswith(f"{spread.detectable[0].difference:.2f} pp with 3 blocks; ")


def test_one_block_says_nothing_of_noise(shop):
    found = shop.findings(shop.trial(0.9))
    assert [fact.name for fact in facts(found) if "Noise" in fact.name or "spread" in fact.name] == []
    assert "noise" not in " ".join(headlines(found))
