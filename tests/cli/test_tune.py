"""`ablate --tune`: each arm is tuned on blocks of its own, then the winners are compared on others."""

import json
import shutil

from conftest import run_here

COMMAND = "sh -c 'echo score=$(( 100 - ({x} - {best}) * ({x} - {best}) + 7 * {seed} % 3 ))'"
ASKED = (
    "ablate",
    "best",
    "3",
    "5",
    "--run",
    COMMAND,
    "--metric",
    "score",
    "--goal",
    "max",
    "--no-audit",
    "--seeds",
    "2",
)


def test_each_arm_of_a_program_is_tuned_and_a_second_run_chooses_the_same(tmp_path, monkeypatch):
    """The winners are each arm's best value; no trial of the tuning is judged, and a repeat trains nothing."""
    monkeypatch.chdir(tmp_path)
    asked = (*ASKED, "-o", "x=1", "--tune", "x=1,2,3,4,5,6,7", "--jobs", "1", "--tune-blocks", "2")
    done = run_here(*asked)
    assert done.code == 0, done.err
    (file,) = tmp_path.glob("runs/studies/*/tuning.json")
    tuning = json.loads(file.read_text())
    assert [arm["winner"] for arm in tuning["arms"]] == ["3", "5"]
    assert [len(arm["trainings"]) for arm in tuning["arms"]] == [9, 9]
    assert {one["block"] for arm in tuning["arms"] for one in arm["trainings"]} == {1000000, 1000001}
    table = json.loads((file.parent / "table.json").read_text())
    assert table["blocks"] == [0, 1]
    assert table["tuning"]["arms"][0]["values"] == ["1", "2", "3", "4", "5", "6", "7"]
    assert "was chosen in 2 blocks of its own (9 trainings an arm)" in (file.parent / "table.md").read_text()

    trials = sorted(path.name for path in tmp_path.glob("runs/trials/*"))
    before = file.read_bytes()
    shutil.rmtree(file.parent)
    assert run_here(*asked).code == 0
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("runs/trials/*")) == trials
    assert run_here("runs", "verify").code == 0


def test_unequal_tuning_is_refused_unless_it_is_asked_for_and_heads_the_study(tmp_path, monkeypatch):
    """The arm that is tuned more looks better than it is."""
    monkeypatch.chdir(tmp_path)
    asked = (*ASKED, "-o", "x=1", "--tune", "5:x=4,5,6", "--tune-blocks", "1", "--jobs", "1")
    refused = run_here(*asked)
    assert (refused.code, "not tuned alike" in refused.err) == (2, True)
    assert not (tmp_path / "runs").exists()
    assert run_here(*asked, "--tune-unequal").code == 0
    (file,) = tmp_path.glob("runs/studies/*/tuning.json")
    assert "UNEQUAL TUNING" in (file.parent / "table.md").read_text()
