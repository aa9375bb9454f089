"""A network of one's own against the built-in ResNet-18: the same loss curve from the same weights, and what it costs.

Run:  python benchmarks/own_network.py [--steps 50] [--batch-size 16] [--threads 1] [--rounds 5] [--json FILE]

The network of one's own is torchvision's ResNet-18 with the 3x3 stem without pooling, written as a student would in a
file; at 32x32 every weight of the built-in one is reached too, so that neither is reduced. Both engines train on the
same made-up images in float32, with Adam, crops and flips. First both take `--steps` steps from the same state, one
step an epoch, and their losses are compared; then they take turns of as many steps, and the ratio of their times is
given round by round, so that what else the machine does meets both alike. `--rounds 0` compares losses alone.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from eailab.data.dataset import Images, TrialData
from eailab.engines.registry import build
from eailab.own_code.identity import digest_of
from eailab.recipe.schema import ResNetRecipe
from eailab.recipe.validate import recipe_from

NETWORK = """
from torch import nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock


class Net(ResNet):
    def __init__(self, num_classes):
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.maxpool = nn.Identity()
"""
TOLERANCE = 1e-3
"""How far two losses of one step may lie apart, relative to the larger: rounding in float32, which 50 steps enlarge."""
MOST_SLOWER = 0.05


def recipe(options: argparse.Namespace, model: dict[str, object]) -> ResNetRecipe:
    """Return the recipe of both engines."""
    made = recipe_from(
        {
            "name": "benchmark",
            "engine": "torch-resnet",
            "data": {"name": "cifar10", "augment": "crop-flip"},
            "model": model,
            "optimizer": {"name": "adam", "lr": 0.001},
            "epochs": 10_000,
            "batch_size": options.batch_size,
            "threads": options.threads,
        }
    )
    assert isinstance(made, ResNetRecipe)  # noqa: S101 - by its engine's name
    return made


def images(count: int) -> TrialData:
    """Return made-up images."""
    random = np.random.default_rng(0)
    chosen = Images(random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), random.integers(0, 10, count))
    few = Images(chosen.pixels[:10], chosen.labels[:10])
    mean, std = (f(chosen.pixels, axis=(0, 1, 2)).astype(np.float32) for f in (np.mean, np.std))
    return TrialData(chosen, few, few, mean, std, tuple("0123456789"))


def main() -> None:
    """Compare the two, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    with TemporaryDirectory() as folder:
        file = Path(folder) / "net.py"
        file.write_text(NETWORK)
        own = {"name": "module", "file": str(file), "class": "Net", "code": digest_of(file)}
        recipes = {"built in": recipe(options, {"name": "resnet18", "stem": "3x3-nopool"}), "own": recipe(options, own)}

        # The same losses, one step an epoch.
        batch = images(options.batch_size)
        engines = {name: build(one, batch, 0, "cpu", Path(folder)) for name, one in recipes.items()}
        engines["own"].load_state(engines["built in"].state())
        losses: dict[str, list[float]] = {name: [] for name in engines}
        for step in range(1, options.steps + 1):
            for name, engine in engines.items():
                losses[name].append(float(engine.train_epoch(step, lambda _: None)["train_loss"]))
        pairs = list(zip(losses["built in"], losses["own"], strict=True))
        apart = max(abs(a - b) / max(a, b) for a, b in pairs)
        print(f"losses of {options.steps} steps from the same weights: {pairs[0][0]:.4f} to {pairs[-1][0]:.4f}")
        print(f"largest relative difference {apart:.1e}, {'within' if apart <= TOLERANCE else 'BEYOND'} {TOLERANCE:g}")

        # The same times, in turns.
        many = images(options.steps * options.batch_size)
        engines = {name: build(one, many, 0, "cpu", Path(folder)) for name, one in recipes.items()}
        seconds: dict[str, list[float]] = {name: [] for name in engines}
        for turn in range(options.rounds + 1 if options.rounds else 0):
            for name, engine in engines.items():
                began = time.perf_counter()
                engine.train_epoch(turn + 1, lambda _: None)
                if turn:
                    seconds[name].append((time.perf_counter() - began) / options.steps)
        ratios = [own / built for own, built in zip(seconds["own"], seconds["built in"], strict=True)]
        slower = statistics.median(ratios) - 1.0 if ratios else None
        for name, times in seconds.items() if ratios else ():
            print(f"{name}: {1000 * statistics.median(times):.1f} ms a step, median of {options.rounds} rounds")
        if slower is not None:
            rounds = ", ".join(f"{one - 1:+.1%}" for one in ratios)
            print(f"own takes {slower:+.1%} (rounds {rounds}); at most {MOST_SLOWER:+.0%}")
    if options.json is not None:
        found = {
            "steps": options.steps, "batch_size": options.batch_size, "threads": options.threads,
            "largest_relative_difference": apart, "tolerance": TOLERANCE, "slower": slower, "ratios": ratios,
            "seconds_a_step": {name: statistics.median(times) for name, times in seconds.items() if times},
            "torch": torch.__version__, "processor": platform.processor() or platform.machine(),
        }  # fmt: skip
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
