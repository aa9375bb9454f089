"""`ablate --tune`: each arm is tuned on blocks of its own, then the winners are compared on others."""

import json

import pytest
import yaml

COMMAND = "sh -c 'echo score=$(( 100 - ({x} - {best}) * ({x} - {best}) + 7 * {seed} % 3 ))'"
PROGRAM = ("ablate", "best", "3", "5", "--run", COMMAND, "--metric", "score", "--goal", "max", "-o", "x=1")
ASKED = (*PROGRAM, "--no-audit", "--seeds", "2", "--jobs", "1", "--tune", "x=2,3,5,6", "--tune-blocks", "2")


def test_each_arm_of_a_program_is_tuned_and_its_winner_compared(eailab, tmp_path):
    """The winners are each arm's best value, and no trial of the tuning is judged."""
    done = eailab(*ASKED)
    assert done.code == 0, done.err
    (file,) = tmp_path.glob("runs/studies/*/tuning.json")
    tuning = json.loads(file.read_text())
    assert [arm["winner"] for arm in tuning["arms"]] == ["3", "5"]
    table = json.loads((file.parent / "table.json").read_text())
    assert table["blocks"] == [0, 1]
    assert table["tuning"]["arms"][0]["values"] == ["2", "3", "5", "6"]
    assert "was chosen in 2 blocks of its own (6 trainings an arm)" in (file.parent / "table.md").read_text()


def test_a_dry_run_counts_the_trainings_of_the_tuning(eailab, tmp_path):
    """On the terminal and as JSON; nothing is trained."""
    planned = json.loads(eailab(*ASKED, "-n", "--json").out)
    assert planned["tuning"]["left"]["trials"] == 12
    assert planned["tuning"]["arms"][1] == {
        "arm": "5",
        "settings": ["settings.x"],
        "values": ["2", "3", "5", "6"],
        "trainings": 6,
        "most": 10,
    }
    assert planned["tuning"]["trials_after"] == planned["left"]["trials"] == 4
    said = eailab(*ASKED, "-n").out
    assert "tuning to train: 12 trials" in said
    assert "then the winners are compared in 4 trials" in said
    assert not (tmp_path / "runs").exists()


LINE = ("ablate", "epochs", "3", "6", "--recipe", "./line.yaml", "--jobs", "1", "-q")
TUNED = (*LINE, "--tune", "lr=0.1,0.3,0.6,1.2", "--tune-blocks", "2", "--seeds", "2")


@pytest.fixture
def line_recipe(line, eailab, tmp_path):
    (tmp_path / "line.yaml").write_text("name: line\nengine: line\nepochs: 6\n")
    return eailab


def test_a_frozen_plan_names_the_winners_and_the_arms_as_the_recipe_has_them(line_recipe, tmp_path):
    """It is written after the tuning and before any trial that it names; half a plan is refused before the tuning."""
    assert line_recipe(*TUNED, "--freeze").code == 2
    assert line_recipe(*TUNED, "-m", "longer is better").code == 2
    assert not (tmp_path / "runs").exists()
    done = line_recipe(*TUNED, "--freeze", "-m", "longer is better")
    assert done.code == 0, done.err
    assert "line-epochs-tuned-lr" in done.out
    assert len(list(tmp_path.glob("runs/trials/*"))) == 12
    (plan,) = tmp_path.glob("runs/plans/*.yaml")
    named = [one["name"] for one in yaml.safe_load(plan.read_text())["studies"]]
    assert named == ["line-epochs-tuned-lr", "line-epochs"]


def test_a_program_is_audited_before_it_is_tuned(eailab, tmp_path):
    """One that ignores its seed is found by its first trials, not after all that its tuning takes."""
    blind = "sh -c 'echo score={x}; : {seed} {best}'"
    asked = [blind if word == COMMAND else word for word in PROGRAM]
    done = eailab(*asked, "--seeds", "2", "--jobs", "1", "--tune", "x=1,2,3,4,5,6")
    assert done.code == 2
    assert "seed" in done.err
    assert len(list(tmp_path.glob("runs/trials/*"))) < 6


def test_a_tuned_study_is_reported_with_labels_and_its_trials_are_found_by_them(line_recipe, tmp_path):
    """By what its tuning tried too; where the tuning is damaged, the report has the labels all the same."""
    assert line_recipe(*TUNED).code == 0
    asked = ("report", "--format", "markdown", "--label", "3=short")
    assert line_recipe(*asked).code == 0
    for trial in ("short+0.1/1000000", "3+0.1/1000000"):
        done = line_recipe("verify", "report/report.md", "--retrain", trial)
        assert done.code == 0, done.err
    (file,) = tmp_path.glob("runs/studies/*/tuning.json")
    arms = [arm["label"] for arm in json.loads(file.read_text())["arms"]]
    file.write_text("{")
    done = line_recipe("report", "--format", "markdown", "--label", f"{arms[0]}=short")
    assert done.code == 0, done.err
    assert "| short |" in (tmp_path / "report" / "report.md").read_text()
