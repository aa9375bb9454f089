"""What a runs folder keeps of a program: how it reports, of which code its trials are, and what it writes beside it."""

import pytest

from eailab.engines.named_metrics import declare
from eailab.engines.program import known
from eailab.engines.program.identity import identify
from eailab.engines.program.known import Known, changes_since, identity_of, inputs_of
from eailab.engines.program.reading import ReportingRules
from eailab.errors import DataError
from eailab.recipe.of_command import recipe_of_command

WANTED = ReportingRules((declare("loss"),))


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print(1)\n")
    return recipe_of_command("sh train.py {seed}", {"metric": "loss"}, {})


def test_the_way_of_the_first_trial_is_that_of_later_ones(recipe, tmp_path):
    trial = Known(recipe, tmp_path / "runs", WANTED)
    assert trial.way is None
    trial.keep("stderr")
    Known(recipe, tmp_path / "runs", WANTED).keep("log")
    assert Known(recipe, tmp_path / "runs", WANTED).way == "stderr"
    assert Known(recipe, tmp_path / "runs", ReportingRules((declare("acc"),))).way is None


def test_other_code_may_report_in_another_way(recipe, tmp_path):
    Known(recipe, tmp_path / "runs", WANTED).keep("stdout")
    (tmp_path / "train.py").write_text("print(2)\n")
    assert Known(recipe, tmp_path / "runs", WANTED).way is None


def test_a_damaged_record_is_none(recipe, tmp_path):
    Known(recipe, tmp_path / "runs", WANTED).keep("stdout")
    for file in (tmp_path / "runs" / "programs").iterdir():
        file.write_text("[")
    assert Known(recipe, tmp_path / "runs", WANTED).way is None


def test_what_has_changed_since_earlier_trials_is_said(recipe, tmp_path):
    before = Known(recipe, tmp_path / "runs", WANTED).identity.fingerprint

    def changed():
        return changes_since(identity_of(recipe, tmp_path / "runs"), tmp_path / "runs", before)

    assert changed() == []
    (tmp_path / "train.py").write_text("print(1)  # as before\n")
    assert changed() == []
    (tmp_path / "train.py").write_text("print(2)\n")
    (tmp_path / "model.py").write_text("")
    assert changed() == [
        "train.py has changed",
        "model.py is new",
    ]
    assert changes_since(identity_of(recipe, tmp_path / "runs"), tmp_path / "runs", "not known") == []


def test_what_a_program_writes_is_no_part_of_its_code_from_then_on(recipe, tmp_path):
    trial = Known(recipe, tmp_path / "runs", WANTED)
    (tmp_path / "config.json").write_text("{}")
    trial.check_code()
    assert identity_of(recipe, tmp_path / "runs").fingerprint == trial.identity.fingerprint


def test_code_that_is_edited_while_its_program_runs_spoils_the_trial(recipe, tmp_path):
    trial = Known(recipe, tmp_path / "runs", WANTED)
    (tmp_path / "train.py").write_text("print(2)\n")
    with pytest.raises(DataError, match=r"while the program ran, train\.py has changed: start the command again\.$"):
        trial.check_code()


def test_data_that_change_while_their_program_runs_spoil_the_trial(tmp_path, monkeypatch):
    """So does a program that writes into its own data, which the message names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.csv").write_text("1,2\n")
    recipe = recipe_of_command("sh -c 'echo {seed}'", {"metric": "loss", "data": ["digits.csv"]}, {})
    trial = Known(recipe, tmp_path / "runs", WANTED)
    (tmp_path / "digits.csv").write_text("1,2,3\n")
    with pytest.raises(DataError, match=r"digits\.csv has changed: .* itself writes does not belong to --data\."):
        trial.check_code()


def test_a_trial_that_starts_takes_what_was_found_just_before(recipe, tmp_path, monkeypatch):
    """The files are looked at before a trial and after it, not twice before it; an old finding is no use to it."""
    asked = []
    monkeypatch.setattr(known, "identify", lambda *words, **how: asked.append(1) or identify(*words, **how))
    runs = tmp_path / "runs"
    fingerprint = inputs_of(recipe, runs)
    assert Known(recipe, runs, WANTED).identity.fingerprint == fingerprint
    assert len(asked) == 1
    (tmp_path / "train.py").write_text("print(2)\n")
    assert Known(recipe, runs, WANTED).identity.fingerprint != fingerprint
    monkeypatch.setattr(known, "FRESH_SECONDS", 0.0)
    before = inputs_of(recipe, runs)
    (tmp_path / "train.py").write_text("print(3)\n")
    assert Known(recipe, runs, WANTED).identity.fingerprint != before


def test_a_runs_folder_is_not_code(recipe, tmp_path):
    before = identity_of(recipe, tmp_path / "runs").fingerprint
    for folder in ("runs/trials/a", "runs/studies", "old/trials/b", "old/studies"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "runs" / "trials" / "a" / "result.json").write_text("{}")
    (tmp_path / "old" / "trials" / "b" / "result.json").write_text("{}")
    assert identity_of(recipe, tmp_path / "elsewhere").fingerprint == before


def test_trials_planned_before_their_program_wrote_a_file_of_settings_go_on(recipe, tmp_path):
    """A result.json of an earlier run counts as code when trials are planned, and is written again by the first."""
    runs = tmp_path / "runs"
    for name in ("result.json", "more.json"):
        (tmp_path / name).write_text('{"before": 1}')
    planned = inputs_of(recipe, runs)
    for name in ("result.json", "more.json"):
        trial = Known(recipe, runs, WANTED)
        (tmp_path / name).write_text('{"now": 1}')
        trial.check_code()
        assert inputs_of(recipe, runs) == planned

    # In the store of an audit, which lies in this one, too.
    for folder in ("trials", "studies", "audits/trials"):
        (runs / folder).mkdir(parents=True, exist_ok=True)
    assert inputs_of(recipe, runs / "audits") == planned

    # Code that a person changes is other code, and only that is said.
    (tmp_path / "train.py").write_text("print(2)\n")
    assert inputs_of(recipe, runs) != planned
    assert changes_since(identity_of(recipe, runs), runs, planned) == ["train.py has changed"]
