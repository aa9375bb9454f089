"""`eailab verify`, over a small study that was really trained."""

import json
import re
from types import SimpleNamespace

import pytest
from plans import one_factor, train_plan

from eailab.cli.report import _print
from eailab.errors import MissingDataError
from eailab.recipe.load import load, parse_override
from eailab.runs.context import RunContext
from eailab.studies.plan import plan


@pytest.fixture
def report(eailab, tmp_path):
    changes = [parse_override("epochs=1"), parse_override("data.limit=64")]
    made = one_factor(load("digits-mlp", changes).recipe, "lr", [0.001, 0.01], range(2))
    context = RunContext(tmp_path / "runs")
    assert train_plan(plan(made, context), context, 1) == []
    assert eailab("report").code == 0
    return tmp_path / "report" / "report.html"


@pytest.mark.parametrize(
    ("trials", "failing", "said"),
    [
        (1, 0, "1 trial checked against its checksums, 0 do not match"),
        (2, 1, "2 trials checked against their checksums, 1 does not match"),
    ],
)
def test_one_trial_is_not_several(capsys, trials, failing, said):
    outcome = SimpleNamespace(problems=(), foreign=(), matching=3, numbers=3)
    found = SimpleNamespace(outcome=outcome, problems=(), gaps=(), notes=(), trials=trials, failing=failing)
    _print(found)
    assert capsys.readouterr().out.splitlines()[0] == said


def test_a_true_report_holds_and_a_trial_trained_again_has_the_same_bits(eailab, report):
    told = eailab("verify", str(report), "--retrain", "0.01/1")
    assert told.code == 0, told.err
    first, second, third = told.out.splitlines()
    matching, numbers = second.removesuffix(" numbers match").split("/")
    assert matching == numbers
    assert first == "4 trials checked against their checksums, 0 do not match"
    assert third.endswith("14/14 values and files are the same to the bit")
    begin, device, *_ = told.err.splitlines()
    assert (begin, device[:12]) == ("training 0.01/1 again (1 epoch)", "device: cpu ")


def test_json_says_how_a_trial_trained_again_compares(eailab, report):
    done = eailab("verify", str(report), "--retrain", "0.01/1", "--json")
    assert done.code == 0, done.err
    again = json.loads(done.out)["retrained"]
    assert (again["compared"], again["differences"]) == (14, [])
    assert json.loads(eailab("verify", str(report), "--json").out)["retrained"] is None


def test_a_changed_number_is_named_and_the_check_fails(eailab, report):
    text = report.read_text()
    (accuracy, *_) = re.findall(r'<td class="number">(\d+\.\d+)<', text.split("test accuracy (%)")[1])
    report.write_text(text.replace(f">{accuracy}<", ">99.99<", 1))
    told = eailab("verify", str(report))
    assert told.code == 1
    assert f"99.99 in the report, {accuracy} from the store" in told.out
    assert told.err.endswith(f"make it again with `eailab report --out {report.parent} --format html`.\n")


def test_the_advice_makes_the_changed_file_again(eailab, report, tmp_path):
    (study,) = (path.name for path in (tmp_path / "runs" / "studies").iterdir())
    options = ["--out", "zz", "--format", "markdown", "--lang", "zh-TW"]
    assert eailab("report", study, *options).code == 0
    file = tmp_path / "zz" / "report.md"
    file.write_text(file.read_text().replace("0", "1", 1))
    told = eailab("verify", "zz/report.md")
    assert (told.code, "with `eailab report --out zz --lang zh-TW --format markdown`" in told.err) == (1, True)


def test_json_says_the_same(eailab, report):
    told = eailab("verify", str(report), "--json")
    record = json.loads(told.out)
    assert record["holds"]
    assert record["matching"] == record["numbers"] > 10


@pytest.mark.parametrize("wanted", ["0.5/0", "0.01/7", "0.01"])
def test_a_trial_that_is_not_there_is_bad_input(eailab, report, wanted):
    told = eailab("verify", str(report), "--retrain", wanted)
    assert told.code == 2
    assert f"no trial of the report is called '{wanted}'" in told.err
    assert "0.01/0" in told.err


def test_a_file_that_is_not_there_is_bad_input(eailab, tmp_path):
    assert eailab("verify", "nowhere.html").code == 2


def test_a_trial_that_another_study_trained_first_has_the_same_bits_too(eailab, report):
    """Its recipe's file has that study's name, which is no part of what is trained."""
    changes = [parse_override(text) for text in ("epochs=1", "data.limit=64", "name=another", "study.margin=3.0")]
    context = RunContext(report.parents[1] / "runs")
    made = one_factor(load("digits-mlp", changes).recipe, "lr", [0.001, 0.01], range(2))
    assert plan(made, context).todo == ()
    assert train_plan(plan(made, context), context, 1) == []
    assert eailab("report", "another-lr").code == 0
    told = eailab("verify", str(report), "--retrain", "0.01/1")
    assert told.code == 0, told.out + told.err


def test_where_the_data_are_missing_that_is_said_before_the_report_is_blamed(eailab, report, monkeypatch):
    def missing(*_, **__):
        raise MissingDataError("the files are not here")

    for place in ("report.verify", "findings.classes", "findings.new_images"):
        monkeypatch.setattr(f"eailab.{place}.load", missing)
    told = eailab("verify", str(report))
    assert told.code == 1
    assert "which may be because digits is not here: name the folder with --data-dir, or make it again with" in told.err


def test_the_advice_has_the_labels_of_the_report(eailab, report):
    asked = ("--format", "markdown", "--label", "1e-3=usual", "--label", "0.01=large")
    assert eailab("report", *asked).code == 0
    file = report.with_suffix(".md")
    assert eailab("verify", str(file), "--retrain", "usual/0").code == 0
    file.write_text(file.read_text().replace("0.", "1.", 1))
    told = eailab("verify", str(file))
    assert "eailab report --label lr:0.001=usual --label lr:0.01=large --format markdown" in told.err.replace(
        f"--out {report.parent} ", ""
    )
