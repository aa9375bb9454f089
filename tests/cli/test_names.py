"""`[STUDY/]ARM/BLOCK` names a trial in every command that takes one."""

import pytest
from PIL import Image

COMMANDS = {
    "show": ["runs", "show", "TRIAL"],
    "predict": ["predict", "TRIAL", "black.png"],
    "export": ["export", "TRIAL", "--to", "safetensors"],
    "diff": ["diff", "TRIAL", "32/0"],
    "diff, the other": ["diff", "32/0", "TRIAL"],
    "verify": ["verify", "report/report.md", "--retrain", "TRIAL"],
    "rm": ["runs", "rm", "TRIAL", "--yes"],
}


@pytest.fixture
def study(eailab, tmp_path):
    """A store with a study of two arms in one block, and a report."""
    done = eailab(
        "ablate", "batch-size", "16", "32", "--recipe", "digits-mlp", "-o", "epochs=1", "--seeds", "1", "--jobs", "1"
    )
    assert done.code == eailab("report").code == 0
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    return "digits-mlp-batch-size"


def test_every_command_finds_a_trial_by_its_name_and_answers_another_alike(eailab, study):
    def run(command, name):
        return eailab(*(name if word == "TRIAL" else word for word in command))

    for title, command in COMMANDS.items():
        wrong = run(command, "64/0")
        assert wrong.code == 2
        assert "is called '64/0': write [STUDY/]ARM/BLOCK or the beginning of a fingerprint" in wrong.err, title
        assert "32/0" in wrong.err, title
        done = run(command, f"{study}/16/0" if title in ("export", "diff", "rm") else "16/0")
        assert done.code == 0, (title, done.err)
