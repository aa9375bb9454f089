"""Time one epoch of the numpy engine and of its peers: same net, Adam, 32 bits, same threads, in alternation.

    python benchmarks/mlp.py [--json FILE] [--quick] [--profile] [--batch-size 1 8 ...]

The net is 784-128-256-10 with rectified units, on the 54,000 training images of MNIST in a new order each epoch. The
peers are what a person would otherwise use: scikit-learn's `MLPClassifier`, torch step by step with its fused Adam on
tensors in memory, the same through `torch.compile`, and the numpy loop that a student writes. Each contestant trains
one epoch untimed; then all take turns. At batch size 1, where an epoch of all takes five minutes, there is no untimed
epoch, and there are three rounds at most: the median passes over what the first one pays for compiling.

Two floors are measured alongside: the matrix products of an epoch alone (`numpy.dot` into arrays that are there), and
the memory traffic of the optimizer (parameters and both moments read and written once a step). `--profile` shows in
place of all this where a step of this engine spends its time.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eailab.data.dataset import TrialData
from eailab.data.registry import load
from eailab.data.split import trial_data
from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.recipe.optimization import Adam
from eailab.recipe.parts import Mlp, MlpData
from eailab.recipe.schema import MlpRecipe
from eailab.runs.records import collect

WIDTHS = [784, 128, 256, 10]
BATCH_SIZES = [1, 8, 32, 64, 128, 512]
LR = 0.001

Epoch = Callable[[], object]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """What a contestant trains on."""

    data: TrialData
    batch_size: int
    threads: int


def normalised(data: TrialData) -> Floats:
    """Return the training images as the peers take them, `[N, 784]`."""
    pixels = data.train.pixels.reshape(len(data.train), -1).astype(np.float32)
    return (pixels - data.mean) / data.std


# --- contestants ----------------------------------------------------------------------------------------------------


def engine_of(asked: Setting) -> MlpEngine:
    """This engine, as `train-mlp` has it."""
    recipe = MlpRecipe(
        name="benchmark",
        engine="numpy-mlp",
        data=MlpData(name="mnist"),
        model=Mlp(hidden=WIDTHS[1:-1]),
        optimizer=Adam(lr=LR),
        epochs=100,
        batch_size=asked.batch_size,
        threads=asked.threads,
    )
    return MlpEngine(recipe, asked.data, block=0)


def eailab(asked: Setting) -> Epoch:
    """This engine, as `train-mlp` runs it."""
    engine = engine_of(asked)
    numbers = iter(range(1, engine.recipe.epochs + 1))
    return lambda: engine.train_epoch(next(numbers), lambda _: None)


def scikit_learn(asked: Setting) -> Epoch:
    """`MLPClassifier`, without its penalty; `partial_fit` is one epoch."""
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(WIDTHS[1:-1], solver="adam", alpha=0.0, batch_size=asked.batch_size, learning_rate_init=LR)
    inputs, labels = normalised(asked.data), asked.data.train.labels
    return lambda: net.partial_fit(inputs, labels, classes=np.arange(WIDTHS[-1]))


def torch_eager(asked: Setting) -> Epoch:
    """torch, step by step, with its fused Adam."""
    return _torch(asked, compiled=False)


def torch_compile(asked: Setting) -> Epoch:
    """torch, the net and its loss compiled, with its fused Adam."""
    return _torch(asked, compiled=True)


def _torch(asked: Setting, compiled: bool) -> Epoch:
    import torch
    from torch import nn

    torch.set_num_threads(asked.threads)
    torch.compiler.reset()  # it gives up a function that it has compiled for eight shapes
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, fused=True)
    images, labels = torch.tensor(normalised(asked.data)), torch.tensor(asked.data.train.labels)

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(net(inputs), targets)

    loss = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def epoch() -> None:
        for rows in torch.randperm(len(labels)).split(asked.batch_size):
            optimizer.zero_grad()
            loss(images[rows], labels[rows]).backward()
            optimizer.step()

    return epoch


def student(asked: Setting) -> Epoch:
    """The plain loop: every rule written as in the lecture, an array a term."""
    chance = np.random.default_rng(0)
    weights = [(chance.normal(size=(i, o)) * np.sqrt(2 / i)).astype(np.float32) for i, o in pairwise(WIDTHS)]
    biases = [np.zeros(o, np.float32) for o in WIDTHS[1:]]
    parameters = weights + biases
    firsts = [np.zeros_like(p) for p in parameters]
    seconds = [np.zeros_like(p) for p in parameters]
    images, labels = normalised(asked.data), asked.data.train.labels
    targets = np.eye(WIDTHS[-1], dtype=np.float32)[labels]
    step = 0

    def epoch() -> None:
        nonlocal step
        order = chance.permutation(len(labels))
        for start in range(0, len(order), asked.batch_size):
            rows = order[start : start + asked.batch_size]
            values = [images[rows]]
            for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                values.append(values[-1] @ weight + bias)
                if number < len(weights) - 1:
                    values[-1] = np.maximum(values[-1], 0)
            exponentials = np.exp(values[-1] - values[-1].max(axis=1, keepdims=True))
            slope = (exponentials / exponentials.sum(axis=1, keepdims=True) - targets[rows]) / len(rows)
            weight_slopes, bias_slopes = [], []
            for number in reversed(range(len(weights))):
                weight_slopes.insert(0, values[number].T @ slope)
                bias_slopes.insert(0, slope.sum(axis=0))
                if number > 0:
                    slope = (slope @ weights[number].T) * (values[number] > 0)
            step += 1
            for p, g, m, v in zip(parameters, weight_slopes + bias_slopes, firsts, seconds, strict=True):
                m[:] = 0.9 * m + 0.1 * g
                v[:] = 0.999 * v + 0.001 * g**2
                p[:] -= LR * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)

    return epoch


CONTESTANTS: dict[str, Callable[[Setting], Epoch]] = {
    "eailab": eailab,
    "scikit-learn": scikit_learn,
    "torch": torch_eager,
    "torch.compile": torch_compile,
    "student": student,
}

# --- floors ---------------------------------------------------------------------------------------------------------


def products(asked: Setting) -> Epoch:
    """All matrix products of an epoch, and nothing else."""
    chance = np.random.default_rng(0)

    def filled(*shape: int) -> Floats:
        return chance.random(shape, dtype=np.float32)

    calls: list[tuple[Floats, Floats, Floats]] = []
    for number, (inputs, outputs) in enumerate(pairwise(WIDTHS)):
        x, weight, y = filled(asked.batch_size, inputs), filled(inputs, outputs), filled(asked.batch_size, outputs)
        calls += [(x, weight, y), (x.T, y, weight.copy())]
        if number > 0:
            calls.append((y, weight.T, x.copy()))
    steps = ceil(len(asked.data.train) / asked.batch_size)

    def epoch() -> None:
        for _ in range(steps):
            for left, right, out in calls:
                np.dot(left, right, out)

    return epoch


def traffic(asked: Setting) -> Epoch:
    """The optimizer's arrays read and written once a step, and nothing else."""
    size = sum(inputs * outputs + outputs for inputs, outputs in pairwise(WIDTHS))
    arrays = [np.ones(size, np.float32) for _ in range(3)]
    steps = ceil(len(asked.data.train) / asked.batch_size)

    def epoch() -> None:
        for _ in range(steps):
            for array in arrays:
                np.negative(array, out=array)

    return epoch


FLOORS = {"products": products, "traffic": traffic}

# --- a step in parts ------------------------------------------------------------------------------------------------


def profile(asked: Setting) -> dict[str, float]:
    """Return where a step of this engine spends its time: microseconds of each part, medians over an epoch."""
    engine = engine_of(asked)
    engine.train_epoch(1, lambda _: None)
    work, objective, update = engine._work(asked.batch_size)
    order = np.random.default_rng(0).permutation(len(asked.data.train))
    labels = asked.data.train.labels[order]
    forwards = [(f"{number} {type(stage.__self__).__name__}", stage) for number, stage in enumerate(work._forwards)]
    backwards = list(zip([name for name, _ in reversed(forwards)], work._backwards, strict=True))
    spent: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], object]) -> None:
        start = time.perf_counter()
        call()
        spent.setdefault(name, []).append(1e6 * (time.perf_counter() - start))

    for first in range(0, len(order) - asked.batch_size + 1, asked.batch_size):
        rows = slice(first, first + asked.batch_size)
        timed("take", lambda rows=rows: work.take(order[rows]))  # type: ignore[misc]
        for name, stage in forwards:
            timed(f"forward {name}", stage)
        timed("loss", lambda rows=rows: objective.score(labels[rows]))  # type: ignore[misc]
        for name, stage in backwards:
            timed(f"backward {name}", stage)
        timed("optimizer", lambda: engine._update(update))
    return {name: statistics.median(times) for name, times in spent.items()}


# --- measuring ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """Seconds of an epoch, over the rounds."""

    rounds: list[float]

    @property
    def median(self) -> float:
        """The figure that is compared."""
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        return f"{self.median:.3g} ({min(self.rounds):.3g} to {max(self.rounds):.3g})"


def measure(asked: Setting, rounds: int) -> dict[str, Timing]:
    """Time an epoch of each contestant and floor, all taking turns."""
    epochs = {name: make(asked) for name, make in (CONTESTANTS | FLOORS).items() if installed(name)}
    for epoch in epochs.values() if asked.batch_size > 1 else ():
        epoch()
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(rounds):
        for name, epoch in epochs.items():
            start = time.perf_counter()
            epoch()
            seconds[name].append(time.perf_counter() - start)
    return {name: Timing(values) for name, values in seconds.items()}


def installed(name: str) -> bool:
    """Whether a contestant can take part; scikit-learn is no dependency (`uv sync --group bench`)."""
    from importlib.util import find_spec

    return name != "scikit-learn" or find_spec("sklearn") is not None


def ratio(timings: dict[str, Timing]) -> float:
    """How many times as long as this engine the fastest peer takes."""
    peers = [timing.median for name, timing in timings.items() if name in CONTESTANTS and name != "eailab"]
    return min(peers) / timings["eailab"].median


def record(batch_size: int, timings: dict[str, Timing]) -> dict[str, object]:
    """Return one batch size's entry of the JSON file."""
    floor = "traffic" if batch_size <= 8 else "products"  # what the goal at this size names
    return {
        "batch_size": batch_size,
        "ratio": ratio(timings),
        "seconds": {name: timings[name].median for name in timings if name in CONTESTANTS},
        "spread": {name: [min(timing.rounds), max(timing.rounds)] for name, timing in timings.items()},
        "floor": timings[floor].median,
        "floors": {name: timings[name].median for name in FLOORS},
        "rounds": len(timings["eailab"].rounds),
    }


def table(results: list[tuple[int, dict[str, Timing]]]) -> Iterator[str]:
    """Yield the lines of a table in markdown."""
    names = list(results[0][1])
    yield f"| batch | {' | '.join(names)} | fastest peer / eailab | eailab / products | eailab / traffic |"
    yield "|---|" + "---|" * (len(names) + 3)
    for batch_size, timings in results:
        ours = timings["eailab"].median
        cells = [str(timings[name]) for name in names]
        floors = [f"{ours / timings[name].median:.2f}" for name in FLOORS]
        yield f"| {batch_size} | {' | '.join(cells)} | {ratio(timings):.2f} | {' | '.join(floors)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--quick", action="store_true", help="5,400 images and 3 rounds: a look, not a record")
    parser.add_argument("--profile", action="store_true", help="time the parts of this engine's step, and nothing else")
    parser.add_argument("--batch-size", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of BLAS and of torch")
    parser.add_argument("--data-dir", type=Path, help="where MNIST lies; else as for every command")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    limit = 5400 if options.quick else None
    data = trial_data(load("mnist", options.data_dir), MlpData(name="mnist", limit=limit), block=0)
    results = []
    with threadpool_limits(limits=options.threads):
        if options.profile:
            for batch_size in options.batch_size:
                parts = profile(Setting(data, batch_size, options.threads))
                print(f"batch size {batch_size}: {sum(parts.values()):.0f} µs a step")
                print("\n".join(f"  {microseconds:7.1f}  {name}" for name, microseconds in parts.items()))
            return
        for batch_size in options.batch_size:
            turns = rounds if batch_size > 1 else min(rounds, 3)
            results.append((batch_size, measure(Setting(data, batch_size, options.threads), turns)))
            print(f"batch size {batch_size} done", flush=True)
    print(f"\nseconds an epoch of {len(data.train):,} images: median over the rounds (least to most)\n")
    print("\n".join(table(results)))
    if options.json:
        machine = collect("cpu", options.threads, ("numpy", "numba", "scikit-learn", "torch"))
        where = {key: value for key, value in machine.items() if key != "host"}
        where |= {"images": len(data.train)}
        entries = [record(*result) | {"where": where} for result in results]
        options.json.write_text(json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main()
