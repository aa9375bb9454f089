"""Time one epoch of the numpy engine and of its peers: same net, Adam, 32 bits, same threads, in alternation.

    python benchmarks/mlp.py [--json FILE] [--quick] [--profile] [--batch-size 1 8 ...]

The net is 784-128-256-10 with rectified units, on the 54,000 training images of MNIST in a new order each epoch. The
peers are what a person would otherwise use: scikit-learn's `MLPClassifier`, torch step by step with its fused Adam on
tensors in memory, the same through `torch.compile`, JAX with the whole epoch as one jitted `lax.scan` (rows gathered
step by step, and the epoch's images put into order first), Keras on JAX, TensorFlow with the epoch in one
`tf.function(jit_compile=True)`, tinygrad with `TinyJit`, and the numpy loop that a student writes. A peer that is not
installed is named (`uv sync --group bench`, then `uv pip install jax keras tensorflow-cpu tinygrad`). All run on as
many cores as `--threads` says; `--only` leaves other peers out.
Each contestant trains one epoch untimed; then all take turns. At batch size 1, where an epoch of all takes five
minutes, there is no untimed epoch, and there are three rounds at most: the median passes over what the first one pays
for compiling.

Reference times are measured alongside: the matrix products of an epoch alone, into arrays that are there (by
`numpy.dot`, by torch, and in parts as this engine makes them; the quickest counts), and the memory traffic of the
optimizer (parameters and both moments read and written once a step). `--profile` shows in place of all this where a
step of this engine spends its time.
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from math import ceil
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eailab.data.dataset import TrialData
from eailab.data.registry import load
from eailab.data.split import trial_data
from eailab.engines.numpy_mlp.arrays import Plan, plan_for, whole
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


def jax_scan(asked: Setting) -> Epoch:
    """JAX: a jitted `lax.scan` over an epoch's steps, each of which gathers its rows."""
    return _jax(asked, in_order=False)


def jax_in_order(asked: Setting) -> Epoch:
    """JAX: the epoch's images put into order, then a jitted `lax.scan` over its steps."""
    return _jax(asked, in_order=True)


def _use_threads_of_xla(threads: int) -> None:
    """Let XLA compute with one thread, if that is asked for; it is read when JAX is first imported."""
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def drawn(chance: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """Return a weight, `[I, O]`, and a bias of each layer."""
    return [
        ((chance.normal(size=(i, o)) * np.sqrt(2 / i)).astype(np.float32), np.zeros(o, np.float32))
        for i, o in pairwise(WIDTHS)
    ]


def _jax(asked: Setting, in_order: bool) -> Epoch:
    state, images, labels, trained = jax_epoch(asked, in_order)
    import jax

    chance, quick = np.random.default_rng(0), jax.jit(trained, donate_argnums=0)

    def epoch() -> None:
        nonlocal state
        state = jax.block_until_ready(quick(state, images, labels, chance.permutation(len(labels))))

    return epoch


def jax_epoch(asked: Setting, in_order: bool) -> tuple[Any, Any, Any, Callable[..., Any]]:
    """Return a state, the images and labels on the device, and the function that trains an epoch in a given order."""
    _use_threads_of_xla(asked.threads)
    import jax
    import jax.numpy as jnp

    pairs = drawn(np.random.default_rng(0))
    parameters = jax.tree.map(jnp.asarray, pairs)
    state = (parameters, jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters), 0.0)
    images, labels = jnp.asarray(normalised(asked.data)), jnp.asarray(asked.data.train.labels.astype(np.int32))
    even = len(labels) - len(labels) % asked.batch_size

    def loss_of(parameters, inputs, targets):
        for weight, bias in parameters[:-1]:
            inputs = jax.nn.relu(inputs @ weight + bias)
        weight, bias = parameters[-1]
        chances = jax.nn.log_softmax(inputs @ weight + bias)
        return -jnp.mean(jnp.take_along_axis(chances, targets[:, None], axis=1))

    def step(state, batch):
        parameters, firsts, seconds, count = state
        slopes = jax.grad(loss_of)(parameters, *batch)
        count = count + 1.0
        firsts = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, firsts, slopes)
        seconds = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, seconds, slopes)
        rate, lift = LR / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) / lift + 1e-8), parameters, firsts, seconds
        )
        return (parameters, firsts, seconds, count), None

    def trained(state, images, labels, order):
        rows = order[:even].reshape(-1, asked.batch_size)
        if in_order:
            state, _ = jax.lax.scan(step, state, (images[rows], labels[rows]))
        else:
            state, _ = jax.lax.scan(lambda s, some: step(s, (images[some], labels[some])), state, rows)
        rest = order[even:]
        return step(state, (images[rest], labels[rest]))[0] if len(rest) else state

    return state, images, labels, trained


def keras_on_jax(asked: Setting) -> Epoch:
    """Keras's `fit` on JAX, compiled, with many steps in each call."""
    _use_threads_of_xla(asked.threads)
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    layers = [keras.layers.Dense(width, activation="relu") for width in WIDTHS[1:-1]]
    net = keras.Sequential([keras.Input((WIDTHS[0],)), *layers, keras.layers.Dense(WIDTHS[-1])])
    images, labels = normalised(asked.data), asked.data.train.labels.astype(np.int32)
    net.compile(
        optimizer=keras.optimizers.Adam(LR, epsilon=1e-8),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        steps_per_execution=min(64, len(labels) // asked.batch_size),
    )
    return lambda: net.fit(images, labels, batch_size=asked.batch_size, epochs=1, shuffle=True, verbose=0)


def tensorflow_jit(asked: Setting) -> Epoch:
    """TensorFlow: all steps of an epoch in one function that XLA has compiled."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        tf.config.set_soft_device_placement(True)
    chance = np.random.default_rng(0)
    parameters = [tf.Variable(array) for pair in drawn(chance) for array in pair]
    firsts, seconds = ([tf.Variable(tf.zeros_like(one)) for one in parameters] for _ in range(2))
    images, labels = tf.constant(normalised(asked.data)), tf.constant(asked.data.train.labels.astype(np.int32))
    count = tf.Variable(0.0)
    size = len(asked.data.train.labels)
    even = size - size % asked.batch_size

    def step(rows):
        inputs, targets = tf.gather(images, rows), tf.gather(labels, rows)
        with tf.GradientTape() as tape:
            values = inputs
            for place in range(0, len(parameters), 2):
                values = values @ parameters[place] + parameters[place + 1]
                if place < len(parameters) - 2:
                    values = tf.nn.relu(values)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=values)
            loss = tf.reduce_mean(losses)
        slopes = tape.gradient(loss, parameters)
        count.assign_add(1.0)
        rate, lift = LR / (1.0 - 0.9**count), tf.sqrt(1.0 - 0.999**count)
        for p, g, m, v in zip(parameters, slopes, firsts, seconds, strict=True):
            m.assign(0.9 * m + 0.1 * g)
            v.assign(0.999 * v + 0.001 * g * g)
            p.assign_sub(rate * m / (tf.sqrt(v) / lift + 1e-8))

    @tf.function(jit_compile=True)
    def trained(order):
        rows = tf.reshape(order[:even], (-1, asked.batch_size))
        for place in tf.range(even // asked.batch_size):
            step(rows[place])
        if even < size:
            step(order[even:])
        return count + 0.0

    def epoch() -> None:
        trained(tf.constant(chance.permutation(size).astype(np.int32))).numpy()

    return epoch


def tinygrad_jit(asked: Setting) -> Epoch:
    """tinygrad: its own Adam, and a step that is captured once and then replayed."""
    os.environ.setdefault("DEV", "CPU")
    from tinygrad import Context, Tensor, TinyJit, nn

    layers = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(WIDTHS)]
    optimizer = nn.optim.Adam(nn.state.get_parameters(layers), lr=LR)
    images, labels = Tensor(normalised(asked.data)), Tensor(asked.data.train.labels.astype(np.int32))
    chance = np.random.default_rng(0)
    size = len(asked.data.train.labels)

    @TinyJit
    @Context(TRAINING=1)
    def step(rows):
        values = images[rows]
        for layer in layers[:-1]:
            values = layer(values).relu()
        optimizer.zero_grad()
        loss = layers[-1](values).sparse_categorical_crossentropy(labels[rows]).backward()
        return loss.realize(*optimizer.schedule_step())

    def epoch() -> None:  # without a last batch of another size, which would be captured again
        order = chance.permutation(size).astype(np.int32)
        for start in range(0, size - asked.batch_size + 1, asked.batch_size):
            loss = step(Tensor(order[start : start + asked.batch_size]).contiguous().realize())
        loss.item()

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
    "jax": jax_scan,
    "jax in order": jax_in_order,
    "keras on jax": keras_on_jax,
    "tensorflow": tensorflow_jit,
    "tinygrad": tinygrad_jit,
    "student": student,
}
PACKAGES = {
    "scikit-learn": ("sklearn",),
    "jax": ("jax",),
    "jax in order": ("jax",),
    "keras on jax": ("keras", "jax"),
    "tensorflow": ("tensorflow",),
    "tinygrad": ("tinygrad",),
}
"""Of contestants that eailab does not need."""

OTHERS = ("jax", "keras", "tensorflow-cpu", "tinygrad")
"""Whose versions are recorded too."""

# --- floors ---------------------------------------------------------------------------------------------------------


def products(asked: Setting) -> Epoch:
    """All matrix products of an epoch, and nothing else, by `numpy.dot`."""
    return _products(asked, whole)


def products_in_parts(asked: Setting) -> Epoch:
    """The same as this engine makes them."""
    return _products(asked, plan_for(asked.threads))


def products_by_torch(asked: Setting) -> Epoch:
    """The same by torch."""
    import torch

    def planned(left: Floats, right: Floats, out: Floats) -> Callable[[], object]:
        tensors = [torch.from_numpy(array) for array in (left, right, out)]
        return lambda: torch.mm(tensors[0], tensors[1], out=tensors[2])

    torch.set_num_threads(asked.threads)
    return _products(asked, planned)


def _products(asked: Setting, plan: Plan) -> Epoch:
    chance = np.random.default_rng(0)

    def filled(*shape: int) -> Floats:
        return chance.random(shape, dtype=np.float32)

    calls: list[Callable[[], object]] = []
    for number, (inputs, outputs) in enumerate(pairwise(WIDTHS)):
        x, weight, y = filled(asked.batch_size, inputs), filled(inputs, outputs), filled(asked.batch_size, outputs)
        calls += [plan(x, weight, y), plan(x.T, y, weight.copy())]
        if number > 0:
            calls.append(plan(y, weight.T, x.copy()))
    steps = ceil(len(asked.data.train) / asked.batch_size)

    def epoch() -> None:
        for _ in range(steps):
            for call in calls:
                call()

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


PRODUCTS: dict[str, Callable[[Setting], Epoch]] = {
    "products": products,
    "products in parts": products_in_parts,
    "products by torch": products_by_torch,
}
FLOORS = PRODUCTS | {"traffic": traffic}

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


def measure(asked: Setting, rounds: int, peers: Collection[str]) -> dict[str, Timing]:
    """Time an epoch of each contestant and floor, all taking turns."""
    taking_part = {name: make for name, make in CONTESTANTS.items() if name == "eailab" or name in peers}
    epochs = {name: make(asked) for name, make in (taking_part | FLOORS).items() if installed(name)}
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
    """Return whether a contestant can take part; some do not come with eailab."""
    if name == "tinygrad" and which("clang") is None:  # which makes its code for processors
        return False
    return all(find_spec(package) is not None for package in PACKAGES.get(name, ()))


def ratio(timings: dict[str, Timing]) -> float:
    """How many times as long as this engine the fastest peer takes."""
    peers = [timing.median for name, timing in timings.items() if name in CONTESTANTS and name != "eailab"]
    return min(peers, default=math.nan) / timings["eailab"].median


def record(batch_size: int, timings: dict[str, Timing]) -> dict[str, object]:
    """Return one batch size's entry of the JSON file."""
    quickest = min(timings[name].median for name in PRODUCTS)
    return {
        "batch_size": batch_size,
        "ratio": ratio(timings),
        "seconds": {name: timings[name].median for name in timings if name in CONTESTANTS},
        "spread": {name: [min(timing.rounds), max(timing.rounds)] for name, timing in timings.items()},
        "floor": timings["traffic"].median if batch_size <= 8 else quickest,  # what the goal at this size names
        "floors": {name: timings[name].median for name in FLOORS},
        "missing": [name for name in CONTESTANTS if name not in timings],
        "rounds": len(timings["eailab"].rounds),
    }


def table(results: list[tuple[int, dict[str, Timing]]]) -> Iterator[str]:
    """Yield the lines of a table in markdown."""
    names = list(results[0][1])
    yield f"| batch | {' | '.join(names)} | fastest peer / eailab | eailab / quickest products | eailab / traffic |"
    yield "|---|" + "---|" * (len(names) + 3)
    for batch_size, timings in results:
        ours = timings["eailab"].median
        cells = [str(timings[name]) for name in names]
        quickest = min(timings[name].median for name in PRODUCTS)
        floors = [f"{ours / one:.2f}" for one in (quickest, timings["traffic"].median)]
        yield f"| {batch_size} | {' | '.join(cells)} | {ratio(timings):.2f} | {' | '.join(floors)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--quick", action="store_true", help="5,400 images and 3 rounds: a look, not a record")
    parser.add_argument("--profile", action="store_true", help="time the parts of this engine's step, and nothing else")
    parser.add_argument("--batch-size", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS), help="these peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of BLAS and of torch")
    parser.add_argument("--data-dir", type=Path, help="where MNIST lies; else as for every command")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # whatever threads a library starts, they share these cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
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
            found = measure(Setting(data, batch_size, options.threads), turns, options.only)
            results.append((batch_size, found))
            print(f"batch size {batch_size} done", flush=True)
    print(f"\nseconds an epoch of {len(data.train):,} images: median over the rounds (least to most)\n")
    print("\n".join(table(results)))
    if missing := [name for name in CONTESTANTS if not installed(name)]:
        print(f"\nnot installed, and so not among the peers: {', '.join(missing)}")
    if options.json:
        machine = collect("cpu", options.threads, ("numpy", "numba", "scikit-learn", "torch", *OTHERS))
        where = {key: value for key, value in machine.items() if key != "host"}
        where |= {"images": len(data.train)}
        entries = [record(*result) | {"where": where} for result in results]
        options.json.write_text(json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main()
