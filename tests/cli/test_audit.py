"""`eailab audit`, and the audit before a study of a program: exit codes, what is run, what is said."""

import json
import sys
from pathlib import Path

import pytest

from eailab.engines.program import evidence
from eailab.runs.store import Store
from eailab.studies import audit_run
from eailab.studies.storage import read_record

PROGRAMS = Path(__file__).parents[1] / "programs"
METRIC = ("--metric", "val_acc")


def run(name: str, arguments: str) -> tuple[str, str]:
    return "--run", f"{sys.executable} -S {PROGRAMS / name} {arguments}"


GOOD = run("argparse_style.py", "--lr {lr} --seed {seed}")
IGNORES = run("ignores_seed.py", "--lr {lr} --seed {seed}")
LR = ("lr", "1e-3", "1e-4")


def results(folder: Path) -> tuple[int, int]:
    """How many trials the store has, and how many runs were made once more."""
    return tuple(len(list(folder.glob(f"{where}/*/result.json"))) for where in ("runs/trials", "runs/audits/trials"))


def test_an_audit_runs_as_little_as_it_needs_and_prints_a_checklist(eailab, tmp_path):
    done = eailab("audit", *LR, *GOOD, *METRIC)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "the same seed twice: passed: seed 0 twice gave the same numbers to the last digit",
        "different seeds: passed: 2 seeds gave different values, 0.014 apart",
        "different arms: passed: every arm gave numbers of its own",
        "other settings: not checked: the program leaves no configuration file in {out}",
        "correlation of blocks: not checked: too few blocks are complete",
    ]
    assert results(tmp_path) == (3, 1)
    again = eailab("audit", *LR, *GOOD, *METRIC, "--json")
    assert [one["state"] for one in json.loads(again.out)["checks"]] == ["passed"] * 3 + ["not checked"] * 2
    assert results(tmp_path) == (3, 1)


@pytest.mark.parametrize("command", ["audit", "ablate"])
def test_a_program_that_ignores_its_seed_ends_with_code_2_before_its_other_trials_run(eailab, tmp_path, command):
    eailab(command, *LR, *IGNORES, *METRIC, "--seeds", "5")
    done = eailab(command, *LR, *IGNORES, *METRIC, "--seeds", "5")
    assert done.code == 2, "also the second time"
    for word in ("ignores its seed", "{seed}", "EAILAB_SEED", "--unseeded", "--no-audit"):
        assert word in done.out + done.err
    assert results(tmp_path) == (3, 1)


def test_a_seed_that_is_ignored_is_found_although_an_arm_fails(eailab, tmp_path):
    program = "sh -c '[ {w} != 3 ] && echo val_acc: 0.{w}' {seed}"
    done = eailab("ablate", "w", "1", "2", "3", "--and", "v=1,2", "--run", f"{program} {{v}}", *METRIC, "--seeds", "5")
    assert done.code == 2
    assert "your program ignores its seed: 2 seeds gave the same numbers" in done.err
    assert results(tmp_path) == (4, 1)  # of the first block all but the one that fails, and the baseline's second


def test_what_the_audits_of_several_factors_have_in_common_is_said_once(eailab):
    program = run("argparse_style.py", "--lr {lr} --mixup {mixup} --seed {seed}")
    done = eailab("ablate", *LR, "--and", "mixup=0,0.2", *program, *METRIC, "--seeds", "2")
    assert done.err.count("audit: 2 seeds gave different values") == 1
    assert done.err.count("audit: seed 0 twice gave the same numbers") == 1


def test_without_an_audit_the_study_goes_on(eailab, tmp_path):
    done = eailab("ablate", *LR, *IGNORES, *METRIC, "--seeds", "2", "--no-audit")
    assert done.code == 0, done.err
    assert results(tmp_path) == (4, 0)


def test_the_trials_of_an_audit_are_those_of_the_study(eailab, tmp_path):
    done = eailab("ablate", *LR, *GOOD, *METRIC, "--seeds", "3")
    assert done.code == 0, done.err
    assert results(tmp_path) == (6, 1)
    assert "audit: seed 0 twice gave the same numbers" in done.err
    (table,) = tmp_path.glob("runs/studies/*/table.json")
    checks = json.loads(table.read_text())["audit"]
    assert [one["state"] for one in checks] == ["passed"] * 3 + ["not checked", "passed"]
    assert checks[0]["text"] == "seed 0 twice gave the same numbers to the last digit"
    again = eailab("ablate", *LR, *GOOD, *METRIC, "--seeds", "3")
    assert (again.code, results(tmp_path)) == (0, (6, 1))


def test_a_setting_that_changes_beside_the_factor_is_named(eailab):
    done = eailab("audit", "opt", "adamw", "sgd", *run("other_setting.py", "{opt} {seed} {out}"), *METRIC)
    assert "other settings: warning: opt is not all that differs: weight_decay (0.01 in adamw, 0 in sgd)" in done.out


def test_a_factor_without_effect_is_named(eailab):
    """Its command shows no seed: that two differ is seen."""
    done = eailab("audit", "lr", "1e-3", "2e-3", *run("notebook_style.py", "{lr}"), "--metric", "accuracy")
    assert "different seeds: passed" in done.out
    assert "different arms: warning: lr seems to have no effect: 0.001 and 0.002 gave the same" in done.out


def test_an_arm_whose_command_shows_no_seed_is_run_with_two(eailab, tmp_path):
    """It may read one from its environment; a second run tells, before the others are made."""
    arms = ("--arm", "a=sh -c 'echo loss $EAILAB_SEED'", "--arm", "b=sh -c 'echo loss 7'")
    done = eailab("ablate", *arms, "--metric", "loss", "--seeds", "4")
    assert done.code == 2
    assert "ignores its seed" in done.err
    assert len(list(tmp_path.glob("runs/trials/*/result.json"))) == 4
    other = ("--arm", "c=sh -c 'echo loss 0$EAILAB_SEED.5'")
    assert eailab("ablate", *arms[:2], *other, "--metric", "loss", "--seeds", "2").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a program of yours: --run"),
        ((*GOOD, *METRIC, "lr", "1e-3", "1e-4", "--seeds", "1"), "an audit compares two seeds or more"),
        ((*GOOD, *METRIC), "lr"),
    ],
)
def test_what_makes_no_audit_is_refused(eailab, arguments, said):
    done = eailab("audit", *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_program_that_fails_cannot_be_audited(eailab):
    done = eailab("audit", "--run", "sh -c 'echo out of memory >&2; exit 1' {seed}", *METRIC)
    assert done.code == 1
    assert "out of memory" in done.err
    assert "the audit could not be made" in done.err


def test_an_audit_of_a_long_study_reads_its_first_outputs_and_all_its_values(eailab, tmp_path, monkeypatch):
    """A report of a thousand trials would otherwise read a thousand outputs, of megabytes each."""
    looked_at = []
    read = evidence.evidence
    monkeypatch.setattr(evidence, "evidence", lambda *words: looked_at.append(words[:2]) or read(*words))
    study = ("ablate", "lr", "1", "2", "--run", "echo loss {lr}.{seed}", "--metric", "loss", "--seeds", "7")
    done = eailab(*study, "--no-audit")
    assert done.code == 0, done.err
    assert set(looked_at) == {(arm, block) for arm in ("1", "2") for block in range(5)}
    store = Store(tmp_path / "runs")
    (folder,) = store.study_folders()
    checks = {str(one.name): str(one.text) for one in audit_run.checks_of(store, read_record(folder))}
    assert checks["different seeds"] == "5 seeds gave different values, 0.4 apart"
    assert checks["correlation of blocks"].startswith("1.00 between arms")


def test_a_run_made_again_that_something_ends_is_made_once_more(eailab, tmp_path):
    """The checklist, which is in table.json, would depend on when something was killed."""
    Path("train.py").write_text(
        "import os, pathlib, sys\n"
        "starts = pathlib.Path('starts')\n"
        "starts.open('a').write('x')\n"
        "if starts.stat().st_size == 4:\n"
        "    os.kill(os.getpid(), 9)\n"
        "print('val_acc', float(sys.argv[1]) + int(sys.argv[2]) / 100)\n"
    )
    done = eailab("audit", *LR, "--run", f"{sys.executable} -S train.py {{lr}} {{seed}}", *METRIC)
    assert done.code == 0, done.err
    assert "the same seed twice: passed" in done.out
    assert Path("starts").stat().st_size == 5
