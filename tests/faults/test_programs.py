"""A study of a program, killed with its program at any moment: nothing is lost or doubled, and nothing runs on."""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from nursery import Program

TRAIN = """
import json, os, pathlib, random, subprocess, sys, time
lr, seed, out = float(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(30)"])
state = out / "state.json"
done = json.loads(state.read_text()) if os.environ.get("EAILAB_RESUME") and state.exists() else 0
for epoch in range(done + 1, 5):
    time.sleep(0.02)
    value = random.Random(seed).random() + 0.1 * (lr < 1e-3) + epoch
    with open(os.environ["EAILAB_METRICS"], "a") as file:
        file.write(json.dumps({"epoch": epoch, "val_acc": value}) + "\\n")
    (out / "next.json").write_text(json.dumps(epoch))
    os.replace(out / "next.json", state)
child.kill()
"""
"""It goes on from its own checkpoint, and has a child, which a killed program does not end."""
MARK = "EAILAB_TEST_OF_KILLS"
COMMAND = ("ablate", "lr", "1e-3", "1e-4", "--metric", "val_acc", "--seeds", "2", "--jobs", "1")


def marked(mark):
    """Return the processes that were started under a mark, by their numbers: those of their commands that still run."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def wait_for_none(mark):
    """Return what still runs under a mark after a while; a supervisor needs a moment to end what it watches."""
    until = time.monotonic() + 10
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def results(folder):
    """What the study has come to: its table, and each trial's curve."""
    curves = {file.parent.name: file.read_bytes() for file in folder.glob("runs/trials/*/curves.json")}
    (table,) = folder.glob("runs/studies/*/table.json")
    return table.read_bytes(), curves


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux tells which processes run")
def test_a_study_of_a_program_that_is_killed_loses_doubles_and_leaves_nothing(nursery, folder, long, tally):
    """SIGKILL, SIGTERM and SIGINT to the command, and SIGKILL to the program that it runs."""
    (folder / "train.py").write_text(TRAIN)
    command = (*COMMAND, "--run", f"{sys.executable} -S train.py {{lr}} {{seed}} {{out}}")

    def start(mark):
        return Program(nursery, "eailab", *command, folder=folder, NO_COLOR="1", **{MARK: mark})

    def ended(program):
        out, err = program.communicate(timeout=120)
        assert "Traceback" not in err, err
        return program.returncode, out, err

    began = time.monotonic()
    quiet = start("quiet")
    code, _, err = ended(quiet)
    quiet.close()
    assert code == 0, err
    whole = time.monotonic() - began
    truth = results(folder)
    assert wait_for_none("quiet") == {}
    shutil.rmtree(folder / "runs")

    chance, met = random.Random(1), Counter()  # noqa: S311 - no secret
    kinds = ["the program", signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT]
    while met.total() < (200 if long else 3):
        mark, kind = f"kill-{met.total()}-{os.getpid()}", kinds[met.total() % len(kinds)]
        program = start(mark)
        time.sleep(chance.uniform(0.0, 1.1) * whole)
        if kind == "the program":
            for number, words in marked(mark).items():
                if " train.py " in words:
                    with suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
        else:
            with suppress(ProcessLookupError):
                program.send_signal(kind)
        if kind == signal.SIGKILL:
            program.process.join(60)
            code = program.returncode
        else:
            code, _, err = ended(program)
            assert code in (0, 1, 130, 143, -kind if kind != "the program" else 1), (kind, code, err)
        program.close()
        assert wait_for_none(mark) == {}, (kind, code)
        met[getattr(kind, "name", kind)] += 1
        if code == 0:
            assert results(folder) == truth
            shutil.rmtree(folder / "runs")
    program = start("last")
    code, _, err = ended(program)
    program.close()
    assert code == 0, err
    assert results(folder) == truth
    assert [arm["trials"] for arm in json.loads(truth[0])["arms"]] == [2, 2]
    tally("kills of a study of a program", **met)
