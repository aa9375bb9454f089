"""A trial's threads on the CPU: how they wait for each other, and one trial of two beside two trials of one.

Run:  python benchmarks/threads.py [--rounds 3] [--seconds 5] [--json FILE]

ResNet-18 (7x7 stem, batch 32, crop and flip, fp32, made-up images), whole and at a quarter of its width, on a quiet
machine and beside another program that wants a core; it is meant for two cores. In turn: one trial of two threads that
wait as GNU OpenMP has it; one whose threads wait as eailab has it (`GOMP_SPINCOUNT`, set in the torch engine);
two trials of one thread each. Given are the images a second of all trials together. Every measurement has a process of
its own, since the setting is read once.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from eailab.data.dataset import Images, TrialData
from eailab.engines.base import Step
from eailab.engines.registry import build
from eailab.recipe.load import Override, load
from eailab.runs.atomic import write_text
from eailab.runs.records import collect
from eailab.runs.training import limited_threads

KINDS = {
    "two threads, GNU OpenMP's waiting": (2, 1, {"GOMP_SPINCOUNT": "300000"}),
    "two threads, eailab's waiting": (2, 1, {}),
    "two trials of one thread": (1, 2, {}),
}
"""Threads of a trial, trials side by side, and their environment."""
OURS = "two threads, eailab's waiting"
WIDTHS = (1.0, 0.25)
BUSY = (0, 1)
"""Other programs that never rest."""
BATCH = 32
WARM = 2.0
"""Seconds of training that are not counted."""


class _EnoughError(Exception):
    """The time is over."""


def train(width: float, threads: int, seconds: float) -> float:
    """Train for some seconds, and return the images a second."""
    settings = {"model.width": width, "threads": threads, "epochs": 1, "batch_size": BATCH}
    recipe = load("resnet18-cifar10", [Override(path, value, "-o") for path, value in settings.items()]).recipe
    random = np.random.default_rng(0)
    train, few = (
        Images(random.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), random.integers(0, 10, n))
        for n in (200_000, 64)
    )
    mean, std = (f(few.pixels, axis=(0, 1, 2)).astype(np.float32) for f in (np.mean, np.std))
    marks: list[tuple[int, float]] = []

    def on_step(step: Step) -> None:
        marks.append((step.step, time.perf_counter()))
        if marks[-1][1] - begun > WARM + seconds:
            raise _EnoughError

    with limited_threads(recipe):
        engine = build(recipe, TrialData(train, few, few, mean, std, tuple("0123456789")), 0, "cpu")
        begun = time.perf_counter()
        with suppress(_EnoughError):
            engine.train_epoch(1, on_step)
    *earlier, (last, until) = [(0, begun), *marks]
    first, since = next((mark for mark in earlier if mark[1] - begun > WARM), earlier[-1])
    return (last - first) * BATCH / (until - since)


@contextmanager
def busy(programs: int) -> Iterator[None]:
    """Let so many other programs want a core each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(programs)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measured(width: float, kind: str, seconds: float) -> float:
    """Return the images a second of all trials of a kind, side by side."""
    threads, trials, environment = KINDS[kind]
    own = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    words = [sys.executable, __file__, "--one", str(width), str(threads), "--seconds", str(seconds)]
    processes = [
        subprocess.Popen(words, env=own | environment, stdout=subprocess.PIPE, text=True) for _ in range(trials)
    ]
    return sum(float(process.communicate()[0]) for process in processes)


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Measure all kinds in turn, and return the medians and what was found."""
    found = []
    for width in WIDTHS:
        for programs in BUSY:
            rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
            with busy(programs):
                for _ in range(options.rounds):
                    for kind, those in rates.items():
                        those.append(round(measured(width, kind, options.seconds), 1))
            ratios = {
                kind: [round(one / our, 3) for one, our in zip(those, rates[OURS], strict=True)]
                for kind, those in rates.items()
                if kind != OURS
            }
            for kind, those in rates.items():
                spread = f"{statistics.median(those):8.0f} images/s ({min(those):.0f} to {max(those):.0f})"
                print(f"width {width:4}, {programs} busy: {kind:36}{spread}", flush=True)
            found.append({"width": width, "busy": programs, "images_a_second": rates, "times_ours": ratios})
    return {
        "benchmark": "threads",
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python", *sys.argv]),
        "where": collect("cpu", 2, ("torch",)),
        "found": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement, once warm")
    parser.add_argument("--json", type=Path, default=None, help="write the results there as well")
    parser.add_argument("--one", nargs=2, metavar=("WIDTH", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(train(float(options.one[0]), int(options.one[1]), options.seconds))
        return
    record = measure(options)
    if options.json:
        write_text(options.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
