"""What one data-centre GPU does with the torch engine: checks first, then timings, then as much of Task 2 as fits.

Run:  python benchmarks/gpu.py [--minutes 9] [--json FILE] [--runs FOLDER] [--only PART ...]

**No GPU has run this yet.** The predictions are printed first. Each part runs in a process of its own, and FILE has
what it found as soon as it ends: a part that fails, hangs or runs out of time takes nothing along. The same command
goes on with the parts that FILE lacks; `--only` names parts to do in any case. A check that fails ends the run: timings
of wrong results are worth nothing. Checks go through the executor of `eailab ablate`, Task 2 through the command
itself, with captured steps (EAILAB_CUDA_STEPS=captured): into `--runs`, stopped when the time is over, to go on from
its checkpoints when the same command is run again. CIFAR-10 is taken from EAILAB_DATA. `--rehearse` runs checks and
timings very small on the CPU, to see that the program itself works; its figures mean nothing.
"""

import argparse
import faulthandler
import gc
import json
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from eailab.data.dataset import Images, TrialData
from eailab.data.registry import load
from eailab.engines.base import DeviceName
from eailab.engines.torch_resnet import cuda_graphs, devices, models
from eailab.engines.torch_resnet.cuda_graphs import CapturedEngine, CudaQueue, LaunchQueue, Program
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.errors import EailabError, StoppedError
from eailab.recipe.load import Override
from eailab.recipe.load import load as load_recipe
from eailab.recipe.schema import ResNetRecipe
from eailab.recipe.validate import recipe_from
from eailab.runs.atomic import write_text
from eailab.runs.checkpoint import Cadence
from eailab.runs.context import EpochEnded, Event, Failed, RunContext
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.trial import Trial

PREDICTIONS = (
    "captured steps, 7x7, batch 32: 600 us a step alone, 36 times the student's loop, 5 times the tight loop",
    "captured steps, 3x3, batch 32: 900 us a step alone, 25 times the student's loop, 4 times the tight loop",
    "a trial's memory, 7x7, batch 32: 1.1 times the tight loop's (the captured steps' own pool)",
    "resize-224, batch 32: 2 ms a step, 7 minutes a run of 150 epochs",
    "resnet18-fast: 94.2% in 27 s of training (45 epochs), 95.4% in 54 s (90), 95.9% in 130 s (220)",
)
FEW = 64
"""Images that are validated and tested on, where only the training counts."""
STEPS_OF_TASK2 = 150 * 1407
"""Of a run of the report's baseline: 150 epochs of 45,000 images, 32 at a time."""
BYTES_A_WEIGHT = 34
"""That a step with Adam in bf16 moves at least: weight and moments read and written in 32 bits (24), and in 16 bits the
weight written and read by forward and backward (6), the gradient written and read (4)."""
LIVE_WEIGHTS = {"7x7": 4_234_826, "3x3": 11_173_962}
"""That 32x32 images reach, by stem."""
CHECKPOINTS = 60.0
"""Seconds between a trial's checkpoints, of 50 to 130 MB."""
STOPPING = 40.0
"""Seconds that a study is given to write its checkpoints."""
LEAST = 20.0
"""Seconds below which no further part is begun."""

Turn = Callable[[], float]
"""Trains one turn's images, and returns the seconds that it took."""
Command = Callable[[argparse.Namespace, float], dict[str, Any]]
"""Runs a command of eailab until a moment at most, and returns how it ended and what was found."""


class EagerQueue:
    """Does the work when it is launched: the rehearsal on the CPU, which checks all but the capture itself."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Change nothing."""
        yield

    def program(self, work: Program, altered: Sequence[torch.Tensor]) -> Program:  # noqa: ARG002 - one signature for both
        """Return the work itself."""
        return work

    def launch(self, program: Program) -> None:
        """Do the work."""
        program()

    def wait(self) -> None:
        """Return at once."""


@dataclass(frozen=True)
class Bench:
    """Where and how large everything is."""

    device: DeviceName
    steps: int
    """Steps of a turn, which is an epoch of its images."""
    check_steps: int
    """Full batches of an epoch of the checks."""
    rounds: int
    width: float
    workers: int

    def queue(self) -> LaunchQueue:
        """Return a new queue for the device."""
        return CudaQueue() if self.device == "cuda" else EagerQueue()

    @contextmanager
    def steps_taken(self, how: str) -> Iterator[None]:
        """Let trials of eailab take `plain` or `captured` steps; on the CPU, those of an eager queue for captured."""
        make_queue, asked = cuda_graphs.make_queue, os.environ.get(cuda_graphs.SETTING)
        os.environ[cuda_graphs.SETTING] = how
        if self.device == "cpu" and how == "captured":
            cuda_graphs.make_queue = lambda _: EagerQueue()
        try:
            yield
        finally:
            cuda_graphs.make_queue = make_queue
            os.environ.pop(cuda_graphs.SETTING) if asked is None else os.environ.update({cuda_graphs.SETTING: asked})

    def recipe(self, **settings: Any) -> ResNetRecipe:
        """Return the report's baseline recipe with some settings changed."""
        stem = settings.pop("stem", "7x7")
        recipe = {"name": "benchmark", "engine": "torch-resnet", "data": {"name": "cifar10"}, "epochs": 2, "threads": 1}
        recipe |= {"model": {"stem": stem, "width": self.width}, "optimizer": {"name": "adam"}, "batch_size": 32}
        made = recipe_from(recipe | settings)
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
    """Trials of made-up images in a folder, trained by what `eailab ablate` trains with."""

    def __init__(self, bench: Bench, folder: Path, images: int) -> None:
        self._bench, self._folder = bench, folder
        random = np.random.default_rng(0)
        parts: dict[str, Any] = {}
        for part, count in (("train", images + FEW), ("test", FEW)):
            parts[f"x_{part}"] = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            parts[f"y_{part}"] = np.arange(count) % 10
        self._file = folder / f"made-{images}.npz"
        if not self._file.exists():
            np.savez(self._file, **parts)
        # Half an image less than `FEW`, since the training split's size is rounded down.
        self._settings = {"name": str(self._file), "val_fraction": (FEW - 0.5) / (images + FEW)}

    def make(self, block: int, **settings: Any) -> Trial:
        """Return a trial of the benchmark's recipe, with some settings changed."""
        recipe = self._bench.recipe(data=self._settings | settings.pop("data", {}), **settings)
        return Trial(recipe, block, load(str(self._file)).fingerprint)

    def run(
        self,
        name: str,
        trials: Sequence[Trial],
        steps: str,
        epochs: int | None = None,
        cadence: Cadence = Cadence(epochs=1),  # noqa: B008 - frozen
    ) -> list[tuple[Event, float]]:
        """Train trials into a store, to be stopped after so many epochs in all; return the events and their times.

        Trials that fail say why on standard error.
        """
        events: list[tuple[Event, float]] = []
        context = RunContext(self._folder / name, cadence=cadence)
        ended = 0

        def hear(event: Event) -> None:
            nonlocal ended
            ended += isinstance(event, EpochEnded)
            events.append((event, time.perf_counter()))
            if isinstance(event, Failed):
                print(f"a trial failed, {steps}: {event.reason}", file=sys.stderr, flush=True)

        with self._bench.steps_taken(steps), suppress(StoppedError):
            LocalExecutor(1).run(trials, context.followed(hear, lambda: epochs is not None and ended >= epochs))
        return events

    def left(self, name: str, trial: Trial) -> dict[str, bytes]:
        """Return the bytes of the files that a finished trial left, but for those with a time in them."""
        folder = RunContext(self._folder / name).store.folder(trial.fingerprint)
        files = ("epochs.jsonl", "model.safetensors", "predictions.npz")
        found = {file: (folder.path / file).read_bytes() for file in files if (folder.path / file).exists()}
        status = folder.result()
        return found | {"result.json": b"none" if status is None else status.status.encode()}

    def differences(self, trials: Mapping[str, Trial], first: str, second: str) -> list[str]:
        """Return in which trials (by what they are called), files and epochs two stores differ, or lack a result."""
        found = []
        for called, trial in trials.items():
            one, other = self.left(first, trial), self.left(second, trial)
            if b"none" in (one["result.json"], other["result.json"]):
                found.append(f"{called}: no result {first if one['result.json'] == b'none' else second}")
            for file in sorted(one.keys() | other.keys()):
                if one.get(file) == other.get(file):
                    continue
                found.append(f"{called}: {file}")
                if file == "epochs.jsonl":
                    lines = zip(one.get(file, b"").splitlines(), other.get(file, b"").splitlines(), strict=False)
                    found += [f"{first} {a!r} {second} {b!r}" for a, b in lines if a != b][:1]
        return found


Found: TypeAlias = Iterator[dict[str, Any]]
"""What a part finds out, piece by piece."""


def check_trials(bench: Bench, folder: Path) -> tuple[Trials, dict[str, Trial]]:
    """Return the trials of the checks by what they are called: deterministic, with a smaller last batch."""
    made = Trials(bench, folder, 32 * bench.check_steps + 7)
    exact = {"deterministic": True}
    lost = {"name": "sgd", "lr": 1e30, "momentum": 0.0}
    return made, {
        "7x7": made.make(1, **exact),
        "3x3": made.make(2, **exact, stem="3x3", batch_size=16, optimizer={"name": "sgd", "lr": 0.01}),
        "bf16": made.make(3, **exact, precision="bf16", optimizer={"name": "adamw"}, ema=0.9, mixup=0.2),
        "cosine": made.make(6, **exact, schedule={"name": "cosine"}, epochs=1),
        "lost": made.make(1, **exact, optimizer=lost),
        "trivial-augment": made.make(4, **exact, data={"augment": "trivial-augment"}, label_smoothing=0.1),
    }


def checked(name: str, differences: list[str]) -> dict[str, Any]:
    """Print whether something holds, and return it as a finding."""
    print(f"{'FAILS' if differences else 'holds'}  {name}", *differences, sep="\n       ", flush=True)
    return {name: {"holds": not differences, "differences": differences}}


def checks(bench: Bench, folder: Path) -> Found:
    """Hold captured steps to plain ones, a trial at a time."""
    made, trials = check_trials(bench, folder)
    for called, trial in trials.items():
        made.run("plain", [trial], "plain")
        made.run("captured", [trial], "captured")
        yield checked(
            f"captured steps have the bits of plain ones: {called}",
            made.differences({called: trial}, "plain", "captured"),
        )
    plain = trials["7x7"]
    made.run("resumed", [plain], "captured", epochs=1)
    began = made.left("resumed", plain)["result.json"] == b"none"
    made.run("resumed", [plain], "captured")
    differences = [] if began else ["it was not stopped"]
    differences += made.differences({"7x7": plain}, "captured", "resumed")
    yield checked("a trial that was stopped ends with the same bits", differences)


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


def pictures_loader(bench: Bench, recipe: ResNetRecipe, data: TrialData) -> DataLoader[tuple[torch.Tensor, int]]:
    """Return the loader of the first two peers."""
    return DataLoader(
        Pictures(data),
        batch_size=recipe.batch_size,
        shuffle=True,
        num_workers=bench.workers,
        persistent_workers=bench.workers > 0,
    )


def student(bench: Bench, recipe: ResNetRecipe, data: TrialData) -> Turn:
    """Peer 1: a DataLoader with workers, PIL images, float32, the loss read in every step.

    The workers stay from turn to turn: a real epoch is longer than a turn, and their start counts less in it.
    """
    loader = pictures_loader(bench, recipe, data)
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
    """Peer 2: Lightning's Trainer in bf16 with the same loader, or None where Lightning is not installed.

    Its time is that from an epoch's first batch to its end: what a fit sets up is not counted.
    """
    try:
        import lightning as pl
    except ImportError:
        return None

    class Module(pl.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = models.build(recipe.model, 10, block=0)
            self.begun = self.seconds = 0.0

        def on_train_batch_start(self, _: Any, number: int) -> None:
            if number == 0:
                self.begun = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            finish(bench)
            self.seconds = time.perf_counter() - self.begun

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.001)

    loader = pictures_loader(bench, recipe, data)
    module = Module()

    def turn() -> float:
        quiet: dict[str, Any] = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
        )
        accelerator = "gpu" if bench.device == "cuda" else "cpu"
        trainer = pl.Trainer(accelerator=accelerator, devices=1, precision="bf16-mixed", max_epochs=1, **quiet)
        trainer.fit(module, loader)
        return module.seconds

    return turn


def tight(bench: Bench, recipe: ResNetRecipe, data: TrialData) -> Turn:
    """Peer 3: data on the device, crops by one gather, bf16, channels last, cuDNN's benchmark, a fused optimizer."""
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
        torch.backends.cudnn.benchmark = True
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
        torch.backends.cudnn.benchmark = False
        return time.perf_counter() - begun

    return turn


def ours(bench: Bench, recipe: ResNetRecipe, data: TrialData, queue: LaunchQueue | None) -> Turn:
    """One trial of the engine, captured or step by step."""
    engine: ResNetEngine
    if queue is None:
        engine = ResNetEngine(recipe, data, 0, bench.device)
    else:
        engine = CapturedEngine(recipe, data, 0, bench.device, queue=queue)
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


def kernels(bench: Bench, _: Path) -> Found:
    """Count the kernels of one plain step, by torch's profiler; in a process of its own, which nothing is timed in."""
    if bench.device == "cpu":
        return
    for stem in LIVE_WEIGHTS:
        turn = ours(bench, bench.recipe(stem=stem, precision="bf16"), bench.data(32 * 10), None)
        turn()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
            turn()
        on_device = [event for event in found.events() if event.device_type == torch.autograd.DeviceType.CUDA]
        yield {stem: len(on_device) / 10}


def bytes_a_second(bench: Bench) -> float | None:
    """Return what a copy within the device's memory moves, bytes read and written; None on the CPU."""
    if bench.device == "cpu":
        return None
    source = torch.rand(2**28, device=bench.device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(12):
        finish(bench)
        begun = time.perf_counter()
        target.copy_(source)
        finish(bench)
        seconds.append(time.perf_counter() - begun)
    return 2 * source.nbytes / statistics.median(seconds[2:])


def one_trial(stem: str) -> Callable[[Bench, Path], Found]:
    """Return what times one trial of a stem and its peers."""
    return lambda bench, _: beside_its_peers(bench, stem)


def beside_its_peers(bench: Bench, stem: str) -> Found:
    """Time one trial and its peers, turn by turn, after one turn each that is not counted."""
    speed = bytes_a_second(bench)
    data = bench.data(32 * bench.steps)
    recipe = bench.recipe(stem=stem, precision="bf16", epochs=bench.rounds + 1)
    contestants: dict[str, Turn | None] = {
        "student": student(bench, recipe, data),
        "lightning": lightning(bench, recipe, data),
        "tight": tight(bench, recipe, data),
        "eailab plain": ours(bench, recipe, data, None),
        "eailab captured": ours(bench, recipe, data, bench.queue()),
    }
    turns = {name: turn for name, turn in contestants.items() if turn is not None}
    yield {"seconds_of_the_first_turn": {name: turn() for name, turn in turns.items()}}  # prepares, and is not counted
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(bench.rounds):
        for name, turn in turns.items():
            seconds[name].append(turn())
        yield {"microseconds_a_step": {name: [a / bench.steps * 1e6 for a in b] for name, b in seconds.items()}}
    mine = seconds["eailab captured"]
    floor = None if speed is None else BYTES_A_WEIGHT * LIVE_WEIGHTS[stem] / speed * 1e6
    yield {
        "times_as_fast_as": {
            name: statistics.median([b / a for a, b in zip(mine, found, strict=True)])
            for name, found in seconds.items()
            if found is not mine
        },
        "bytes_a_second": speed,
        "floor_microseconds": floor,
        "share_of_the_floor": None if floor is None else floor / (statistics.median(mine) / bench.steps * 1e6),
        "not_measured": sorted(contestants.keys() - turns.keys()),
    }


def memory(bench: Bench, _: Path) -> Found:
    """Measure the most megabytes that torch holds for a captured trial and for the tight loop, each with its images."""
    if bench.device == "cpu":
        return
    data, recipe = bench.data(32 * 17 + 7), bench.recipe(precision="bf16", epochs=1)  # programs of 8 steps, 1, the last

    def megabytes(make: Callable[[], Turn]) -> float:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_reserved()
        make()()
        return (torch.cuda.max_memory_reserved() - before) / 1e6

    captured = megabytes(lambda: ours(bench, recipe, data, bench.queue()))
    plain = megabytes(lambda: tight(bench, recipe, data))
    yield {"captured": captured, "tight": plain, "ratio": captured / plain}


def large_pictures(bench: Bench, _: Path) -> Found:
    """Time how long a run of Task 2's resize-224 arm takes, by some captured steps of it."""
    steps = max(2, bench.steps // 4)
    recipe = bench.recipe(precision="bf16", epochs=bench.rounds + 1, data={"name": "cifar10", "augment": "resize-224"})
    turn = ours(bench, recipe, bench.data(32 * steps), bench.queue())
    yield {"seconds_of_the_first_turn": turn()}
    seconds = statistics.median([turn() for _ in range(bench.rounds)]) / steps
    yield {"microseconds_a_step": seconds * 1e6, "minutes_a_run": seconds * STEPS_OF_TASK2 / 60.0}


def command(*words: str, runs: Path, deadline: float) -> str:
    """Run eailab with captured steps until the deadline, and say how it ended: "ended" is to its end.

    Another call goes on from there.
    """
    environment = os.environ | {cuda_graphs.SETTING: "captured"}
    process = subprocess.Popen([sys.executable, "-m", "eailab", *words, "--runs", str(runs)], env=environment)
    try:
        code = process.wait(timeout=max(1.0, deadline - STOPPING - time.monotonic()))
        return "ended" if code == 0 else f"exit code {code}"
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "killed: it had not stopped in time"
    return "stopped: the time was over"


def fast(epochs: int) -> Command:
    """Return what trains the shipped recipe for speed over so many epochs, and finds its accuracy and its seconds.

    The first epoch prepares: cuDNN's choices and the capture of the steps are in its seconds.
    """

    def train(options: argparse.Namespace, deadline: float) -> dict[str, Any]:
        recipe = load_recipe("resnet18-fast", [Override("epochs", epochs, "--epochs")]).recipe
        trial = Trial(recipe, 0, load("cifar10", download=False).fingerprint)
        words = ("train-resnet", "--recipe", "resnet18-fast", "--epochs", str(epochs), "--device", "cuda")
        how = command(*words, runs=options.runs, deadline=deadline)
        folder = RunContext(options.runs).store.folder(trial.fingerprint)
        result = folder.result()
        accuracy = None if result is None else result.values.get("test_accuracy")
        seconds = [timing.seconds for _, timing in sorted(folder.timings().items())]
        found = {"epochs": epochs, "test_accuracy": accuracy, "seconds_of_training": sum(seconds)}
        return {"how": how, "found": found | {"seconds_of_epochs": seconds}}

    return train


def task2(options: argparse.Namespace, deadline: float) -> dict[str, Any]:
    """Train as much of the lab's Task 2 as there is time for."""
    load("cifar10", download=False)  # the command would try to fetch what is missing, where there may be no network
    words = ["ablate", *shlex.split(options.task2), "--device", "cuda", "--checkpoint-every", f"{CHECKPOINTS:.0f}s"]
    return {"how": command(*words, runs=options.runs, deadline=deadline), "found": {"command": shlex.join(words)}}


@dataclass(frozen=True)
class Part:
    """What is measured in a process of its own."""

    find: Callable[[Bench, Path], Found]
    seconds: float
    """After which it is taken to hang."""


CHECKS = {"checks": Part(checks, 180.0)}
TIMINGS = {
    "7x7": Part(one_trial("7x7"), 150.0),
    "3x3": Part(one_trial("3x3"), 150.0),
    "resize-224": Part(large_pictures, 120.0),
    "memory": Part(memory, 90.0),
    "kernels": Part(kernels, 90.0),
}
COMMANDS: dict[str, Command] = {"fast": fast(45), "fast-95": fast(90), "fast-96": fast(220), "task2": task2}
ORDER = (
    *CHECKS,
    *("7x7", "3x3", "fast", "fast-95", "resize-224", "memory", "kernels", "fast-96", "task2"),
)
"""In which the parts are done: what says most for its time comes first."""


def do_part(name: str, bench: Bench, folder: Path, report: Path) -> None:
    """Find out what a part is to find out, in this process, and write each piece into a file as it is there.

    A crash, and the signal that comes before a hanging part is killed, show where it is.
    """
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    found: dict[str, Any] = {
        "device": devices.describe(devices.choose(bench.device)),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda},
    }
    for more in (CHECKS | TIMINGS)[name].find(bench, folder):
        found |= {"found": found.get("found", {}) | more}
        write_text(report, json.dumps(found, indent=2) + "\n")


def have_done(name: str, options: argparse.Namespace, folder: Path, deadline: float) -> dict[str, Any]:
    """Let a process do a part, and return what it found, how it ended and how long it took."""
    begun = time.monotonic()
    report = folder / f"{name}.json"
    if name in COMMANDS:
        try:
            found = COMMANDS[name](options, deadline)
        except EailabError as error:
            found = {"how": str(error)}
        return {"seconds": round(time.monotonic() - begun, 1)} | found
    part = (CHECKS | TIMINGS)[name]
    words = [sys.executable, __file__, "--part", name, "--folder", str(folder), *["--rehearse"] * options.rehearse]
    process = subprocess.Popen(words)
    try:
        code = process.wait(timeout=max(1.0, min(part.seconds, deadline - time.monotonic())))
        how = "ended" if code == 0 else f"exit code {code}"
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        process.kill()
        process.wait()
        how = "killed: its time was over"
    found = json.loads(report.read_text()) if report.exists() else {}
    return {"how": how, "seconds": round(time.monotonic() - begun, 1)} | found


def hold(parts: Mapping[str, Any]) -> bool:
    """Return whether all checks that were made hold, and came to their end."""
    made = [parts[name] for name in CHECKS if name in parts]
    return all(one["how"] == "ended" and all(check["holds"] for check in one["found"].values()) for one in made)


def measure(options: argparse.Namespace) -> None:
    """Have the parts done one by one, and write what each found as soon as it has ended.

    Raises:
        SystemExit: A check does not hold.
    """
    deadline = time.monotonic() + 60.0 * options.minutes
    record: dict[str, Any] = {"benchmark": "gpu", "predictions": PREDICTIONS, "parts": {}}
    if options.json and options.json.exists():
        record = json.loads(options.json.read_text())
    record |= {"date": time.strftime("%Y-%m-%d"), "command": " ".join(["python", *sys.argv])}
    parts = record["parts"]
    with TemporaryDirectory() as folder:
        for name in ORDER:
            if name not in options.only if options.only else parts.get(name, {}).get("how") == "ended":
                continue
            if options.rehearse and name in COMMANDS:
                continue
            if not options.only and name not in CHECKS and not hold(parts):
                sys.exit("a check does not hold: no timings were taken; --only takes them all the same")
            if deadline - time.monotonic() < LEAST + STOPPING * (name in COMMANDS):
                print(f"no time is left for {name}: run the same command to go on", flush=True)
                continue
            parts[name] = have_done(name, options, Path(folder), deadline)
            print(f"{name}: {json.dumps(parts[name])}", flush=True)
            if options.json:
                write_text(options.json, json.dumps(record, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="when the run ends")
    parser.add_argument("--only", nargs="+", choices=ORDER, default=[], metavar="PART", help=", ".join(ORDER))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where Task 2 is recorded")
    parser.add_argument("--json", type=Path, default=None, help="what was found; parts that it has are not done again")
    parser.add_argument("--task2", default="--study lab-task2", help="what eailab ablate is asked for [%(default)s]")
    parser.add_argument("--rehearse", action="store_true", help="very small, on the CPU, without Task 2")
    parser.add_argument("--part", choices=[*CHECKS, *TIMINGS], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rehearse:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the executor takes the GPU where there is one
    elif not devices.cuda_is_here():
        print("no GPU answers here: nothing was measured. --rehearse tries the program on the CPU.", file=sys.stderr)
        sys.exit(2)
    if options.part:
        if options.rehearse:
            torch.set_num_threads(1)
            bench = Bench("cpu", steps=2, check_steps=9, rounds=1, width=0.05, workers=0)
        else:
            bench = Bench("cuda", steps=400, check_steps=123, rounds=3, width=1.0, workers=4)
        do_part(options.part, bench, options.folder, options.folder / f"{options.part}.json")
        return
    for line in PREDICTIONS:
        print(f"predicted: {line}", flush=True)
    measure(options)


if __name__ == "__main__":
    main()
