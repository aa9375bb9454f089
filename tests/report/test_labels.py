"""Who hands in a report may call levels otherwise: in every format, and the store still vouches for its numbers."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from blank_figures import figures
from stores import recipe

from eailab.errors import UsageError
from eailab.report.study_report import load_study
from eailab.report.verify import verify
from eailab.report.write import write_report
from eailab.studies.design import all_combinations, one_at_a_time
from eailab.studies.factor import factor_from_text, labelled
from eailab.studies.labels import Named, asked_for, names_for, renamed, renamed_tuning
from eailab.studies.storage import read_record
from eailab.studies.tuning_file import TunedArm, Tuning

BASE = [0.9, 0.92, 0.91]
ASKED = ("20=twenty & more", "optimizer:sgd=SGD")
FORMATS = ("markdown", "html", "latex", "csv", "json")


@pytest.fixture(scope="module")
def made(shop_at, tmp_path_factory):
    """A store with two studies of one baseline, and a report of them in every format that calls levels otherwise."""
    root = tmp_path_factory.mktemp("labels")
    shop = shop_at(root / "runs")
    folders = [
        shop.study({10: BASE, 20: [0.8, 0.83, 0.81]}),
        shop.study({"adam": BASE, "sgd": [0.7, 0.75, 0.72]}, factor="optimizer"),
    ]
    with figures(drawn=False):
        write_report(folders, root / "out", formats=FORMATS, exports=["csv"], fragments=True, labels=ASKED)
    return shop.store, folders, root / "out"


@pytest.fixture(autouse=True)
def _made_up_results(shop):
    """Results that are made up contradict themselves; see `stores.shop`."""


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("report.md", "twenty & more"),
        ("report.html", "twenty &amp; more"),
        ("report.tex", "twenty \\& more"),
        ("report.csv", "twenty & more"),
        ("report.json", "twenty & more"),
    ],
)
def test_every_format_calls_levels_so_and_verifies(made, file, name):
    store, folders, out = made
    assert name in (out / file).read_text()
    found = verify(out / file, store)
    assert found.holds
    assert f"the report calls 20 of {folders[0].name} twenty & more" in found.notes
    assert f"the report calls sgd of {folders[1].name} SGD" in found.notes


def test_fragments_and_exports_call_them_so_too(made):
    _, _, out = made
    assert "twenty \\& more" in (out / "fragments" / "tiny-batch-size-table.tex").read_text()
    with (out / "csv" / "arms.csv").open(newline="") as file:
        assert [row["arm"] for row in csv.DictReader(file)] == ["10", "twenty & more", "adam", "SGD"]


def test_the_store_is_as_it_was_and_the_methods_keep_the_value(made):
    store, folders, _ = made
    assert [arm.label for arm in load_study(store, folders[0]).findings.arms] == ["10", "20"]
    said = load_study(store, folders[0], names={"20": "twenty"}).answers[0].sentence
    assert "We varied the batch size (10, twenty (20); baseline 10)" in said


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("report.csv", ",91.0,", ",93.0,"), ("report.json", "91.0,", "93.0,"), ("report.md", "91.00", "93.00")],
)
def test_a_labelled_report_with_a_changed_number_does_not_hold(made, tmp_path, file, old, new):
    store, _, out = made
    text = (out / file).read_text()
    (tmp_path / file).write_text(text.replace(old, new))
    assert old in text
    assert not verify(tmp_path / file, store).holds


def test_levels_cannot_be_called_as_each_other(made, tmp_path):
    """Who swaps two names in a file turns its verdicts round."""
    store, _, out = made
    record = json.loads((out / "report.json").read_text())
    record["studies"][0]["labels"] = {"10": "20", "20": "10"}
    (tmp_path / "report.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="10 cannot be called 20, which another level is called"):
        verify(tmp_path / "report.json", store)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["20"], "write a level, =, and what it is to be called, such as --label 16=small"),
        (["=a"], "write a level, =, and what"),
        (["20="], "write a level, =, and what"),
        (["sdg=SGD"], "no study of the report has a level 'sdg'; did you mean 'sgd'"),
        (["lr:20=a"], "no study of the report has a level 'lr:20'"),
        (["20=a\nb"], "printable characters"),
        (["20=a × b"], "printable characters without ×"),
        (["20=10"], "20 cannot be called 10, which another level is called"),
        (["10=a", "20=a"], "two levels cannot both be called a"),
    ],
)
def test_labels_that_name_no_level_or_mislead_are_refused_and_nothing_is_written(made, tmp_path, asked, said):
    _, folders, _ = made
    with pytest.raises(UsageError, match=said):
        write_report(folders, tmp_path / "out", labels=asked)
    assert not (tmp_path / "out").exists()


def test_levels_that_have_labels_already_are_listed_with_their_values(shop):
    (study,) = one_at_a_time(recipe(), [labelled(factor_from_text("batch-size", [10, 20]), "small,usual")], range(3))
    it = Named("it", read_record(shop.of(study, [BASE, BASE])), None)
    assert names_for(["20=large"], [it]) == {"it": {"usual": "large"}}
    with pytest.raises(UsageError, match=r"'21'\. Its levels are small \(10\), usual \(20\)\."):
        names_for(["21=large"], [it])


def test_a_level_of_two_factors_is_named_with_its_factor(shop, tmp_path):
    folders = [shop.study({2: BASE, 3: BASE}, factor="epochs"), shop.study({2: BASE, 3: BASE})]
    with pytest.raises(UsageError, match=r"3 is a level of epochs and of batch_size: .* --label 'epochs:3=three'"):
        write_report(folders, tmp_path / "out", labels=["3=three"])
    named = [Named(folder.name, read_record(folder), None) for folder in folders]
    assert names_for(["batch-size:3=three"], named) == {folders[1].name: {"3": "three"}}
    assert names_for(["epochs:3.0=three"], named) == {folders[0].name: {"3": "three"}}


def test_a_level_of_a_factorial_is_called_so_in_every_arm_that_has_it(shop):
    factors = [factor_from_text("optimizer", ["adam", "sgd"]), factor_from_text("batch-size", [10, 20])]
    folder = shop.of(all_combinations(recipe(), factors, range(3)), [BASE, BASE, BASE, [0.7, 0.8, 0.9]])
    (names,) = names_for(["sgd=SGD", "20=large"], [Named("it", read_record(folder), None)]).values()
    found = load_study(shop.store, folder, names=names).findings
    assert [arm.label for arm in found.arms] == ["adam × 10", "adam × large", "SGD × 10", "SGD × large"]
    assert ("SGD", "large") in [effect.levels for effect in found.effects.effects]
    (names,) = names_for(["sgd=SGD", "20=large", "sgd × 20=both"], [Named("it", read_record(folder), None)]).values()
    assert [axis.levels for axis in renamed(read_record(folder), names).study.axes] == [
        ("adam", "SGD"),
        ("10", "large"),
    ]


def test_what_a_report_of_a_factorial_was_asked_to_call_levels_is_found_in_its_names(shop):
    factors = [factor_from_text("optimizer", ["adam", "sgd"]), factor_from_text("batch-size", [10, 20])]
    folder = shop.of(all_combinations(recipe(), factors, range(3)), [BASE] * 4)
    it = Named("it", read_record(folder), None)
    for asked in (["optimizer:sgd=SGD", "batch_size:20=large"], ["optimizer × batch_size:sgd × 20=the last"]):
        (names,) = names_for(asked, [it]).values()
        assert list(asked_for(it, names)) == asked


def test_the_advice_on_a_changed_report_of_a_factorial_makes_it_again(shop, eailab):
    factors = [factor_from_text("batch-size", [10, 20]), factor_from_text("lr", [0.001, 0.003])]
    shop.of(all_combinations(recipe(), factors, range(3)), [BASE, BASE, BASE, [0.7, 0.8, 0.9]])
    labels = ("--label", "10=small", "--label", "lr:0.003=quick")
    assert eailab("report", "--out", "out", "--format", "markdown", *labels).code == 0
    file = Path("out/report.md")
    made = file.read_text()
    file.write_text(made.replace("0.", "1.", 1))
    (advice,) = re.findall("`eailab (.*)`", " ".join(eailab("verify", "out/report.md").err.split()))
    assert eailab(*shlex.split(advice)).code == 0
    assert file.read_text() == made


def test_a_tuned_arm_is_called_so_before_and_after_its_tuning(shop):
    bundle = factor_from_text("optimizer+lr", ["adam+0.001", "sgd+0.1"], joint=True)
    (study,) = one_at_a_time(recipe(), [bundle], range(3))
    record = read_record(shop.of(study, [BASE, BASE]))
    arms = [
        TunedArm(label, before, ("optimizer.lr",), (), (), "", None, None, False)
        for label, before in (("adam+0.001", "adam"), ("sgd+0.1", "sgd"))
    ]
    tuning = Tuning("validation-accuracy", (), True, False, tuple(arms))
    (names,) = names_for(["optimizer:sgd=SGD"], [Named("it", record, tuning)]).values()
    assert [arm.label for arm in renamed(record, names).study.arms] == ["adam+0.001", "SGD+0.1"]
    assert [(arm.before, arm.label) for arm in renamed_tuning(tuning, names).arms][1] == ("SGD", "SGD+0.1")
    assert list(asked_for(Named("it", record, tuning), names)) == ["optimizer:sgd=SGD"]


def test_a_trial_of_a_labelled_report_is_found_by_both_names(made):
    store, _, out = made
    found = verify(out / "report.md", store)
    assert found.trial(store, "twenty & more/0") == found.trial(store, "20/0")
