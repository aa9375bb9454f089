"""What one data-centre GPU does with the torch engine: checks first, then timings, then as much of Task 2 as fits.

Run:  python benchmarks/gpu.py [--minutes 10] [--json FILE] [--runs FOLDER]

**No GPU has run this yet.** The predictions are printed first. A check that fails ends the run: timings of wrong
results are worth nothing. Checks and the timing of many trials go through the executor of `eailab ablate`, the rest of
Task 2 through the command itself, with captured steps (EAILAB_CUDA_STEPS=captured): into `--runs`, as many trials side
by side as fit, stopped when the time is over, to go on from their checkpoints when the same command is run again.
CIFAR-10 is taken from EAILAB_DATA. `--rehearse` runs checks and timings very small on the CPU, to see that the program
itself works; its figures mean nothing.
"""

import argparse
import gc
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from eailab.data.dataset import Images, TrialData
from eailab.data.table import load
from eailab.engines.base import DeviceName
from eailab.engines.torch_resnet import devices, lanes, models
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.lanes import CudaLane, EagerLane, Lane
from eailab.errors import StoppedError
from eailab.recipe.load import load as load_recipe
from eailab.recipe.schema import ResNetRecipe, recipe_adapter
from eailab.runs.cadence import Cadence
from eailab.runs.events import EpochEnded, Event, Failed
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.store import Trial

PREDICTIONS = (
    "captured steps, 7x7, batch 32: 600 us a step alone, 36 times the student's loop, 5 times the tight loop",
    "captured steps, 3x3, batch 32: 900 us a step alone, 25 times the student's loop, 4 times the tight loop",
    "16 trials at once, 7x7, batch 32: 4 to 7 times the images/s of one trial alone",
    "a trial's memory, 7x7, batch 32: 1.1 times the tight loop's (the captured steps' own pool)",
    "resize-224, batch 32: 2 ms a step, 7 minutes a run of 150 epochs",
    "resnet18-fast: 94% in 25 s of training",
)
FEW = 64
"""Images that are validated and tested on, where only the training counts."""
STEPS_OF_TASK2 = 150 * 1407
"""Of a run of the report's baseline: 150 epochs of 45,000 images, 32 at a time."""
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

    @contextmanager
    def steps_taken(self, how: str) -> Iterator[None]:
        """Let trials of eailab take `plain` or `captured` steps; on the CPU, those on an eager lane for captured."""
        maker, asked = lanes.maker, os.environ.get(lanes.SETTING)
        os.environ[lanes.SETTING] = how
        if self.device == "cpu" and how == "captured":
            lanes.maker = lambda _: EagerLane
        try:
            yield
        finally:
            lanes.maker = maker
            os.environ.pop(lanes.SETTING) if asked is None else os.environ.update({lanes.SETTING: asked})

    def recipe(self, **settings: Any) -> ResNetRecipe:
        """Return the report's baseline recipe with some settings changed."""
        stem = settings.pop("stem", "7x7")
        recipe = {"name": "benchmark", "engine": "torch-resnet", "data": {"name": "cifar10"}, "epochs": 2, "threads": 1}
        recipe |= {"model": {"stem": stem, "width": self.width}, "optimizer": {"name": "adam"}, "batch_size": 32}
        made = recipe_adapter.validate_python(recipe | settings)
        assert isinstance(made, ResNetRecipe)  # noqa: S101 - by its engine's name
        return made

    def data(self, count: int) -> TrialData:
        """Return made-up images of CIFAR-10's shape: their values change no time, and bits are compared to bits."""
        random = np.random.default_rng(0)
        train, few = (
            Images(random.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), random.integers(0, 10, n))
            for n in (count, FEW)
        )
        mean, std = (f(train.pixels, axis=(0, 1, 2)).astype(np.float32) for f in (np.mean, np.std))
        return TrialData(train, few, few, mean, std, tuple("0123456789"))


class Trials:
    """Trials of made-up images in a folder of their own, trained by what `eailab ablate` trains with."""

    def __init__(self, bench: Bench, folder: Path, images: int) -> None:
        self._bench, self._folder = bench, folder
        random = np.random.default_rng(0)
        parts: dict[str, Any] = {}
        for part, count in (("train", images + FEW), ("test", FEW)):
            parts[f"x_{part}"] = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            parts[f"y_{part}"] = np.arange(count) % 10
        self._file = folder / "made.npz"
        np.savez(self._file, **parts)
        self._settings = {"name": str(self._file), "val_fraction": FEW / (images + FEW)}

    def make(self, block: int, **settings: Any) -> Trial:
        """Return a trial of the benchmark's recipe, with some settings changed."""
        recipe = self._bench.recipe(data=self._settings | settings.pop("data", {}), **settings)
        return Trial(recipe, block, load(str(self._file)).fingerprint)

    def run(
        self, name: str, trials: Sequence[Trial], slots: int, steps: str, epochs: int | None = None
    ) -> list[tuple[Event, float]]:
        """Train trials into a store, to be stopped after so many epochs in all; return the events and their times."""
        events: list[tuple[Event, float]] = []
        surroundings = Surroundings(self._folder / name, cadence=Cadence(epochs=1))

        def stop() -> bool:
            return epochs is not None and sum(isinstance(event, EpochEnded) for event, _ in events) >= epochs

        with self._bench.steps_taken(steps), suppress(StoppedError):
            LocalExecutor(slots).run(
                trials, surroundings, lambda event: events.append((event, time.perf_counter())), stop
            )
        for event, _ in events:
            if isinstance(event, Failed):
                sys.exit(f"a trial failed: {event.reason}")
        return events

    def left(self, name: str, trial: Trial) -> dict[str, bytes]:
        """Return the bytes of the files that a finished trial left, but for those with a time in them."""
        folder = Surroundings(self._folder / name).store.folder(trial.fingerprint)
        files = ("epochs.jsonl", "model.safetensors", "predictions.npz", "result.json")
        found = {file: (folder.path / file).read_bytes() for file in files if (folder.path / file).exists()}
        status = folder.result()
        return found | {"result.json": b"none" if status is None else status.status.encode()}


def checks(bench: Bench, folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield what must hold, and whether it does; in deterministic mode, with a smaller last batch."""
    made = Trials(bench, folder, 32 * bench.steps + 7)
    exact = {"deterministic": True}
    plain = made.make(1, **exact)
    lost = made.make(1, **exact, optimizer={"name": "sgd", "lr": 1e30, "momentum": 0.0})
    others = [
        made.make(2, **exact, stem="3x3", batch_size=16, optimizer={"name": "sgd", "lr": 0.01}),
        made.make(3, **exact, precision="bf16", optimizer={"name": "adamw"}, ema=0.9, mixup=0.2),
        made.make(4, **exact, data={"augment": "trivial-augment"}, label_smoothing=0.1),
        *(made.make(block, **exact) for block in range(5, bench.slots)),
    ]
    late = made.make(bench.slots, **exact, schedule={"name": "cosine"}, epochs=1)
    alone = [plain, *others[:3], late, lost]

    for trial in alone:
        made.run("plain", [trial], 1, "plain")
        made.run("captured", [trial], 1, "captured")

    def same(trial: Trial, first: str, second: str) -> bool:
        return made.left(first, trial) == made.left(second, trial)

    yield "captured steps have the bits of plain ones", all(same(trial, "plain", "captured") for trial in alone)
    made.run("resumed", [plain], 1, "captured", epochs=1)
    began = made.left("resumed", plain)["result.json"] == b"none"
    made.run("resumed", [plain], 1, "captured")
    yield "a trial that was stopped ends with the same bits", began and same(plain, "captured", "resumed")

    together = [plain, lost, *others, late]
    made.run("together", together, bench.slots, "captured")
    yield "a trial beside others has the bits it has alone", same(plain, "captured", "together")
    yield "so has one that takes another's slot", same(late, "captured", "together")
    yield "so have ones of other programs", all(same(trial, "captured", "together") for trial in others[:3])
    yield (
        "a loss that is not finite ends its own trial only",
        all(
            made.left("together", trial)["result.json"] == (b"diverged" if trial is lost else b"finished")
            for trial in together
        ),
    )
    made.run("stopped", together, bench.slots, "captured", epochs=len(together) // 2)
    made.run("stopped", together, bench.slots, "captured")
    yield (
        "trials that were stopped side by side end with the same bits",
        all(same(trial, "together", "stopped") for trial in together),
    )


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
    turn = ours(bench, recipe, bench.data(32 * 10), None)
    turn()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        turn()
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


def many_trials(bench: Bench, folder: Path) -> dict[str, float]:
    """Return the images a second of one trial, and of all slots together, between the first epoch and the last.

    They go through the executor into a store, as the trials of a study do: validation and files are part of the time.
    """
    made = Trials(bench, folder, 32 * bench.steps)

    def rate(slots: int) -> float:
        trials = [made.make(block, precision="bf16", epochs=bench.rounds + 1) for block in range(slots)]
        events = made.run(str(slots), trials, slots, "captured")
        epochs = [(event.epoch.number, moment) for event, moment in events if isinstance(event, EpochEnded)]
        begun = max(moment for number, moment in epochs if number == 1)  # all have captured their steps by then
        later = [moment for _, moment in epochs if moment > begun]
        return len(later) * 32 * bench.steps / (later[-1] - begun)

    one, all_slots = rate(1), rate(bench.slots)
    return {"one": one, f"{bench.slots} at once": all_slots, "ratio": all_slots / one}


def memory(bench: Bench, recipe: ResNetRecipe) -> dict[str, float] | None:
    """Return the most megabytes of a captured trial and of the tight loop, each with its images; None on the CPU."""
    if bench.device == "cpu":
        return None
    data = bench.data(32 * 16)

    def held(turn: Turn) -> float:
        turn()
        return torch.cuda.max_memory_allocated() / 1e6

    found = {}
    for name, make in (
        ("captured", lambda: ours(bench, recipe, data, bench.lane())),
        ("tight", lambda: tight(bench, recipe, data)),
    ):
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 1e6
        found[name] = held(make()) - before
    return found | {"ratio": found["captured"] / found["tight"]}


def large_pictures(bench: Bench) -> dict[str, float]:
    """Return how long a run of Task 2's resize-224 arm takes, by some captured steps of it."""
    steps = max(2, bench.steps // 4)
    epochs = bench.rounds + 1
    recipe = bench.recipe(precision="bf16", epochs=epochs, data={"name": "cifar10", "augment": "resize-224"})
    turn = ours(bench, recipe, bench.data(32 * steps), bench.lane())
    seconds = statistics.median([turn() for _ in range(epochs)][1:]) / steps
    return {"microseconds_a_step": seconds * 1e6, "minutes_a_run": seconds * STEPS_OF_TASK2 / 60.0}


def command(*words: str, runs: Path, deadline: float) -> str:
    """Run eailab with captured steps until the deadline, and say how it ended; the same call goes on from there."""
    environment = os.environ | {lanes.SETTING: "captured"}
    process = subprocess.Popen([sys.executable, "-m", "eailab", *words, "--runs", str(runs)], env=environment)
    try:
        return f"ended with exit code {process.wait(timeout=max(1.0, deadline - time.monotonic()))}"
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
        return "stopped when the time was over; run the same command to go on"


def fast(runs: Path, deadline: float) -> dict[str, Any]:
    """Train the shipped recipe that aims at 94% in 20 s, and return its accuracy and its seconds."""
    how = command("train-resnet", "--recipe", "resnet18-fast", "--device", "cuda", runs=runs, deadline=deadline)
    recipe = load_recipe("resnet18-fast").recipe
    folder = Surroundings(runs).store.folder(Trial(recipe, 0, load("cifar10").fingerprint).fingerprint)
    result = folder.result()
    accuracy = None if result is None or result.test is None else result.test.accuracy
    return {"how": how, "test_accuracy": accuracy, "seconds_of_training": folder.seconds()}


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
    with TemporaryDirectory() as folder:
        for name, holds in checks(bench, Path(folder)):
            found["checks"][name] = holds
            print(f"{'holds' if holds else 'FAILS'}  {name}", flush=True)
    if not all(found["checks"].values()):
        sys.exit("a check does not hold: no timings were taken")
    for stem in FLOORS:
        found[stem] = one_trial(bench, stem)
        print(f"one trial, {stem}: {json.dumps(found[stem])}", flush=True)
    found["memory"] = memory(bench, bench.recipe(precision="bf16", epochs=1))
    print(f"megabytes of a trial, 7x7: {json.dumps(found['memory'])}", flush=True)
    with TemporaryDirectory() as folder:
        found["many"] = many_trials(bench, Path(folder))
    seconds = 36 * STEPS_OF_TASK2 * 32 / found["many"][f"{bench.slots} at once"]
    found["many"]["minutes_of_12_arms_and_3_blocks"] = seconds / 60.0
    print(f"many trials, 7x7: {json.dumps(found['many'])}", flush=True)
    found["resize-224"] = large_pictures(bench)
    print(f"one trial, resize-224: {json.dumps(found['resize-224'])}", flush=True)
    if not options.rehearse:
        found["fast"] = fast(options.runs, deadline)
        print(f"resnet18-fast: {json.dumps(found['fast'])}", flush=True)
        study = ("ablate", "--study", "lab-task2", "--device", "cuda", "--jobs", "auto")
        found["task2"] = command(*study, runs=options.runs, deadline=deadline)
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
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the executor takes the GPU where there is one
        bench = Bench("cpu", steps=2, rounds=1, width=0.05, slots=4, workers=0)
    else:
        bench = Bench("cuda", steps=400, rounds=3, width=1.0, slots=16, workers=4)
    found = measure(bench, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
