"""`ablate --tune`: each arm is tuned on blocks of its own, then the winners are compared on others."""

import json

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
