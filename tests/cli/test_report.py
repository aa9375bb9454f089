"""`eailab report`, over a small study."""

import json

import pytest
from plans import one_factor, train_plan

from eailab.recipe.load import load, parse_override
from eailab.runs.context import RunContext
from eailab.studies.plan import plan


@pytest.fixture
def study(tmp_path):
    """Two arms in two blocks, trained for an epoch on real digits."""
    changes = [parse_override("epochs=1"), parse_override("data.limit=64")]
    made = one_factor(load("digits-mlp", changes).recipe, "lr", [0.001, 0.01], range(2))
    context = RunContext(tmp_path / "runs")
    failed = train_plan(plan(made, context), context, 1)
    assert failed == []


def test_a_report_prints_its_tables_and_its_path_last(eailab, study, tmp_path):
    told = eailab("report")
    assert told.code == 0
    assert "Does the learning rate change the validation accuracy?" in told.out
    (folder,) = (tmp_path / "runs" / "studies").iterdir()
    assert f"study:    {folder.name}\n" in told.out
    assert told.out.rstrip().endswith("report/report.html")
    assert (tmp_path / "report" / "report.md").read_text().count("\n| --- |") == 1
    assert (tmp_path / "report" / "report.html").exists()


def test_a_report_says_the_same_twice(eailab, study, tmp_path):
    first = eailab("report", "digits-mlp-lr", "--out", "a")
    assert first.code == 0
    eailab("report", "digits-mlp-lr", "--out", "b")
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 5
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_an_export_takes_the_place_of_the_report_and_says_what_opens_it(eailab, study, tmp_path):
    told = eailab("report", "--export", "tensorboard", "--export", "csv")
    assert told.code == 0, told.err
    assert told.out.splitlines()[-2:] == [
        "tensorboard: report/tensorboard  (tensorboard --logdir report/tensorboard)",
        "csv: report/csv",
    ]
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"tensorboard", "csv"}


def test_an_export_may_stand_beside_a_report(eailab, study, tmp_path):
    assert eailab("report", "--export", "csv", "--format", "json").code == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"csv", "report.json"}


def test_a_mistyped_tool_is_bad_input(eailab):
    told = eailab("report", "--export", "tensorbord")
    assert (told.code, told.out) == (2, "")
    assert "no export 'tensorbord': choose from tensorboard" in told.err


def test_json_is_one_object_with_every_study(eailab, study):
    told = eailab("report", "--json")
    record = json.loads(told.out)
    assert told.code == 0
    assert [one["name"] for one in record["studies"]] == ["digits-mlp-lr"]
    assert record["unreadable"] == []


def test_a_study_that_cannot_be_read_is_said_on_standard_error(eailab, study, tmp_path):
    broken = tmp_path / "runs" / "studies" / "broken-0123456789"
    broken.mkdir()
    (broken / "study.yaml").write_text("[")
    told = eailab("report")
    assert told.code == 0
    assert "left out" in told.err
    assert "broken-0123456789" in told.err


@pytest.mark.parametrize(
    ("arguments", "said"), [(("report",), "no studies in runs"), (("report", "x", "--runs", "y"), "no studies in y")]
)
def test_an_empty_store_is_bad_input(eailab, arguments, said):
    told = eailab(*arguments)
    assert (told.code, told.out) == (2, "")
    assert said in told.err


def test_a_mistyped_study_is_bad_input_with_the_nearest_name(eailab, study):
    told = eailab("report", "digits-mlp-rl")
    assert told.code == 2
    assert "Nearest: digits-mlp-lr" in told.err


def test_exports_take_no_language(eailab):
    told = eailab("report", "--export", "csv", "--lang", "zh-TW")
    assert told.code == 2
    assert "--lang" in told.err


def test_the_lab_report_takes_no_format(eailab):
    """An option that would change nothing is refused."""
    told = eailab("report", "--lab", "--format", "json")
    assert told.code == 2
    assert "--format" in told.err
