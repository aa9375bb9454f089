"""Time a study's trials side by side, as `ablate` trains them, against other ways to train them on all cores.

    python benchmarks/ablate.py [--json FILE] [--rounds 3]

The ten trials of a study (two arms, five blocks) of `mnist-mlp` at batch 128 are trained on all cores in four ways,
which alternate: side by side with one thread each; in turn with all threads; in turn with one thread; and by JAX,
if it is installed (`uv pip install jax`), all ten seeds at once: `vmap` over a jitted `lax.scan` of an epoch's
steps. Each of our ways starts its own processes, as the command does, and evaluates and records every epoch; JAX
only trains, and the start of its process, loading and compiling are not counted.

What the machine itself gives is measured too: how much more as many processes as there are cores get done of the
matrix products of these trials, and nothing else, than one of them.
"""

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np

from eailab.data.registry import load as load_data
from eailab.data.split import trial_data
from eailab.recipe.load import Override, load
from eailab.recipe.parts import MlpData
from eailab.runs.context import Event, Failed, RunContext
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.machine import cores
from eailab.runs.records import collect
from eailab.runs.trial import Trial

TRIALS = 10
BATCH_SIZE = 128


def seconds(jobs: int, threads: int, epochs: int, data_dir: Path | None) -> float:
    """Return the time of all trials, the start of processes and the loading of data included."""
    settings = {"batch_size": BATCH_SIZE, "epochs": epochs, "threads": threads}
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


def seconds_of_jax(epochs: int, data_dir: Path | None) -> float:
    """Return the time that JAX takes for the epochs of all seeds, in a process of its own."""
    where = [] if data_dir is None else ["--data-dir", str(data_dir)]
    command = [sys.executable, __file__, "--vmap", "--epochs", str(epochs), *where]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def train_by_jax(epochs: int, data_dir: Path | None) -> float:
    """Train all seeds at once, an epoch to compile and the epochs that count, and return the time of these."""
    sys.path.insert(0, str(Path(__file__).parent))
    import jax
    import jax.numpy as jnp
    import mlp

    data = trial_data(load_data("mnist", data_dir), MlpData(name="mnist"), block=0)
    one, images, labels, trained = mlp.jax_epoch(mlp.Setting(data, BATCH_SIZE, cores()), in_order=False)
    state = jax.tree.map(lambda array: jnp.stack([jnp.asarray(array)] * TRIALS), one)
    quick = jax.jit(jax.vmap(trained, in_axes=(0, None, None, 0)), donate_argnums=0)
    chance, began = np.random.default_rng(0), 0.0
    for number in range(epochs + 1):
        if number == 1:
            began = time.perf_counter()
        orders = np.stack([chance.permutation(len(labels)) for _ in range(TRIALS)]).astype(np.int32)
        state = jax.block_until_ready(quick(state, images, labels, orders))
    return time.perf_counter() - began


def gain_of_products(processes: int) -> float:
    """Return how many times as many products several processes get done as one of them alone."""
    spawning = multiprocessing.get_context("spawn")
    taken = []
    for count in (1, processes):
        gate, results = spawning.Barrier(count), spawning.Queue()
        workers = [spawning.Process(target=_multiply, args=(gate, results)) for _ in range(count)]
        for worker in workers:
            worker.start()
        taken.append(max(results.get() for _ in workers))
        for worker in workers:
            worker.join()
    return processes * taken[0] / taken[1]


def _multiply(gate, results) -> None:
    """Make the products of 4,000 steps, once all processes are ready, and tell how long that took."""
    from threadpoolctl import threadpool_limits

    chance, widths = np.random.default_rng(0), (784, 128, 256, 10)
    with threadpool_limits(1):
        arrays = []
        for inputs, outputs in pairwise(widths):
            shapes = (BATCH_SIZE, inputs), (inputs, outputs), (BATCH_SIZE, outputs)
            arrays.append([chance.random(shape, dtype=np.float32) for shape in shapes])
        gate.wait()
        began = time.perf_counter()
        for _ in range(4000):
            for x, weight, y in arrays:
                np.dot(x, weight, out=y)
                np.dot(x.T, y)
                np.dot(y, weight.T)
    results.put(time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--data-dir", type=Path, help="where MNIST lies; else as for every command")
    parser.add_argument("--vmap", action="store_true", help="only let JAX train, and print its seconds")
    options = parser.parse_args()
    if options.vmap:
        print(train_by_jax(options.epochs, options.data_dir))
        return
    here = cores()
    ways = {"side by side": (here, 1), "one after another": (1, here), "one after another, one thread": (1, 1)}
    has_jax = find_spec("jax") is not None
    taken: dict[str, list[float]] = {name: [] for name in (*ways, *(["jax vmap"] if has_jax else []))}
    gains = []
    for _ in range(options.rounds):
        for name, (jobs, threads) in ways.items():
            taken[name].append(seconds(jobs, threads, options.epochs, options.data_dir))
        if has_jax:
            taken["jax vmap"].append(seconds_of_jax(options.epochs, options.data_dir))
        gains.append(gain_of_products(here))
    median = {name: statistics.median(times) for name, times in taken.items()}
    ours = median["side by side"]
    ratios = {name: one / ours for name, one in median.items() if name != "side by side"}
    gain, possible = ratios["one after another, one thread"], statistics.median(gains)
    for name, times in taken.items():
        print(f"{name}: {median[name]:.2f} s ({min(times):.2f} to {max(times):.2f}) for {TRIALS} trials")
    for name, ratio in ratios.items():
        print(f"throughput side by side: {ratio:.2f} times that of {name}, on {here} cores")
    print(f"of the gain of {here} processes that only multiply, {possible:.2f}: {gain / possible:.2f}")
    if not has_jax:
        print("jax is not installed, and so not among the ways")
    if options.json:
        machine = collect("cpu", here, ("numpy", "numba", "jax"))
        where = {name: value for name, value in machine.items() if name != "host"}
        record = {"ratios": ratios, "seconds": taken, "gain_of_products": gains, "share_of_that_gain": gain / possible}
        record |= {"trials": TRIALS, "epochs": options.epochs, "where": where}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
