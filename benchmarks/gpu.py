"""What one data-centre GPU does with the torch engine: checks first, then timings, then as much of Task 2 as fits.

Run:  python benchmarks/gpu.py [--minutes 10] [--json FILE] [--runs FOLDER]

**No GPU has run this yet.** The predictions are printed first. A check that fails ends the run: timings of wrong
results are worth nothing. Task 2 goes through `eailab ablate` into `--runs`, one captured trial after the other, is
stopped when the time is over, and goes on from its checkpoints when the same command is run again. `--rehearse` runs
checks and timings very small on the CPU, to see that the program itself works; its figures mean nothing.
"""

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from eailab.data.dataset import Images, TrialData
from eailab.engines.base import Arrays, DeviceName
from eailab.engines.torch_resnet import devices, models, population
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.lanes import CudaLane, EagerLane, Lane
from eailab.engines.torch_resnet.population import Diverged, Entry, EpochEnded, Finished
from eailab.recipe.schema import ResNetRecipe, recipe_adapter

PREDICTIONS = (
    "captured steps, 7x7, batch 32: 600 us a step alone, 36 times the student's loop, 5 times the tight loop",
    "captured steps, 3x3, batch 32: 900 us a step alone, 25 times the student's loop, 4 times the tight loop",
    "16 trials at once, 7x7, batch 32: 4 to 7 times the images/s of one trial alone",
)
FLOORS = {"7x7": 26.0, "3x3": 68.0}
"""Microseconds a step at batch 32 that cannot be undercut on an H200: the traffic of weights and optimizer."""

Turn = Callable[[], float]
"""Trains one turn's images, and returns the seconds that it took."""


@dataclass(frozen=True)
class Bench:
    """Where and how large everything is."""

    device: DeviceName
    steps: int
    """Steps of a turn, which is an epoch of its images."""
    rounds: int
    width: float
    slots: int
    workers: int

    def lane(self) -> Lane:
        """Return a new lane for the device."""
        return CudaLane() if self.device == "cuda" else EagerLane()

    def recipe(self, **settings: Any) -> ResNetRecipe:
        """Return the report's baseline recipe with some settings changed."""
        stem = settings.pop("stem", "7x7")
        recipe = {"name": "benchmark", "engine": "torch-resnet", "data": {"name": "cifar10"}, "epochs": 2}
        recipe |= {"model": {"stem": stem, "width": self.width}, "optimizer": {"name": "adam"}, "batch_size": 32}
        made = recipe_adapter.validate_python(recipe | settings)
        assert isinstance(made, ResNetRecipe)  # noqa: S101 - by its engine's name
        return made

    def data(self, count: int) -> TrialData:
        """Return made-up images of CIFAR-10's shape: their values change no time, and bits are compared to bits."""
        random = np.random.default_rng(0)
        train, few = (
            Images(random.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), random.integers(0, 10, n))
            for n in (count, 64)
        )
        mean, std = (f(train.pixels, axis=(0, 1, 2)).astype(np.float32) for f in (np.mean, np.std))
        return TrialData(train, few, few, mean, std, tuple("0123456789"))


def same(first: Arrays, second: Arrays) -> bool:
    """Whether two sets of arrays are equal to the bit."""
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


def trained(engine: ResNetEngine, first: int, last: int) -> ResNetEngine:
    """Return an engine after some epochs more."""
    for number in range(first, last + 1):
        engine.train_epoch(number, lambda _: None)
    return engine


def checks(bench: Bench) -> Iterator[tuple[str, bool]]:
    """Yield what must hold, and whether it does; in deterministic mode, with a smaller last batch."""
    data = bench.data(32 * bench.steps + 7)
    plain = bench.recipe(deterministic=True)
    wide = bench.recipe(deterministic=True, stem="3x3", batch_size=16, optimizer={"name": "sgd", "lr": 0.01})
    lost = bench.recipe(deterministic=True, optimizer={"name": "sgd", "lr": 1e30, "momentum": 0.0})

    def engine(recipe: ResNetRecipe, lane: Lane | None) -> ResNetEngine:
        return ResNetEngine(recipe, data, 1, bench.device, lane=lane)

    alone = trained(engine(plain, bench.lane()), 1, 2)
    yield "captured steps have the bits of plain ones", same(alone.state(), trained(engine(plain, None), 1, 2).state())
    kept = trained(engine(plain, bench.lane()), 1, 1).state()
    resumed = engine(plain, bench.lane())
    resumed.load_state(kept)
    yield "a resumed trial ends with the same bits", same(trained(resumed, 2, 2).state(), alone.state())

    recipes = [plain, wide, lost, *[plain] * (bench.slots - 3), plain]
    entries = [Entry(recipe, data, number or 1) for number, recipe in enumerate(recipes)]
    entries[-1] = Entry(plain, data, 1)  # begins in a slot that another trial has left
    events = list(population.run(entries, bench.slots, bench.device))
    weights = {event.entry: event.weights for event in events if isinstance(event, Finished)}
    diverged = [event.entry for event in events if isinstance(event, Diverged)]
    yield "a trial beside others has the bits it has alone", same(weights[0], alone.weights())
    yield "so has one that takes another's slot", same(weights[len(entries) - 1], alone.weights())
    expected = trained(engine(wide, bench.lane()), 1, 2).weights()
    yield "so has one with another stem and batch size", same(weights[1], expected)
    yield "a loss that is not finite ends its own trial only", diverged == [2] and len(weights) == len(entries) - 1


class Pictures(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """PIL images and torchvision's transforms, as the tutorials have them."""

    def __init__(self, data: TrialData) -> None:
        self.images = [to_pil_image(image) for image in data.train.pixels]
        self.labels = data.train.labels.tolist()
        scale = transforms.Normalize((data.mean / 255.0).tolist(), (data.std / 255.0).tolist())
        crop, flip = transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()
        self.transform = transforms.Compose([crop, flip, transforms.ToTensor(), scale])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def student(bench: Bench, recipe: ResNetRecipe, data: TrialData) -> Turn:
    """Peer 1: a DataLoader with workers, PIL images, float32, the loss read in every step."""
    loader = DataLoader(Pictures(data), batch_size=recipe.batch_size, shuffle=True, num_workers=bench.workers)
    model = models.build(recipe.model, 10, block=0).train().to(bench.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    def turn() -> float:
        begun, running_loss = time.perf_counter(), 0.0
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs.to(bench.device)), labels.to(bench.device))
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        return time.perf_counter() - begun

    return turn


def lightning(bench: Bench, recipe: ResNetRecipe, data: TrialData) -> Turn | None:
    """Peer 2: Lightning's Trainer in bf16 with the same loader, or None where Lightning is not installed."""
    try:
        import lightning as pl
    except ImportError:
        return None

    class Module(pl.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = models.build(recipe.model, 10, block=0)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.001)

    loader = DataLoader(Pictures(data), batch_size=recipe.batch_size, shuffle=True, num_workers=bench.workers)
    module = Module()

    def turn() -> float:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        accelerator = "gpu" if bench.device == "cuda" else "cpu"
        trainer = pl.Trainer(accelerator=accelerator, devices=1, precision="bf16-mixed", max_epochs=1, **quiet)
        begun = time.perf_counter()
        trainer.fit(module, loader)
        return time.perf_counter() - begun

    return turn


def tight(bench: Bench, recipe: ResNetRecipe, data: TrialData) -> Turn:
    """Peer 3: data on the device, crops by one gather, bf16, channels last, a fused optimizer, no loss read."""
    pixels = torch.tensor(data.train.pixels, device=bench.device).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values, device=bench.device)[:, None, None] for values in (data.mean, data.std))
    padded = ((functional.pad(pixels, (4, 4, 4, 4)) - mean) / std).contiguous()
    labels = torch.tensor(data.train.labels, device=bench.device)
    model: nn.Module = models.build(recipe.model, 10, block=0).train()
    model = model.to(bench.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
    side = torch.arange(32, device=bench.device)

    def turn() -> float:
        begun = time.perf_counter()
        for chosen in torch.randperm(len(labels), device=bench.device).split(recipe.batch_size):
            top, left = torch.randint(0, 9, (2, len(chosen), 1), device=bench.device)
            flipped = torch.rand(len(chosen), 1, device=bench.device) < 0.5
            column = torch.where(flipped, 31 - side, side) + left
            batch = padded[chosen[:, None, None], :, (top + side)[:, :, None], column[:, None, :]].permute(0, 3, 1, 2)
            with torch.autocast(bench.device, torch.bfloat16):
                outputs = model(batch.contiguous(memory_format=torch.channels_last))
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(outputs.float(), labels[chosen]).backward()
            optimizer.step()
        finish(bench)
        return time.perf_counter() - begun

    return turn


def ours(bench: Bench, recipe: ResNetRecipe, data: TrialData, lane: Lane | None) -> Turn:
    """One trial of the engine, captured or step by step."""
    engine = ResNetEngine(recipe, data, 0, bench.device, lane=lane)
    numbers = iter(range(1, recipe.epochs + 1))

    def turn() -> float:
        begun = time.perf_counter()
        engine.train_epoch(next(numbers), lambda _: None)
        return time.perf_counter() - begun

    return turn


def finish(bench: Bench) -> None:
    """Wait for the device."""
    if bench.device == "cuda":
        torch.cuda.synchronize()


def kernels(bench: Bench, recipe: ResNetRecipe) -> float | None:
    """Return the kernels of one plain step, by torch's profiler; None on the CPU."""
    if bench.device == "cpu":
        return None
    engine = trained(ResNetEngine(recipe, bench.data(32 * 10), 0, bench.device), 1, 1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        trained(engine, 2, 2)
    on_device = [event for event in found.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return len(on_device) / 10


def one_trial(bench: Bench, stem: str) -> dict[str, Any]:
    """Time one trial beside its peers, turn by turn, after one turn each that is not counted."""
    data = bench.data(32 * bench.steps)
    recipe = bench.recipe(stem=stem, precision="bf16", epochs=bench.rounds + 1)
    contestants: dict[str, Turn | None] = {
        "student": student(bench, recipe, data),
        "lightning": lightning(bench, recipe, data),
        "tight": tight(bench, recipe, data),
        "eailab plain": ours(bench, recipe, data, None),
        "eailab captured": ours(bench, recipe, data, bench.lane()),
    }
    seconds: dict[str, list[float]] = {name: [] for name, turn in contestants.items() if turn is not None}
    for number in range(bench.rounds + 1):
        for name, turn in contestants.items():
            if turn is not None:
                taken = turn()
                if number > 0:
                    seconds[name].append(taken)
    mine = seconds["eailab captured"]
    step = statistics.median(mine) / bench.steps * 1e6
    return {
        "microseconds_a_step": {
            name: [taken / bench.steps * 1e6 for taken in found] for name, found in seconds.items()
        },
        "times_as_fast_as": {
            name: statistics.median([b / a for a, b in zip(mine, found, strict=True)])
            for name, found in seconds.items()
            if found is not mine
        },
        "share_of_the_floor": FLOORS[stem] / step,
        "kernels_a_step": kernels(bench, recipe),
        "not_measured": [name for name, turn in contestants.items() if turn is None],
    }


def many_trials(bench: Bench) -> dict[str, float]:
    """Return the images a second of one trial, and of all slots together, both without their first epoch."""
    data = bench.data(32 * bench.steps)
    recipe = bench.recipe(precision="bf16", epochs=bench.rounds + 1)

    def rate(slots: int) -> float:
        entries = [Entry(recipe, data, block) for block in range(slots)]
        first = counted = 0
        begun = 0.0
        for event in population.run(entries, slots, bench.device):
            if isinstance(event, EpochEnded):
                counted += first == slots
                first += event.number == 1
                if counted == 0:
                    begun = time.perf_counter()  # until all have captured their steps and ended an epoch
                ended = time.perf_counter()
        return counted * len(data.train) / (ended - begun)

    one, all_slots = rate(1), rate(bench.slots)
    return {"one": one, f"{bench.slots} at once": all_slots, "ratio": all_slots / one}


def task2(runs: Path, deadline: float) -> str:
    """Train the lab's second task until the deadline, and say how it ended; the same call goes on where it stopped."""
    command = [sys.executable, "-m", "eailab", "ablate", "--study", "lab-task2", "--device", "cuda"]
    process = subprocess.Popen([*command, "--runs", str(runs)])
    try:
        return f"ended with exit code {process.wait(timeout=max(1.0, deadline - time.monotonic()))}"
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
        return "stopped when the time was over; run the same command to go on"


def measure(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """Make the checks and the timings, print each as it is there, and return them.

    Raises:
        SystemExit: A check does not hold.
    """
    deadline = time.monotonic() + 60.0 * options.minutes
    found: dict[str, Any] = {
        "benchmark": "gpu",
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python", *sys.argv]),
        "device": devices.describe(devices.choose(bench.device)),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda},
        "predictions": PREDICTIONS,
        "checks": {},
    }
    for name, holds in checks(bench):
        found["checks"][name] = holds
        print(f"{'holds' if holds else 'FAILS'}  {name}", flush=True)
    if not all(found["checks"].values()):
        sys.exit("a check does not hold: no timings were taken")
    for stem in FLOORS:
        found[stem] = one_trial(bench, stem)
        print(f"one trial, {stem}: {json.dumps(found[stem])}", flush=True)
    found["many"] = many_trials(bench)
    print(f"many trials, 7x7: {json.dumps(found['many'])}", flush=True)
    if not options.rehearse:
        found["task2"] = task2(options.runs, deadline)
        print(f"Task 2: {found['task2']}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="when Task 2 is stopped")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where Task 2 is recorded")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--rehearse", action="store_true", help="very small, on the CPU, without Task 2")
    options = parser.parse_args()
    if not options.rehearse and not devices.cuda_is_here():
        print("no GPU answers here: nothing was measured. --rehearse tries the program on the CPU.", file=sys.stderr)
        sys.exit(2)
    for line in PREDICTIONS:
        print(f"predicted: {line}", flush=True)
    if options.rehearse:
        torch.set_num_threads(1)
        bench = Bench("cpu", steps=2, rounds=1, width=0.05, slots=4, workers=0)
    else:
        bench = Bench("cuda", steps=400, rounds=3, width=1.0, slots=16, workers=4)
    found = measure(bench, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
