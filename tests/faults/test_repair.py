"""What is damaged is found, named, set aside and made again; nothing else is, and no reader changes anything."""

import json
import re
import shutil
from pathlib import Path

import checks
import pytest
from checks import SMALL, SMALL_STUDY

pytestmark = pytest.mark.usefixtures("forked")
VOUCHED = ("result.json", "epochs.jsonl", "recipe.yaml", "predictions.npz", "model.safetensors")


def test_a_damaged_epoch_beside_a_whole_checkpoint_costs_no_training(folder):
    """The checkpoint carries the epochs before it; the damage is said of the file that has it."""
    wrong, said = checks.after_a_damaged_epoch(folder / "runs", folder / "quiet")
    assert wrong == []
    (reason,) = said
    assert "epochs.jsonl:1 is damaged" in reason
    assert "set aside as epochs.jsonl.damaged-1" in reason
    assert len(list((folder / "runs").glob("trials/*/*.damaged-*"))) == 1


@pytest.mark.parametrize("damage", [checks.flip_half, Path.unlink], ids=["flipped", "missing"])
@pytest.mark.parametrize("name", VOUCHED)
def test_the_file_that_is_damaged_is_set_aside_and_said_and_the_trial_has_the_same_bytes_again(
    sound, folder, name, damage
):
    if (name, damage) == ("result.json", Path.unlink):
        pytest.skip("a trial without a result is not damaged")
    shutil.copytree(sound.root, folder / "runs")
    assert checks.after_one_damage(folder / "runs", sound.truth, name, damage) == []


def test_planning_listing_reporting_and_verifying_write_nothing(small_store, eailab):
    """A dry run that set a damaged result aside once changed a verdict, and said that nothing was written."""
    checks.damage_of_every_kind(small_store)
    trial = min(path.name for path in (small_store / "trials").iterdir())
    table = next(small_store.glob("studies/digits*/table.json"))
    reading = [
        ("ablate", *SMALL_STUDY, "--dry-run"),
        ("ablate", "batch-size", "16", "32", *SMALL, "--dry-run", "--json", "--budget", "20s"),
        ("explain", "digits-mlp", "mnist-mlp", "-o", "data.name=digits", "--dry-run"),
        ("runs", "list"),
        ("runs", "show", trial),
        ("runs", "verify"),
        ("report", "--out", "out", *(f"--format={one}" for one in ("markdown", "html", "latex", "csv", "json"))),
        ("report", "--out", "out", "--export", "csv"),
        ("verify", str(table)),
    ]
    assert checks.changed_by(eailab, small_store, reading) == {}


def test_a_dry_run_names_the_damage_and_what_will_be_done(small_store, eailab):
    (trial, *_) = sorted((small_store / "trials").iterdir())
    checks.flip_half(trial / "model.safetensors")
    planned = eailab("ablate", *SMALL_STUDY, "--dry-run")
    assert f"{trial.name}/model.safetensors differs from the checksum" in planned.err
    assert "trained again" in planned.err
    assert "nothing was written" in planned.out


@pytest.mark.parametrize("loss", ["1e999", "null"])
def test_what_a_report_leaves_out_the_study_s_own_command_trains_again(small_store, eailab, loss):
    """A file of epochs that cannot be was sealed again: its checksum holds, and nothing else does."""
    (trial, *_) = sorted((small_store / "trials").iterdir())
    checks.seal_epochs_again(trial, lambda body: re.sub(r'("train_loss": )[^,]+', rf"\g<1>{loss}", body))
    assert "1 trial is damaged" in eailab("report", "--out", "out").out
    again = eailab("ablate", *SMALL_STUDY)
    assert f"{trial.name}/epochs.jsonl" in again.err
    assert "1 trial is damaged" not in again.out
    assert eailab("runs", "verify").code == 0


def test_a_table_that_lacks_a_damaged_trial_says_so_at_the_verdict_in_every_format(small_store, eailab):
    folder = next(small_store.glob("studies/*"))
    arms = json.loads((folder / "table.json").read_text())["arms"]
    (baseline,) = (arm for arm in arms if arm["is_baseline"])
    checks.flip_half(small_store / "trials" / baseline["by_block"][0]["fingerprint"] / "predictions.npz")
    formats = ("markdown", "html", "latex", "json")
    shown = eailab("report", "--out", "out", *(f"--format={one}" for one in formats))
    name = f"{baseline['label']}/0"
    said = f"1 trial is damaged ({name}) and left out of every number and verdict"
    verdict = r"against (the baseline )?\S+.*without block 0 of the baseline, which is damaged"
    assert said in shown.out
    assert "without block 0 of the baseline, which is damaged" in shown.out
    for suffix in ("md", "html", "tex"):
        text = Path(f"out/report.{suffix}").read_text().replace("\\_", "_")
        assert said in text, suffix
        assert re.search(verdict, text), suffix
    (other,) = (
        arm
        for arm in json.loads(Path("out/report.json").read_text())["studies"][0]["arms"]
        if arm not in arms[:0] and not arm["is_baseline"]
    )
    assert (other["verdict"], other["damage"]) == ("SCREEN", ["without block 0 of the baseline, which is damaged"])
    chinese = eailab("report", "--out", "zh", "--lang", "zh-TW", "--format", "markdown")
    assert chinese.code == 0
    assert f"有 1 次試驗損壞（{name}）" in Path("zh/report.md").read_text()


def test_a_damaged_plan_is_found_and_noted_in_its_own_study(small_store, eailab):
    frozen = eailab("ablate", *SMALL_STUDY, "--seeds", "3", "--freeze", "-m", "none is better")
    assert frozen.code == 0
    (plan,) = small_store.glob("plans/*.yaml")
    checks.flip(plan, plan.read_bytes().index(b"none"))
    assert eailab("runs", "verify").code == 1
    shown = eailab("report", "--out", "out")
    assert shown.code == 0
    assert f"Damaged plan: plans/{plan.name} names this study and no longer holds" in " ".join(shown.out.split())
    other = eailab("ablate", "lr", "0.001", "0.01", *SMALL, "--seeds", "1", "--jobs", "1")
    assert (other.code, "Damaged plan" in other.out) == (0, False)
    assert eailab("runs", "verify", "--repair").code == 0
    assert eailab("runs", "verify").code == 0


@pytest.mark.draws
def test_a_damaged_figure_is_drawn_again_and_never_handed_on(small_store, eailab):
    """Its bytes are held to those that were drawn."""
    assert checks.damaged_figures_handed_on(eailab, small_store) == ([], [])


@pytest.mark.draws
def test_a_report_says_which_figure_was_damaged(small_store, eailab):
    (figure,) = small_store.glob("studies/*/figures/curves.png")
    checks.flip_half(figure)
    assert "curves.png has other bytes than were drawn. The figures were drawn again." in eailab("report").err
