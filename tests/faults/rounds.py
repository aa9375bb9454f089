"""Rounds of two to four commands at once on one study or on studies that overlap: `rounds.py [ROUNDS]`.

The fault suite plays a few of them, and 60 in its long form; as a program it plays 60 real ones and says what was lost.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from eailab.report.verify import verify
from eailab.runs.context import RunContext
from eailab.studies.storage import read_record

FACTORS = {"batch_size": ("batch-size", "16", "32"), "optimizer.lr": ("lr", "0.001", "0.01")}
"""Of the studies, by the paths of their factors; the two share their baseline."""

BOTH = (*FACTORS["batch_size"], "--and", "lr=0.001,0.01")


@dataclass(frozen=True)
class Command:
    """One command of a round."""

    factors: tuple[str, ...]
    """What its studies vary."""
    blocks: tuple[int, ...]
    wait: float
    """Seconds before it starts."""
    jobs: int

    @property
    def words(self):
        """The command line, without the program's name."""
        named = BOTH if len(self.factors) > 1 else FACTORS[self.factors[0]]
        seeds = ",".join(map(str, self.blocks)) if len(self.blocks) > 1 else "1"
        more = ("--recipe", "digits-mlp", "-o", "epochs=6", "--seeds", seeds, "--jobs", str(self.jobs), "--json")
        return ("ablate", *named, *more)


def a_round(chance, most_wait=1.0):
    """Return two to four commands; more than half of them ask for the same study."""
    kinds = [("batch_size",)] * 3 + [("optimizer.lr",), ("batch_size", "optimizer.lr")]
    return [
        Command(
            chance.choice(kinds),
            tuple(sorted({0, *chance.sample(range(6), chance.randint(0, 4))})),
            chance.uniform(0.0, most_wait),
            chance.choice([1, 1, 2]),
        )
        for _ in range(chance.randint(2, 4))
    ]


def lost(root, commands, outputs):
    """Return what a round has lost or told wrongly; each output is a command's exit code, its results and its log."""
    store, wrong = RunContext(root).store, []
    records = {str(read_record(folder).study.factor): folder for folder in store.study_folders()}
    for command, (code, out, err) in zip(commands, outputs, strict=True):
        if code or "Traceback" in err:
            wrong.append(f"{command}: exit {code}: {err[-500:]}")
            continue
        told = json.loads(out)
        wrong += [
            f"{command} printed blocks {study['blocks']} of {study['factor']}"
            for study in told.get("studies", [told])
            if not set(command.blocks) <= set(study["blocks"])
        ]
    for factor, folder in records.items():
        asked = sorted({block for one in commands if factor in one.factors for block in one.blocks})
        recorded, table = read_record(folder).study.blocks, json.loads((folder / "table.json").read_text())
        if list(recorded) != asked or table["blocks"] != asked or table["state"] != "complete":
            wrong.append(f"{factor}: asked {asked}, recorded {recorded}, table of {table['blocks']}, {table['state']}")
        checked = [(name, verify(folder / name, store)) for name in ("table.json", "table.md", "report.html")]
        wrong += [f"{folder / name}: {one.problems or one.outcome.problems}" for name, one in checked if not one.holds]
    return wrong


def start(root, command):
    """Start the program; its results and its log go to files."""
    time.sleep(command.wait)
    environment = os.environ | {"EAILAB_RUNS": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "eailab", *command.words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=root.parent,
    )


def play(root, commands):
    """Play a round with real programs; return what was lost."""
    root.mkdir(parents=True)
    processes = [start(root, command) for command in commands]
    outputs = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        outputs.append((process.returncode, out, err))
    return lost(root, commands, outputs)


def main(rounds=60, seed=0):
    """Play rounds, and return the exit code."""
    chance, wrong, commands = random.Random(seed), [], 0  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            asked = a_round(chance)
            found = play(Path(folder) / str(number) / "runs", asked)
            shutil.rmtree(Path(folder) / str(number))
            wrong, commands = wrong + found, commands + len(asked)
            sys.stdout.write(f"round {number + 1}: {len(asked)} commands, {'; '.join(found) or 'nothing lost'}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{rounds} rounds, {commands} commands, {len(wrong)} faults\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
