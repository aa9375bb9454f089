"""The long form of the fault suite, and a soak: many trials, random kills, a reader that never rests.

Run:  python benchmarks/soak.py --json benchmarks/results/soak.json [--trials 1000] [--workers 4]
      python benchmarks/soak.py --faults --json benchmarks/results/faults.json
      python benchmarks/soak.py --mutations 3000 --json benchmarks/results/mutations.json

The soak trains a study of two arms on the digits with worker processes. Passes are stopped at random, workers are
killed at random, and all the while another process writes the report as `eailab report` does. At the end every value
that a report ever showed must be the final one, every trial must be finished, some that are trained once more without
disturbance must come out alike, and the parent's memory and open files must not have grown. `--faults` runs
`tests/faults` in its long form instead, and keeps what its tests counted. `--mutations` changes one value of a valid
store so many times, seals it again, and lets every command that reads meet it, with a process a core.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.etree import ElementTree as ET

from eailab.errors import StoppedError
from eailab.findings.study import study_findings
from eailab.recipe.load import Override, load
from eailab.report.formats import chosen_formats
from eailab.report.write import find_studies, write_report
from eailab.runs.context import Ended, Failed, RunContext, Started, TriedAgain
from eailab.runs.retrain import retrain
from eailab.runs.store import problems
from eailab.studies.design import one_at_a_time
from eailab.studies.factor import factor_from_text
from eailab.studies.plan import plan
from eailab.studies.run import Runner, train_plans

KILLS_A_PASS = 2
TRAINED_AGAIN = 20
"""Trials that are trained once more at the end, undisturbed."""

MUST_BE_ZERO = ("inconsistent_reports", "lost", "doubled", "damaged", "wrong")


def study(trials):
    """Two arms, in as many blocks as make so many trials."""
    small = {"epochs": 5, "model.hidden": [16]}
    recipe = load("digits-mlp", [Override(path, value, "-o") for path, value in small.items()]).recipe
    return one_at_a_time(recipe, [factor_from_text("lr", [0.01, 0.001])], range(trials // 2))[0]


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


def read_on(root, out, pipe):
    """Write the report until told to stop; send back all values seen of each trial, what was damaged, and how often."""
    seen, damaged, reads = {}, [], 0
    store = RunContext(root).store
    while not pipe.poll():
        if not store.study_folders():
            continue
        written = write_report(find_studies(store, []), out, formats=chosen_formats(["csv", "json"]))
        damaged += written.unreadable
        for trial in (trial for study in written.studies for arm in study.arms for trial in arm.trials):
            if trial.value is not None:
                seen.setdefault(trial.fingerprint, set()).add(trial.value)
            if trial.state == "damaged":
                damaged.append(trial.reason)
        reads += 1
    pipe.send((seen, damaged, reads))


def own_size():
    """Megabytes in memory, and open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(list(Path("/proc/self/fd").iterdir()))


def soak(root, trials, workers):
    """Return what was found, faults counted and not yet judged."""
    chance, context, sizes = random.Random(0), RunContext(root), []  # noqa: S311 - no secret
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    reader = spawn.Process(target=read_on, args=(root, root.parent / "report", theirs), daemon=True)
    reader.start()
    began, kills, again, failed, passes = time.monotonic(), 0, 0, 0, 0
    while True:
        planned = plan(study(trials), context)
        if not planned.todo:
            break
        watch = Watch(chance, chance.randint(trials // 40, trials // 12), reader.pid)
        with suppress(StoppedError):
            train_plans([planned], Runner(context.followed(watch, watch.enough), workers))
        kills, again, failed = kills + watch.kills, again + watch.again, failed + watch.failed
        passes += 1
        megabytes, files = own_size()
        if len(planned.todo) > 1:  # a single trial is trained by the parent itself, with the libraries that it takes
            sizes.append((megabytes, files))
        print(f"pass {passes}: {len(planned.todo)} were left, {watch.kills} kills, {megabytes:.0f} MB, {files} files")
    seconds = time.monotonic() - began
    ours.send("stop")
    seen, damaged, reads = ours.recv()
    reader.join()
    findings = study_findings(context.store, planned.record)
    final = {trial.fingerprint: trial.value for arm in findings.arms for trial in arm.trials}
    sample = chance.sample(list(plan(study(trials), context).trials), min(trials, TRAINED_AGAIN))
    settled = sizes[len(sizes) // 4 :]
    return {
        "trials": trials,
        "workers": workers,
        "passes": passes,
        "worker_kills": kills,
        "tried_again": again,
        "killed_twice": failed,
        "reports_meanwhile": reads,
        "inconsistent_reports": len(damaged) + sum(values != {final[name]} for name, values in seen.items()),
        "lost": trials - sum(value is not None for value in final.values()),
        "doubled": len(context.store.trial_names()) - trials + repeated_epochs(context.store),
        "damaged": len(list(problems(context.store))),
        "trained_again": len(sample),
        "wrong": sum(bool(differences(context, trial)) for trial in sample),
        "seconds": round(seconds, 1),
        "parent_megabytes": [round(settled[0][0], 1), round(settled[-1][0], 1)],
        "parent_open_files": [settled[0][1], settled[-1][1]],
    }


def differences(context, trial):
    """How a finished trial differs in any bit from one that nothing disturbs."""
    return retrain(trial, RunContext(context.store.root)).differences


def repeated_epochs(store):
    """Epochs that are recorded more than once."""
    counts = (Counter(epoch.number for epoch in store.folder(name).epochs()) for name in store.trial_names())
    return sum(count.total() - len(count) for count in counts)


def faults():
    """Run `tests/faults` in its long form, a line as each test ends, and return what its tests counted."""
    with tempfile.TemporaryDirectory() as folder:
        tally, report = Path(folder) / "tally.jsonl", Path(folder) / "report.xml"
        began = time.monotonic()
        tests = ["pytest", "-v", "-n", "4", f"--junitxml={report}", str(Path(__file__).parents[1] / "tests" / "faults")]
        setting = {"EAILAB_FAULTS": "long", "EAILAB_FAULTS_TALLY": str(tally)}
        code = subprocess.run([sys.executable, "-m", *tests], check=False, env=os.environ | setting).returncode
        seconds = round(time.monotonic() - began, 1)
        (suite,) = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - we have just written it
        counted = sorted((json.loads(line) for line in tally.read_text().splitlines()), key=lambda one: one["what"])
    return {
        "passed": code == 0,
        **{name: int(suite.attrib[name]) for name in ("tests", "failures", "errors")},
        "failed": sorted(case.attrib["name"] for case in suite.iter("testcase") if case.find("failure") is not None),
        "skipped": sorted(one.attrib["message"] for one in suite.iter("skipped")),
        "seconds": seconds,
        "counted": counted,
    }


def mutations(count):
    """Change one value of a store so many times, a hundred of them with processes of their own too."""
    cores, began = os.cpu_count() or 1, time.monotonic()
    program = Path(__file__).parents[1] / "tests" / "faults" / "mutations.py"
    cuts = [count * core // cores for core in range(cores + 1)]
    parts = [
        subprocess.Popen(
            [sys.executable, program, str(last - first), "--first", str(first), "--processes", str(100 // cores)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for first, last in itertools.pairwise(cuts)
    ]
    found = [json.loads(part.communicate()[0]) for part in parts]
    return {
        **{name: sum(one[name] for one in found) for name in ("mutations", "commands", "processes", "noticed")},
        "verdicts_changed": sum(one["verdicts_changed"] for one in found),
        **{name: [fault for one in found for fault in one[name]] for name in ("tracebacks", "unexplained", "written")},
        "by_kind": dict(sum((Counter(one["by_kind"]) for one in found), Counter())),
        "seconds": round(time.monotonic() - began, 1),
    }


def environment():
    """What the result was found with."""
    names = ("eailab", "numpy", "numba", "torch", "safetensors", "filelock", "hypothesis", "atheris")
    versions = {name: found for name in names if (found := installed(name)) is not None}
    return {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | versions,
        "platform": f"{sys.platform} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def installed(name):
    """The version of a package, or None where there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main():
    """Run what was asked for, write the result beside the other benchmarks', and say whether it held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--faults", action="store_true", help="the long form of tests/faults in place of the soak")
    parser.add_argument("--mutations", type=int, help="change a valid store so many times in place of the soak")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    asked = parser.parse_args()
    if asked.faults:
        found = faults()
        held = found["passed"]
    elif asked.mutations is not None:
        found = mutations(asked.mutations)
        held = not any(found[name] for name in ("tracebacks", "unexplained", "written"))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = soak(Path(folder) / "runs", asked.trials, asked.workers)
        held = not any(found[name] for name in MUST_BE_ZERO) and is_flat(found)
    found = environment() | found
    print(json.dumps(found, indent=1))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    if not held:
        sys.exit("something did not hold")


def is_flat(found):
    """Whether the parent has as many open files at the end as when it was warm, and hardly more memory."""
    (early, late), (files_early, files_late) = found["parent_megabytes"], found["parent_open_files"]
    return files_early == files_late and late <= 1.05 * early + 2


if __name__ == "__main__":
    main()
