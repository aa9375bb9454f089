"""Time what a person waits for, compared with another version of eailab: both take turns in one run.

    git worktree add ../before 88cdefa
    python benchmarks/house.py --before ../before [--rounds 7] [--json FILE]

The commands: `--help`, the README's first study, the same again, 300 small trials, `report` over 300 trials
(its figures drawn, and there already) and `runs list` of 1,000. Each is a process of its own, with one
interpreter and one set of packages for both versions. The stores are synthetic, written by the older version;
each version has its own copy. Python is to keep its compiled files (no `PYTHONDONTWRITEBYTECODE`). `--before`
at 30ca255 goes with `--only again small`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]

FILL = """
import sys
from pathlib import Path

sys.path.insert(0, "benchmarks")
import store as old

trials, arms = map(int, sys.argv[2:])
recipe = old.load("digits-mlp", [old.Override("epochs", 30, "-o")]).recipe
study = old.one_factor(recipe, "lr", [round(0.001 * (1 + n), 3) for n in range(arms)], range(trials // arms))
here = old.Surroundings(Path(sys.argv[1]))
planned = old.plan(study, here)
old.fill(here.store, planned.trials)
old.write_record(planned.folder, planned.record)
"""
"""By the names that `benchmarks/store.py` of the older version (88cdefa) has."""

DRAWN = ("report", "runs/studies/*/figures", "runs/studies/*/figures.json", "runs/studies/*/report.html")


@dataclass(frozen=True)
class Task:
    """A command whose time counts."""

    title: str
    words: str
    trials: tuple[int, int] | None = None
    """Of the store that it meets, and their arms; None for an empty folder."""
    removed: Sequence[str] = ()
    """Patterns of files that are removed before each run, so that it makes them again."""


TASKS = {
    "help": Task("eailab --help", "--help"),
    "first": Task(
        "the README's first study",
        "ablate batch-size 16 32 64 --recipe digits-mlp --seeds 5",
        removed=("runs", "report"),
    ),
    "again": Task(
        "the same study again, nothing to train",  # the run that does not count has trained it
        "ablate batch-size 16 32 64 --recipe digits-mlp --seeds 5",
        removed=("report",),
    ),
    "small": Task(
        "300 small trials, to the table",
        "ablate lr 0.001 0.002 0.003 --recipe digits-mlp --seeds 100",
        removed=("runs", "report"),
    ),
    "drawing": Task("report over 300 trials, figures drawn", "report", (300, 3), DRAWN),
    "report": Task("report over 300 trials, figures there", "report", (300, 3), ("report",)),
    "list": Task("runs list of 1,000 trials", "runs list", (1000, 5)),
}


def run(tree: Path, folder: Path, words: Sequence[str]) -> tuple[float, float]:
    """Run eailab of a checkout in a folder; return the seconds that passed, and those of processors."""
    environment = os.environ | {"PYTHONPATH": str(tree), "EAILAB_RUNS": "runs", "NO_COLOR": "1", "COLUMNS": "100"}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "eailab", *words], cwd=folder, env=environment, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        passed = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{tree}: eailab {' '.join(words)} failed:\n{said.read().decode()}")
    return passed, used.ru_utime + used.ru_stime


def make_store(before: Path, trials: tuple[int, int], folder: Path) -> None:
    """Fill a folder with the runs of a finished study."""
    command = [sys.executable, "-c", FILL, str(folder / "runs"), *map(str, trials)]
    subprocess.run(command, cwd=before, env=os.environ | {"PYTHONPATH": str(before)}, check=True)


def measure(task: Task, trees: dict[str, Path], rounds: int, base: Path) -> dict[str, object]:
    """Time a task with each version in turn, after a run of each that does not count."""
    (base / "before").mkdir()
    if task.trials:
        make_store(trees["before"], task.trials, base / "before")
    shutil.copytree(base / "before", base / "now")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    for number in range(rounds + 1):
        for name in list(trees) if number % 2 else list(reversed(trees)):
            for path in [path for pattern in task.removed for path in (base / name).glob(pattern)]:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            times[name].append(run(trees[name], base / name, task.words.split()))
    counted = {name: found[1:] for name, found in times.items()}
    ratios = sorted(now[0] / before[0] for now, before in zip(counted["now"], counted["before"], strict=True))
    return {
        "task": task.title,
        "command": f"eailab {task.words}",
        **{f"{name}_seconds": [round(passed, 3) for passed, _ in found] for name, found in counted.items()},
        **{f"{name}_processor_seconds": [round(used, 3) for _, used in found] for name, found in counted.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratio_least_to_most": [round(ratios[0], 3), round(ratios[-1], 3)],
    }


def commit(tree: Path) -> str:
    """Return the commit of a checkout."""
    asked = subprocess.run(["git", "-C", tree, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the version to be compared with")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    from eailab.runs.records import collect

    trees = {"before": asked.before.resolve(), "now": HERE}
    found = []
    for name in asked.only:
        with tempfile.TemporaryDirectory() as folder:
            one = measure(TASKS[name], trees, asked.rounds, Path(folder))
        found.append(one)
        medians = [statistics.median(one[f"{version}_seconds"]) for version in trees]
        least, most = one["ratio_least_to_most"]
        print(f"{one['task']}: {medians[0]:.2f} s before, {medians[1]:.2f} s now, {one['ratio']} ({least} to {most})")
    if asked.json:
        machine = collect("cpu", 1, ("numpy", "torch", "matplotlib", "typer"))
        where = {name: value for name, value in machine.items() if name != "host"}
        commits = {name: commit(tree) for name, tree in trees.items()}
        record = {"commits": commits, "where": where, "tasks": found}
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
