"""What programs decide on: one flat decision, its schema, errors as JSON, and exit codes."""

import json

import pytest
import typer
from conftest import run_here

from eailab.cli.deciding import fail_if, parse_fail_on
from eailab.errors import UsageError


def schema(name):
    """Return a schema that the program prints."""
    return json.loads(run_here("schema", name).out)


def test_a_study_prints_a_decision_of_its_schema_in_its_last_line(tmp_path, monkeypatch):
    """A program reads the last line, whatever stands before it, and knows each field by its schema."""
    monkeypatch.chdir(tmp_path)
    command = "sh -c 'echo score=$(( 100 * {shift} + (37 + 11 * {shift}) * {seed} % 13 ))'"
    asked = ("ablate", "shift", "0", "9", "--run", command, "--metric", "score", "--goal", "min", "--seeds", "3")
    done = run_here(*asked, "--no-audit", "--json", "--fail-on", "worse,undecided")
    decision = json.loads(done.out.splitlines()[-1])["decision"]
    fields = schema("decision")["properties"]
    assert decision.keys() == fields.keys()
    assert all(one["description"] for one in fields.values())
    assert decision["verdict"] in fields["verdict"]["enum"]
    assert (decision["verdict"], decision["arm"], decision["goal"], done.code) == ("WORSE", "9", "min", 3)
    assert decision["low"] < decision["difference"] < decision["high"]


def test_what_would_decide_an_open_arm_looks_after_each_block(tmp_path, monkeypatch):
    """As many trials as the plan says; the table has the same command, and what a second chance costs."""
    monkeypatch.chdir(tmp_path)
    command = "sh -c 'echo score=$(( {shift} + (37 + 11 * {shift}) * {seed} % 13 ))'"
    asked = ("ablate", "shift", "0", "9", "--run", command, "--metric", "score", "--goal", "min", "--seeds", "3")
    table = json.loads(run_here(*asked, "--no-audit", "--json").out.splitlines()[-1])
    decision = table["decision"]
    assert decision["verdict"] == "UNDECIDED"
    most = 2 * decision["blocks_likely"]
    assert decision["next_command"].endswith(f"--until-decided --max-trials {most}")
    assert "--seeds" not in decision["next_command"]
    assert (
        f"To decide: --until-decided --max-trials {most} looks after each block" in run_here(*asked, "--no-audit").out
    )


@pytest.mark.parametrize(
    ("verdicts", "failing", "code"),
    [
        (["BETTER", "UNDECIDED", "WORSE"], "worse,undecided", 3),
        (["BETTER", "UNDECIDED", "WORSE"], "undecided", 4),
        (["SAME"], "worse", None),
        (["SAME"], " Same ", 3),
        (["WORSE"], None, None),
    ],
)
def test_a_verdict_fails_where_it_is_named(verdicts, failing, code):
    """Code 3 says that the change is no gain, 4 that nobody knows yet; the first outweighs the second."""
    if code is None:
        fail_if(verdicts, parse_fail_on(failing))
        return
    with pytest.raises(typer.Exit) as ended:
        fail_if(verdicts, parse_fail_on(failing))
    assert ended.value.exit_code == code


def test_a_verdict_that_cannot_fail_is_refused():
    """`--fail-on better` is a mistake, not a gate that never closes."""
    with pytest.raises(UsageError, match="better: give worse, same, undecided"):
        parse_fail_on("worse,better")


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("ablate", "lr=1e-3,1e-2", "--json"), "lr=1e-3,1e-2", "eailab ablate lr 1e-3 1e-2 --json"),
        (("verify", "--json"), "REPORT is missing", "eailab verify report/report.html --retrain 64/0"),
        (("verify", "nowhere.html", "--json"), None, None),
    ],
)
def test_an_error_is_json_too_where_json_was_asked_for(words, what, fix):
    """Who reads only standard output learns what was wrong, and what to run instead."""
    done = run_here(*words)
    told = json.loads(done.out.splitlines()[-1])
    assert told["error"].keys() == schema("error")["properties"]["error"]["properties"].keys()
    assert told["error"]["exit_code"] == done.code == 2
    assert what is None or told["error"]["what"] == what
    assert fix is None or told["error"]["fix"] == fix
    assert done.err.startswith("error: ")


def test_an_unknown_schema_is_refused_with_the_nearest_name():
    """A slip of the keyboard is answered by the name that was meant."""
    done = run_here("schema", "decison")
    assert done.code == 2
    assert "decision" in done.err
