"""`--run`: a training program of one's own, from the words of the command to verdicts, in a folder of its own."""

import json
import re
import sys
from pathlib import Path

import pytest

PYTHON = f"{sys.executable} -I -S"
TRAIN = """
import random, sys
lr, seed = float(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
block, own = chance.gauss(0, 0.05), random.Random(f"{seed} {lr}").gauss(0, 0.002)
for epoch in (1, 2, 3):
    print(f"epoch {epoch} val_acc: {0.6 + 0.1 * (lr < 5e-3) - 0.05 / epoch + block + own:.6f}", flush=True)
"""
"""Its value is known: 0.1 more with a small learning rate, an effect of the block, and a little noise."""


@pytest.fixture
def program(tmp_path):
    """Return a function that writes a program into the working folder, and returns the command that runs it."""

    def write(text: str = TRAIN, arguments: str = "{lr} {seed}", name: str = "train.py") -> str:
        (tmp_path / name).write_text(text)
        return f"{PYTHON} {name} {arguments}"

    return write


def table(folder: Path) -> dict:
    (file,) = folder.glob("runs/studies/*/table.json")
    return json.loads(file.read_bytes())


def test_a_program_is_compared_and_the_planted_difference_found(eailab, program, tmp_path):
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--run", program(), "--metric", "val_acc", "--unit", "share")
    assert done.code == 0, done.err
    assert "WORSE" in done.out
    assert len(list(tmp_path.glob("runs/trials/*/result.json"))) == 10
    (page,) = tmp_path.glob("runs/studies/*/report.html")
    read = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", page.read_text(), flags=re.DOTALL).lower()
    for word in ("image", "split", "accuracy", "test set", "validation", "weights", "network"):
        assert word not in done.out.lower()
        assert word not in read
    assert "epoch" not in done.out.lower()
    assert "val_acc, the last value reported, in percent" in read


def test_a_difference_without_spread_is_undecided_for_its_own_reason(eailab, program, tmp_path):
    text = TRAIN.replace("gauss(0, 0.002)", "gauss(0, 0)")
    command = ("ablate", "lr", "1e-3", "1e-2", "--run", program(text), "--metric", "val_acc", "--seeds", "3")
    assert "there is no spread to judge by" in eailab(*command).out
    assert eailab("report", "--format", "markdown").code == 0
    report = (tmp_path / "report" / "report.md").read_text()
    assert "UNDECIDED against 0.001, -0.1000" in report
    assert "not enough blocks" not in report


def test_a_trial_is_shown_without_what_a_program_lacks(eailab, program):
    assert eailab("ablate", "lr", "1e-3", "1e-2", "--run", program(), "--metric", "val_acc", "--seeds", "2").code == 0
    shown = eailab("runs", "show", "0.01/1").out
    assert not re.search(r"^(parameters|packages)\b|None", shown, re.MULTILINE)


def test_what_has_run_is_not_run_again(eailab, program, tmp_path):
    command = ("ablate", "lr", "1e-3,1e-2", "--run", program(), "--metric", "val_acc", "--seeds", "2")
    assert eailab(*command).code == 0
    (file,) = tmp_path.glob("runs/studies/*/table.json")
    before = file.read_bytes()
    again = eailab(*command)
    assert "0 to train" in again.err
    assert file.read_bytes() == before
    more = eailab(*command[:-1], "3")
    assert "4 finished already, 2 to train" in more.err


def test_a_program_that_writes_its_result_beside_itself_is_run_and_audited_once(eailab, program, tmp_path):
    """Many do, and most have been run by hand before: the file is there when the trials are planned."""
    (tmp_path / "result.json").write_text('{"by": "hand"}')
    text = TRAIN + "open('result.json', 'w').write(repr(sys.argv))\n"
    command = ("ablate", "lr", "1e-3", "1e-2", "--run", program(text), "--metric", "val_acc", "--seeds", "2")
    done = eailab(*command)
    assert done.code == 0, done.err
    assert "same seed twice: passed" in done.out
    assert "4 finished already, 0 to train" in eailab(*command).err


def test_a_report_of_it_verifies(eailab, program):
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--run", program(), "--metric", "val_acc", "--seeds", "2")
    page = done.out.splitlines()[-1].split()[-1]
    verified = eailab("verify", page)
    assert verified.code == 0, verified.out + verified.err


def test_a_trial_run_again_gives_the_same_values_whatever_else_it_prints(eailab, program):
    text = TRAIN + "import time\nprint(time.time_ns())\n"
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--run", program(text), "--metric", "val_acc", "--seeds", "2")
    again = eailab("verify", done.out.splitlines()[-1].split()[-1], "--retrain", "0.01/1")
    assert again.code == 0, again.out + again.err
    assert "0.01/1 trained again" in again.out


def test_a_program_may_report_by_the_file_that_its_environment_names(eailab, program, tmp_path):
    text = TRAIN.replace("for epoch", "import json, os; log = open(os.environ['EAILAB_METRICS'], 'a')\nfor epoch")
    text = text.replace('print(f"epoch {epoch} val_acc: {', "log.write(json.dumps(dict(epoch=epoch, val_acc=")
    text = text.replace(':.6f}", flush=True)', ')) + "\\n")')
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--run", program(text), "--metric", "val_acc", "--seeds", "2")
    assert done.code == 0, done.err
    curves = [json.loads(file.read_bytes()) for file in tmp_path.glob("runs/trials/*/curves.json")]
    assert [one["way"] for one in curves] == ["log"] * 4
    assert all([step for step, _ in one["curves"]["val_acc"]] == [1, 2, 3] for one in curves)


def test_the_best_value_is_called_a_selection(eailab, program):
    command = (
        "ablate",
        "lr",
        "1e-3",
        "1e-2",
        "--run",
        program(),
        "--metric",
        "val_acc",
        "--seeds",
        "2",
        "--at",
        "best",
    )
    assert "the best of the values reported, which is a selection" in " ".join(eailab(*command).out.split())


def test_commands_may_be_the_arms(eailab, program):
    base, other = program(arguments="1e-3 {seed}"), program(arguments="1e-2 {seed}")
    done = eailab("ablate", "--arm", f"small={base}", "--arm", f"large={other}", "--metric", "val_acc")
    assert done.code == 0, done.err
    assert "WORSE" in done.out
    assert "small" in done.out


def test_noise_of_a_program(eailab, program):
    done = eailab("noise", "--run", program(arguments="1e-3 {seed}"), "--metric", "val_acc", "--seeds", "4")
    assert done.code == 0, done.err
    assert "val_acc" in done.out


def test_a_program_that_fails_is_shown_with_its_last_lines_and_the_others_go_on(eailab, program, tmp_path):
    text = "import sys\nif sys.argv[1] == '0.01': sys.exit('no such rate')\n" + TRAIN
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--run", program(text), "--metric", "val_acc", "--seeds", "2")
    assert done.code == 1
    assert "no such rate" in done.err
    assert "ended with code 1" in done.err
    assert len(list(tmp_path.glob("runs/trials/*/result.json"))) == 2


def test_a_program_that_does_not_report_its_metric_is_told_what_it_reports(eailab, program):
    command = program("print('val_acx: 0.5')", "{lr} {seed}")
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--run", command, "--metric", "val_acc", "--seeds", "2")
    assert done.code == 1
    assert "val_acx" in done.err


WAITS = """
import pathlib, sys, time
lr, seed = float(sys.argv[1]), int(sys.argv[2])
with open("ran", "a") as file:
    file.write(f"{lr:g}/{seed} ")
print("begun", flush=True)
while lr == 0.01 and seed == 1 and not pathlib.Path("go").exists():
    time.sleep(0.01)
print("loss", lr * (seed + 1))
"""
"""It waits for a file in one trial, and lists the trials that were run."""


def test_a_program_that_runs_into_its_time_limit_counts_like_a_diverged_one(eailab, program, tmp_path):
    """It is a result, with exit code 1, until there is more time; the limit is not part of the trial's name."""
    arguments = ("ablate", "lr", "1e-3", "1e-2", "--run", program(WAITS, "{lr} {seed}"), "--metric", "loss")
    arguments += ("--seeds", "3", "--no-audit", "--margin", "9")

    def run(*limit):
        (tmp_path / "ran").unlink(missing_ok=True)
        done = eailab(*arguments, *limit)
        (table,) = tmp_path.glob("runs/studies/*/table.json")
        ran = (tmp_path / "ran").read_text().split() if (tmp_path / "ran").exists() else []
        return done, json.loads(table.read_text())["arms"][1], ran

    # It is ended, its output is shown, the other trials are run, and nothing speaks for its arm.
    done, arm, ran = run("--timeout", "1s")
    assert done.code == 1
    assert "timed out (recorded as a result; the study continues)" in done.err
    assert "ran longer than 1s" in done.err
    assert "begun" in done.err
    assert "1 trial timed out (after 1 s)" in done.err
    assert len(ran) == 6
    assert [one["state"] for one in arm["by_block"]] == ["finished", "timed-out", "finished"]
    assert arm["by_block"][1]["reason"] == "it was ended after its time limit, 1 s"
    assert (arm["trials"], arm["timed_out"], arm["diverged"], arm["missing"]) == (2, 1, 0, 0)
    assert arm["verdict"] == "UNDECIDED"
    assert arm["withheld"] == "SAME holds only for the trials that have not timed out"
    assert "1 of 3 timed out: numbers are of the others" in arm["notes"]

    # Without more time it stays as it is, in every place that shows it.
    done, again, ran = run("--timeout", "0.5s")
    assert (done.code, again, ran) == (1, arm, [])
    assert eailab("runs", "list", "--state", "timed-out").out.count("timed-out 0/1") == 1
    assert eailab("runs", "verify").code == 0
    eailab("report", "--lang", "zh-TW", "--format", "markdown")
    assert "3 次中有 1 次逾時：數字只含其餘各次" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")

    # With more time it is run again, under the same name.
    names = {folder.name for folder in tmp_path.glob("runs/trials/*")}
    (tmp_path / "go").touch()
    done, arm, ran = run("--timeout", "1m")
    assert done.code == 0, done.err
    assert "1 trial timed out before and will be run again with more time" in done.err
    assert ran == ["0.01/1"]
    assert (arm["trials"], arm["timed_out"]) == (3, 0)
    assert {folder.name for folder in tmp_path.glob("runs/trials/*")} == names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lr", "1", "2", "--run", "true {lr} {seed}"), "--metric is missing"),
        (("lr", "1", "2", "--run", "true {lr}", "--metric", "loss", "--no-audit"), "no {seed}"),
        (("lr", "1", "2", "--run", "true {lrr} {seed}", "--metric", "loss"), "{lrr} has no value; did you mean 'lr'?"),
        (("lr", "1", "2", "--run", "true {seed}", "--metric", "loss"), "lr is not in the command"),
        (("lr", "1", "2", "--run", "true '{lr} {seed}", "--metric", "loss"), "open quote"),
        (("lr", "1", "2", "--run", "no-such-program {lr} {seed}", "--metric", "loss"), "no-such-program"),
        (("lr", "1", "2", "--run", "true {lr} {seed}", "--metric", "wobble"), "--goal"),
        (("lr", "1", "2", "--timeout", "3m"), "--timeout needs a program"),
        (("lr", "1", "2", "--try"), "--try needs a program"),
        (("lr", "1", "2", "--keep-code"), "--keep-code needs a program"),
        (("--arm", "a=true {seed}", "--metric", "loss"), "two or more"),
        (("--arm", "true {seed}", "--metric", "loss"), "write a name, =, and a command"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(eailab, tmp_path, arguments, said):
    done = eailab("ablate", *arguments)
    assert done.code == 2, done.err
    assert said in done.err
    assert not (tmp_path / "runs" / "trials").exists()


def test_a_dry_run_takes_its_time_from_other_settings_of_the_same_program(eailab):
    """A program is never run only to time it; one that has run in this store is timed already."""
    study = ("ablate", "lr", "--run", "sh -c 'echo loss {lr}.{seed}'", "--metric", "loss", "--no-audit")
    assert "time:     not known" in eailab(*study, "3", "4", "-n").out
    assert eailab(*study, "1", "2", "--seeds", "1").code == 0
    done = eailab(*study, "3", "4", "-n", "--json")
    arms = json.loads(done.out)["studies"][0]["arms"]
    assert [arm["seconds_from"] for arm in arms] == ["store, other settings"] * 2
    assert all(arm["seconds"] > 0 for arm in arms)


def test_a_dry_run_prints_the_exact_commands_and_runs_nothing(eailab, tmp_path):
    run = f"sh -c 'touch {tmp_path}/ran; echo loss 1' {{lr}} {{seed}}"
    done = eailab("ablate", "lr", "1e-3", "1e-2", "--run", run, "--metric", "loss", "--seeds", "2", "-n")
    assert done.code == 0, done.err
    assert f"sh -c 'touch {tmp_path}/ran; echo loss 1' 0.01 1" in done.out
    assert done.err.count("what sh starts is not known") == 1
    assert not (tmp_path / "ran").exists()


def test_trying_shows_what_is_read_and_keeps_the_time_for_plans(eailab, program, tmp_path):
    study = ("ablate", "lr", "1e-3", "1e-2", "--run", program(), "--metric", "val_acc")
    done = eailab(*study, "--try")
    assert done.code == 0, done.err
    assert "train.py 0.001 0" in done.out
    assert "on standard output" in done.out
    assert "the last of 3 values" in done.out
    (kept,) = (tmp_path / "runs").glob("*/*")
    seconds = json.loads(kept.read_text())["seconds"]
    arms = json.loads(eailab(*study, "-n", "--json").out)["studies"][0]["arms"]
    assert [(arm["seconds_from"], arm["seconds"]) for arm in arms] == [("--try", round(seconds, 3))] * 2


def test_a_program_that_fails_is_started_again_as_often_as_was_asked(eailab, program, tmp_path):
    text = (
        "import pathlib, sys\nlog = pathlib.Path('log')\nlog.open('a').write('x')\n"
        "print('loss', len(log.read_text()))\nsys.exit(len(log.read_text()) % 3 != 0)"
    )
    command = program(text, "{lr} {seed}")
    options = ("--run", command, "--metric", "loss", "--seeds", "1", "--retries")
    assert eailab("ablate", "lr", "1", "2", *options, "1").code == 1
    (tmp_path / "log").unlink()
    done = eailab("ablate", "lr", "3", "4", *options, "2")
    assert done.code == 0, done.err
    assert "It is started again." in done.err


def test_changed_code_is_said_and_run_unless_the_old_trials_are_kept(eailab, program, tmp_path):
    command = ("ablate", "lr", "1e-3", "1e-2", "--run", program(), "--metric", "val_acc", "--seeds", "2")
    assert eailab(*command).code == 0
    program("# only a comment\n" + TRAIN)
    assert "0 to train" in eailab(*command).err
    program(TRAIN.replace("0.1", "0.2"))
    kept = eailab(*command, "--keep-code")
    assert "0 to train" in kept.err
    again = eailab(*command)
    assert "train.py has changed since this study was last run" in again.err
    assert "--keep-code" in again.err
    assert "4 to train" in again.err
    assert len(list(tmp_path.glob("runs/trials/*/result.json"))) == 8


def test_a_program_with_checkpoints_of_its_own_goes_on(eailab, program, tmp_path):
    """A trial that failed is started again with its old `{out}`, and is told so."""
    text = (
        "import os, pathlib, sys\nkept = pathlib.Path(sys.argv[3]) / 'state'\n"
        "if not kept.exists():\n    kept.write_text('1')\n    sys.exit(1)\n"
        "assert os.environ['EAILAB_RESUME'] == '1'\nprint('loss', 1)"
    )
    command = (
        "ablate",
        "lr",
        "1",
        "2",
        "--run",
        program(text, "{lr} {seed} {out}"),
        "--metric",
        "loss",
        "--seeds",
        "1",
    )
    assert eailab(*command).code == 1
    assert eailab(*command).code == 0


def test_a_recipe_of_a_program_is_run_as_any_other(eailab, program, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        f"name: mine\nengine: program\nrun: {program()}\nsettings: {{lr: 1e-3}}\nmetric: val_acc\nunit: share\n"
    )
    command = ("ablate", "lr", "1e-3", "1e-2", "--recipe", "mine.yaml", "--seeds", "2")
    assert "only its time was kept" in eailab(*command, "--try").out
    done = eailab(*command, "--retries", "1")
    assert done.code == 0, done.err
    assert "mine-lr" in done.out
    program(TRAIN.replace("0.1", "0.2"))
    assert "0 to train" in eailab(*command, "--keep-code").err


def test_other_metrics_have_units_of_their_own(eailab, program):
    """The unit is that of the judged metric: a loss next to it may be above 1, and needs no --goal."""
    text = "import sys\nfor n in 1, 2: print('epoch', n, 'val_acc', 1 / (n + int(sys.argv[2])), 'n', 7)"
    command = ("ablate", "lr", "1", "2", "--run", program(text), "--seeds", "2", "--no-audit")
    done = eailab(*command, "--metric", "val_acc", "--metric", "n", "--unit", "share", "--at", "best")
    assert done.code == 0, done.err
    assert "a selection" in done.out
