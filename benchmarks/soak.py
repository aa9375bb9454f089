"""The long form of the fault suite, and a soak: many trials, random kills, a reader that never rests.

Run:  python benchmarks/soak.py [--trials 1000] [--workers 4] [--faults]

The soak trains a study of two arms on the digits with worker processes. Passes are stopped at random, workers are
killed at random, and all the while another process reads the study as `eailab report` does. At the end every value that
the reader ever saw must be the final one, every trial must be finished, and the parent's memory and open files must not
have grown. `--faults` runs `tests/faults` in its long form first.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from eailab.errors import StoppedError
from eailab.recipe.load import Override, load
from eailab.report.findings import study_findings
from eailab.runs.events import Ended, Failed, Started, TriedAgain
from eailab.runs.executors.base import Surroundings
from eailab.runs.inspection import problems
from eailab.studies.conduct import conduct, plan
from eailab.studies.design import one_factor, read_record

KILLS_A_PASS = 2


def study(trials):
    """Two arms, in as many blocks as make so many trials."""
    small = {"epochs": 5, "model.hidden": [16]}
    recipe = load("digits-mlp", [Override(path, value, "-o") for path, value in small.items()]).recipe
    return one_factor(recipe, "lr", [0.01, 0.001], range(trials // 2))


class Watch:
    """Counts what happens in a pass, and kills a worker now and then."""

    def __init__(self, chance, stop_after, spared):
        self.chance, self.stop_after, self.spared = chance, stop_after, spared
        self.ended = self.kills = self.again = self.failed = 0

    def __call__(self, event):
        """Hear an event of a trial."""
        self.ended += isinstance(event, Ended)
        self.again += isinstance(event, TriedAgain)
        self.failed += isinstance(event, Failed)
        if isinstance(event, Started) and self.kills < KILLS_A_PASS and self.chance.random() < 0.05:
            workers = [one for one in multiprocessing.active_children() if one.pid != self.spared]
            if workers:
                os.kill(self.chance.choice(workers).pid, signal.SIGKILL)
                self.kills += 1

    def enough(self):
        """Whether this pass has lasted long enough."""
        return self.ended >= self.stop_after


def read_on(root, pipe):
    """Read the study until told to stop; send back every value that was seen of each trial, and the number of reads."""
    seen, reads = {}, 0
    while not pipe.poll():
        for folder in Surroundings(root).store.study_folders():
            for arm in study_findings(Surroundings(root).store, read_record(folder)).arms:
                for trial in arm.trials:
                    require(trial.state != "damaged", f"a reader saw damage: {trial.reason}")
                    if trial.value is not None:
                        seen.setdefault(trial.fingerprint, set()).add(trial.value)
            reads += 1
    pipe.send((seen, reads))


def require(holds, otherwise):
    """End the program where something does not hold."""
    if not holds:
        sys.exit(f"error: {otherwise}")


def own_size():
    """Megabytes in memory, and open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(list(Path("/proc/self/fd").iterdir()))


def soak(root, trials, workers):
    """Return what was found; ends the program where something was lost, doubled or wrong."""
    chance, surroundings, sizes = random.Random(0), Surroundings(root), []  # noqa: S311 - no secret
    ours, theirs = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=read_on, args=(root, theirs), daemon=True)
    reader.start()
    began, kills, again, passes = time.monotonic(), 0, 0, 0
    while True:
        planned = plan(study(trials), surroundings)
        if not planned.todo:
            break
        watch = Watch(chance, chance.randint(trials // 8, trials // 4), reader.pid)
        with suppress(StoppedError):
            conduct(planned, surroundings, workers, watch, watch.enough)
        kills, again, passes = kills + watch.kills, again + watch.again, passes + 1
        sizes.append(own_size())
        megabytes, files = sizes[-1]
        print(f"pass {passes}: {len(planned.todo)} were left, {watch.kills} kills, {megabytes:.0f} MB, {files} files")
    seconds = time.monotonic() - began
    ours.send("stop")
    seen, reads = ours.recv()
    reader.join()
    findings = study_findings(surroundings.store, planned.record)
    final = {trial.fingerprint: trial.value for arm in findings.arms for trial in arm.trials}
    require(len(final) == trials and None not in final.values(), "trials were lost")
    require(all(values == {final[name]} for name, values in seen.items()), "a reader saw another number than the last")
    require(not list(problems(surroundings.store)), "the store does not hold")
    settled = sizes[len(sizes) // 4 :]
    return {
        "trials": trials,
        "workers": workers,
        "passes": passes,
        "worker_kills": kills,
        "tried_again": again,
        "reads_meanwhile": reads,
        "seconds": round(seconds, 1),
        "parent_megabytes": [round(settled[0][0], 1), round(settled[-1][0], 1)],
        "parent_open_files": [settled[0][1], settled[-1][1]],
    }


def main():
    """Run what was asked for, and write the result beside the other benchmarks'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "soak.json")
    asked = parser.parse_args()
    if asked.faults:
        tests = [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parents[1] / "tests" / "faults")]
        subprocess.run(tests, env=os.environ | {"EAILAB_FAULTS": "long"}, check=True)
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder) / "runs", asked.trials, asked.workers)
    print(json.dumps(found, indent=2))
    asked.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
