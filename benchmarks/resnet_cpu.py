"""Training a ResNet on CIFAR-10 on the CPU: what a student writes, a tight eager loop, and eailab, side by side.

Run:  python benchmarks/resnet_cpu.py [--stem 7x7] [--batch-size 32] [--threads 2] [--rounds 5] [--json FILE]

Every contestant trains the same network with Adam (lr 0.001), crop and flip, from the same initial weights. They take
turns of `--steps` steps for `--rounds` rounds, after one turn each that is not counted, so that what else the machine
does meets all alike; given are the medians over the rounds, and the ratios round by round. A turn of the student's
begins when its loader's workers have started, with the batches they had ready by then. Without CIFAR-10 in the data
folder (EAILAB_DATA, or --data-dir) the pixels are made up, which changes no time; the output says so.

Lightning's Trainer, on the student's loader, and a ResNet-18 of Flax under JAX's `jit`, on images in memory, from
its own initial weights and in a process of its own, take part where they are installed (`uv pip install lightning
jax flax optax`); what is missing is named.

Beside the times stand the memory that a process holds at most, which trains one contestant for a turn, and how long
`eailab train-resnet` takes from its start to the end of a first epoch of two steps.
"""

import argparse
import json
import math
import multiprocessing
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from eailab.data.dataset import Images, TrialData
from eailab.engines.registry import build
from eailab.engines.torch_resnet import geometry, models
from eailab.errors import DataError
from eailab.recipe.schema import ResNetRecipe
from eailab.recipe.validate import recipe_from
from eailab.runs.probe import peak_memory

Turn = Callable[[], float]
"""Trains for the turn's steps, and returns the seconds they took."""


def recipe(options: argparse.Namespace, precision: str) -> ResNetRecipe:
    """Return the recipe that all contestants follow."""
    made = recipe_from(
        {
            "name": "benchmark",
            "engine": "torch-resnet",
            "data": {"name": "cifar10", "augment": "crop-flip"},
            "model": {"name": "resnet18", "stem": options.stem},
            "optimizer": {"name": "adam", "lr": 0.001},
            "epochs": options.rounds + 1,
            "batch_size": options.batch_size,
            "precision": precision,
            "threads": options.threads,
        }
    )
    assert isinstance(made, ResNetRecipe)  # noqa: S101 - by its engine's name
    return made


def images(options: argparse.Namespace) -> tuple[TrialData, str]:
    """Return a turn's images, and where they are from."""
    count = options.steps * options.batch_size
    try:
        from eailab.data.registry import load

        train, source = load("cifar10", options.data_dir, download=False).train, "cifar10"
        chosen = Images(train.pixels[:count], train.labels[:count])
    except DataError:
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        chosen, source = Images(pixels, random.integers(0, 10, count)), "made up"
    few = Images(chosen.pixels[:10], chosen.labels[:10])
    mean, std = (f(chosen.pixels, axis=(0, 1, 2)).astype(np.float32) for f in (np.mean, np.std))
    return TrialData(chosen, few, few, mean, std, tuple("0123456789")), source


def network(options: argparse.Namespace) -> nn.Module:
    """Return the network that all contestants start from."""
    return models.build(recipe(options, "fp32").model, 10, block=0).train()


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """PIL images and torchvision's transforms, as the tutorials have them."""

    def __init__(self, data: TrialData) -> None:
        self.images = [to_pil_image(image) for image in data.train.pixels]
        self.labels = data.train.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((data.mean / 255.0).tolist(), (data.std / 255.0).tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def student(options: argparse.Namespace, data: TrialData) -> Turn:
    """Peer 1: a DataLoader with workers, PIL images, float32, the loss read in every step."""
    loader = DataLoader(Pictures(data), batch_size=options.batch_size, shuffle=True, num_workers=options.workers)
    model = network(options)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()

    def turn() -> float:
        batches = iter(loader)
        batch = next(batches)
        begun = time.perf_counter()
        running_loss, correct = 0.0, 0
        while batch is not None:
            inputs, labels = batch
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            correct += (outputs.argmax(1) == labels).sum().item()
            batch = next(batches, None)
        return time.perf_counter() - begun

    return turn


def crops(options: argparse.Namespace, padded: Tensor, labels: Tensor, layout: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches cut by views from padded, normalised images: the quickest cropping in eager torch on a CPU."""
    size = options.batch_size
    for chosen in torch.randperm(len(labels)).split(size):
        top, left = torch.randint(0, 9, (2, len(chosen))).tolist()
        batch = torch.stack(
            [padded[n, :, y : y + 32, x : x + 32] for n, y, x in zip(chosen.tolist(), top, left, strict=True)]
        )
        flipped = torch.rand(len(chosen)) < 0.5
        batch[flipped] = batch[flipped].flip(3)
        yield batch.contiguous(memory_format=layout), labels[chosen]


def tight(options: argparse.Namespace, data: TrialData, bf16: bool, channels_last: bool) -> Turn:
    """Peer 3: data in memory and normalised beforehand, a fused optimizer, no loss read, no workers."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    pixels = torch.tensor(data.train.pixels).permute(0, 3, 1, 2).float()
    black = functional.pad(pixels, (4, 4, 4, 4))
    padded = (black - torch.tensor(data.mean)[:, None, None]) / torch.tensor(data.std)[:, None, None]
    labels = torch.tensor(data.train.labels)
    model = network(options).to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)

    def turn() -> float:
        begun = time.perf_counter()
        for inputs, targets in crops(options, padded, labels, layout):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                outputs = model(inputs)
            loss = functional.cross_entropy(outputs.float(), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - begun

    return turn


def lightning_trainer(options: argparse.Namespace, data: TrialData) -> Turn:
    """Lightning's Trainer on the student's loader, without logs, checkpoints and progress."""
    import lightning

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.begun, self.seconds = network(options), 0.0, 0.0

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            return functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.001)

        def on_train_batch_start(self, _: object, number: int) -> None:
            self.begun = time.perf_counter() if number == 0 else self.begun

        def on_train_end(self) -> None:
            self.seconds = time.perf_counter() - self.begun

    loader = DataLoader(Pictures(data), batch_size=options.batch_size, shuffle=True, num_workers=options.workers)
    module, off = Module(), ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")

    def turn() -> float:
        trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", **dict.fromkeys(off, False))
        trainer.fit(module, loader)
        return module.seconds

    return turn


def flax_resnet(options: argparse.Namespace, data: TrialData) -> Turn:
    """A ResNet-18 of Flax, channels last, each step with crops and flips in one jitted function."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen

    class Block(linen.Module):
        width: int
        stride: int

        @linen.compact
        def __call__(self, x: Any) -> Any:
            norm = partial(linen.BatchNorm, use_running_average=False, momentum=0.9)
            y = linen.Conv(self.width, (3, 3), (self.stride, self.stride), padding=1, use_bias=False)(x)
            y = linen.Conv(self.width, (3, 3), padding=1, use_bias=False)(linen.relu(norm()(y)))
            y = norm()(y)
            if x.shape != y.shape:
                x = norm()(linen.Conv(self.width, (1, 1), (self.stride, self.stride), use_bias=False)(x))
            return linen.relu(x + y)

    class ResNet(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            stem = geometry.STEMS[options.stem]
            kernel, stride = (stem.kernel, stem.kernel), (stem.stride, stem.stride)
            x = linen.Conv(64, kernel, stride, padding=stem.padding, use_bias=False)(x)
            x = linen.relu(linen.BatchNorm(use_running_average=False, momentum=0.9)(x))
            x = linen.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))) if stem.pooled else x
            for stage, width in enumerate((64, 128, 256, 512)):
                x = Block(width, 1 if stage == 0 else 2)(x)
                x = Block(width, 1)(x)
            return linen.Dense(10)(x.mean(axis=(1, 2)))

    net, optimizer = ResNet(), optax.adam(0.001)
    normal = (data.train.pixels.astype(np.float32) - data.mean) / data.std
    black = ((0.0 - data.mean) / data.std).astype(np.float32)
    around = np.broadcast_to(black, (len(normal), 40, 40, normal.shape[3])).copy()
    around[:, 4:36, 4:36] = normal
    images, labels = jnp.asarray(around), jnp.asarray(data.train.labels.astype(np.int32))
    made = jax.jit(net.init)(jax.random.key(0), images[:2, :32, :32])
    state = (made["params"], made["batch_stats"], optimizer.init(made["params"]))

    def cropped(image: Any, at: Any, is_flipped: Any) -> Any:
        part = jax.lax.dynamic_slice(image, (at[0], at[1], 0), (32, 32, image.shape[2]))
        return jnp.where(is_flipped, part[:, ::-1], part)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, images: Any, labels: Any, rows: Any, corners: Any, flips: Any) -> Any:
        weights, statistics_, moments = state

        def loss_of(weights: Any) -> Any:
            inputs = jax.vmap(cropped)(images[rows], corners, flips)
            variables = {"params": weights, "batch_stats": statistics_}
            outputs, changed = net.apply(variables, inputs, mutable=["batch_stats"])
            losses = optax.softmax_cross_entropy_with_integer_labels(outputs, labels[rows])
            return losses.mean(), changed["batch_stats"]

        slopes, changed = jax.grad(loss_of, has_aux=True)(weights)
        changes, moments = optimizer.update(slopes, moments)
        return optax.apply_updates(weights, changes), changed, moments

    random = np.random.default_rng(0)

    def turn() -> float:
        nonlocal state
        begun = time.perf_counter()
        for rows in np.split(random.permutation(len(labels)), len(labels) // options.batch_size):
            state = step(
                state, images, labels, rows, random.integers(0, 9, (len(rows), 2)), random.random(len(rows)) < 0.5
            )
        jax.block_until_ready(state)
        return time.perf_counter() - begun

    return turn


def flax_elsewhere(options: argparse.Namespace) -> Turn:
    """The same in a process of its own: loaders start theirs by a fork, which JAX's threads do not outlive."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    spawning.Process(target=_serve_flax, args=(theirs, options), daemon=True).start()

    def turn() -> float:
        ours.send(None)
        seconds: float = ours.recv()
        return seconds

    return turn


def _serve_flax(pipe: Any, options: argparse.Namespace) -> None:
    turn = flax_resnet(options, images(options)[0])
    with suppress(EOFError):  # the other end is closed when all turns are over
        while True:
            pipe.recv()
            pipe.send(turn())


def eailab(options: argparse.Namespace, data: TrialData, precision: str) -> Turn:
    """The engine, as `train-resnet` runs it: one epoch of the turn's images."""
    engine = build(recipe(options, precision), data, 0, "cpu")
    epochs = iter(range(1, options.rounds + 2))

    def turn() -> float:
        begun = time.perf_counter()
        engine.train_epoch(next(epochs), lambda _: None)
        return time.perf_counter() - begun

    return turn


def contestants(options: argparse.Namespace, data: TrialData) -> dict[str, Callable[[], Turn]]:
    """Return what makes each contestant that is installed."""
    others = {
        "lightning": (lambda: lightning_trainer(options, data), ("lightning",)),
        "flax": (lambda: flax_resnet(options, data) if options.alone else flax_elsewhere(options), FLAX),
    }
    return {
        f"student ({options.workers} workers, PIL, fp32)": lambda: student(options, data),
        "tight fp32": lambda: tight(options, data, bf16=False, channels_last=False),
        "tight fp32 channels-last": lambda: tight(options, data, bf16=False, channels_last=True),
        "tight bf16": lambda: tight(options, data, bf16=True, channels_last=False),
        "tight bf16 channels-last": lambda: tight(options, data, bf16=True, channels_last=True),
        **{name: make for name, (make, needs) in others.items() if all(map(find_spec, needs))},
        "eailab fp32": lambda: eailab(options, data, "fp32"),
        "eailab bf16": lambda: eailab(options, data, "bf16"),
    }


FLAX = ("jax", "flax", "optax")
OTHERS = ("lightning", "flax")
"""Contestants whose packages do not come with eailab."""


def megabytes(name: str) -> float:
    """Return the most memory that a fresh process holds, which is called as this one and trains one contestant."""
    words = [sys.executable, *sys.argv, "--alone", name]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def alone(options: argparse.Namespace) -> None:
    """Train one contestant for a turn, and print the most megabytes that this process held."""
    torch.set_num_threads(options.threads)
    contestants(options, images(options)[0])[options.alone]()()
    print((peak_memory() or math.nan) / 1e6)


def start(options: argparse.Namespace) -> float:
    """Return the seconds from the command to the end of a first epoch of two steps on CIFAR-10, which is there."""
    count = 2 * options.batch_size
    words = [sys.executable, "-m", "eailab", "train-resnet", "--recipe", "resnet18-cifar10", "--stem", options.stem]
    words += ["--batch-size", str(options.batch_size), "--epochs", "1", "--device", "cpu"]
    words += ["-v", "-o", f"data.limit={round(count / 0.9)}"]  # -v: a line at the end of each epoch
    if options.data_dir is not None:
        words += ["--data-dir", str(options.data_dir)]
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [*words, "--runs", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None  # noqa: S101 - it was asked for
            for line in process.stderr:
                if "epoch 1/1" in line:
                    return time.perf_counter() - begun
    raise SystemExit(f"no epoch was told by {' '.join(command)}")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Let all contestants take their turns, and return what was found."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    data, source = images(options)
    turns = {name: make() for name, make in contestants(options, data).items()}
    count = len(data.train)
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(options.rounds + 1):
        for name, turn in turns.items():
            rate = count / turn()
            if number > 0:
                rates[name].append(rate)
            print(f"round {number} {name}: {rate:.0f} images/s", file=sys.stderr)
    best_tight = max(
        (name for name in rates if name.startswith("tight")), key=lambda name: statistics.median(rates[name])
    )
    others = [name for name in OTHERS if name in rates]
    peers = (next(iter(rates)), best_tight, *others)
    pairs = [(mine, peer) for mine in rates if mine.startswith("eailab") for peer in peers]
    starts = [start(options) for _ in range(3)] if source == "cifar10" else []
    return {
        "benchmark": "resnet_cpu",
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"processor": processor(), "threads": options.threads, "system": platform.system()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "settings": {name: getattr(options, name) for name in ("stem", "batch_size", "workers", "rounds", "steps")},
        "missing": [name for name in OTHERS if name not in rates],
        "images": source,
        "images_per_second": {
            name: {"median": statistics.median(found), "rounds": found} for name, found in rates.items()
        },
        "ratios": {
            f"{mine} / {peer}": spread([a / b for a, b in zip(rates[mine], rates[peer], strict=True)])
            for mine, peer in pairs
        },
        "megabytes": {name: megabytes(name) for name in rates if not name.startswith("student")},
        "seconds_to_a_first_epoch_of_two_steps": spread(starts) if starts else None,
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return the median and the extremes."""
    return {"median": statistics.median(values), "smallest": min(values), "largest": max(values)}


def processor() -> str:
    """Return the processor's name as the system gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stem", default="7x7", choices=list(geometry.STEMS))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--alone", metavar="CONTESTANT", help="train one for a turn, and print its megabytes")
    options = parser.parse_args()
    if options.alone is not None:
        alone(options)
        return
    found = measure(options)
    for name, rates in found["images_per_second"].items():
        held = found["megabytes"].get(name)
        print(f"{name:40} {rates['median']:7.0f} images/s{'' if held is None else f'{held:7.0f} MB'}")
    if found["missing"]:
        print(f"not installed, and so not among the peers: {', '.join(found['missing'])}")
    for name, ratio in found["ratios"].items():
        print(f"{name:70} {ratio['median']:.2f}x ({ratio['smallest']:.2f} to {ratio['largest']:.2f})")
    if (begun := found["seconds_to_a_first_epoch_of_two_steps"]) is not None:
        print(f"from the command to the end of a first epoch of two steps: {begun['median']:.2f} s")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
