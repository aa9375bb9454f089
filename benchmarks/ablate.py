"""Time a study's trials side by side, as `ablate` trains them, against one after another with as many BLAS threads.

    python benchmarks/ablate.py [--json FILE] [--rounds 3]

Both ways train the ten trials of a study (two arms, five blocks) of `mnist-mlp` at batch 128 on all cores: side by side
with one thread each, and in turn with all threads. They alternate; each starts its own processes, as the command does.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from eailab.data.registry import load as load_data
from eailab.recipe.load import Override, load
from eailab.runs.context import Event, Failed, RunContext
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.machine import cores
from eailab.runs.records import collect
from eailab.runs.trial import Trial

TRIALS = 10


def seconds(jobs: int, threads: int, epochs: int, data_dir: Path | None) -> float:
    """Return the time of all trials, the start of processes and the loading of data included."""
    settings = {"batch_size": 128, "epochs": epochs, "threads": threads}
    recipe = load("mnist-mlp", [Override(path, value, "-o") for path, value in settings.items()]).recipe
    data = load_data(recipe.data.name, data_dir).fingerprint
    trials = [Trial(recipe, block, data) for block in range(TRIALS)]

    def refuse(event: Event) -> None:
        if isinstance(event, Failed):
            raise RuntimeError(event.reason)

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        LocalExecutor(jobs).run(trials, RunContext(Path(folder), data_dir, on_event=refuse))
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--data-dir", type=Path, help="where MNIST lies; else as for every command")
    options = parser.parse_args()
    here = cores()
    ways = {"side by side": (here, 1), "one after another": (1, here)}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, (jobs, threads) in ways.items():
            taken[name].append(seconds(jobs, threads, options.epochs, options.data_dir))
    median = {name: statistics.median(times) for name, times in taken.items()}
    ratio = median["one after another"] / median["side by side"]
    for name, times in taken.items():
        print(f"{name}: {median[name]:.2f} s ({min(times):.2f} to {max(times):.2f}) for {TRIALS} trials")
    print(f"throughput side by side: {ratio:.2f} times that of one after another, on {here} cores")
    if options.json:
        machine = collect("cpu", here, ("numpy", "numba"))
        record = {"ratio": ratio, "seconds": taken, "trials": TRIALS, "epochs": options.epochs, "where": machine}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
