"""Time what passes between a command and its first Ray task, and its first trial, on a cluster that runs already.

    python benchmarks/cluster.py [--json FILE] [--rounds 7]

Needs Ray (`pip install ".[ray]"`), and to be allowed namespaces: the cluster is one node on loopback in a network
of its own, with a token. Each round is the whole command `eailab ablate … --on ray://…` in a fresh process with an
empty store, timed from before its process starts. The first task has begun at the latest when its answer is there.

Beside it: what a trial costs that is sent to another machine, here and there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from eailab.data.registry import load as load_data
from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.runs.executors.cluster import Dispatcher
from eailab.runs.executors.remote_worker import Task, run, where
from eailab.runs.records import collect
from eailab.runs.trial import Trial

ADDRESS = "10.77.0.1"
TRIALS = 2000
APART = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]

COMMAND = """
import sys, time
began = float(sys.argv[1])

from eailab.runs.executors.cluster import Dispatcher

def note(name):
    real = getattr(Dispatcher, name)
    def noted(*arguments):
        print(name, time.time() - began, file=sys.stderr)
        return real(*arguments)
    setattr(Dispatcher, name, noted)

note("_scout"), note("_check_answer"), note("_tell")
from eailab.cli.app import main
sys.argv = ["eailab", *sys.argv[2:]]
main()
"""
"""The command, telling when it is connected, when the first task has answered, and when a first epoch is seen."""

MOMENTS = {"_scout": "connected", "_check_answer": "first task answered", "_tell": "first epoch seen"}


def a_round(folder: Path) -> dict[str, float]:
    """Return the seconds from the command to each moment."""
    asked = ["ablate", "lr", "1e-3", "1e-2", "--recipe", "digits-mlp", "--seeds", "1", "-o", "epochs=3"]
    where = ["--on", f"ray://{ADDRESS}:6399", "--runs", str(folder)]
    program = [sys.executable, "-c", COMMAND, repr(time.time()), *asked, *where]
    run = subprocess.run(program, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(run.stderr)
    found: dict[str, float] = {}
    for line in run.stderr.splitlines():
        name, _, seconds = line.partition(" ")
        if name in MOMENTS:
            found.setdefault(MOMENTS[name], float(seconds))
    return found


class Nowhere:
    """A backend that carries nothing."""

    worth_seconds, at_once, measures = 0.0, 1000, False

    def send(self, tasks: Sequence[Task]) -> None:
        """Let them be."""


def bookkeeping(rounds: int) -> dict[str, list[float]]:
    """Return, in seconds a trial, what is done here for one that is sent out, and there before it is trained."""
    with tempfile.TemporaryDirectory() as name:
        context = RunContext(Path(name), device="cpu")
        recipe = load("digits-mlp", [Override("epochs", 1, "-o")]).recipe
        trials = [Trial(recipe, block, load_data("digits").fingerprint) for block in range(TRIALS)]
        dispatch = Dispatcher(Nowhere(), context)
        began = time.perf_counter()
        dispatch._send_packed(trials)
        found = {"sending": [(time.perf_counter() - began) / TRIALS], "following": [], "starting a process": []}
        sent = Task("train", (trials[0].fingerprint,), where(context))
        run(sent)
        for _ in range(rounds):
            began = time.perf_counter()
            for followed in list(dispatch.out.values())[1:]:
                dispatch._follow(followed)
            found["following"].append((time.perf_counter() - began) / (TRIALS - 1))
            began = time.perf_counter()
            run(sent)  # it is finished: what is left is the start
            found["starting a process"].append(time.perf_counter() - began)
        return found


def measure(rounds: int) -> dict[str, list[float]]:
    """Start a cluster in this network, and time rounds; the first, which reads files from the disk, is left out."""
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"HOME": name, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{ADDRESS}/32", "dev", "lo"]):
            subprocess.run(["ip", *words], check=True)
        ray = str(Path(sys.executable).with_name("ray"))
        subprocess.run([ray, "get-auth-token", "--generate"], check=True, capture_output=True)
        (Path(name) / ".ray" / "auth_token").chmod(0o600)
        head = [ray, "start", "--head", "--port=6399", f"--node-ip-address={ADDRESS}", "--include-dashboard=false"]
        subprocess.run(head, check=True, capture_output=True)
        taken = [a_round(Path(name) / f"runs{number}") for number in range(rounds + 1)][1:]
    return {moment: [one[moment] for one in taken] for moment in MOMENTS.values()}


def main() -> None:
    """Measure in a network of its own, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.apart:
        again = [*APART, sys.executable, __file__, *sys.argv[1:], "--apart"]
        raise SystemExit(subprocess.run(again, check=False).returncode)
    seconds = measure(options.rounds)
    costs = bookkeeping(options.rounds)
    for moment, values in (seconds | costs).items():
        print(f"{moment}: {statistics.median(values):.3g} s ({min(values):.3g} to {max(values):.3g})")
    if options.json:
        machine = {key: value for key, value in collect("cpu", 1, ("numpy",)).items() if key != "host"}
        record = {
            "seconds_from_the_command": seconds,
            "seconds_a_trial": costs,
            "ray": version("ray"),
            "where": machine,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
