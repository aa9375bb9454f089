"""Texts that are meant to choke the reader of recipes, and what must hold whatever it reads."""

import resource
import time
from contextlib import suppress
from pathlib import Path

from eailab.errors import RecipeError
from eailab.recipe.load import load

MOST_SECONDS = 1.0
MOST_MEGABYTES = 200.0

RECIPES = Path(__file__).parents[2] / "recipes"
MALFORMED = Path(__file__).parents[1] / "recipe" / "malformed"

FRAGMENTS = [
    *("name: x", "engine: numpy-mlp", "data: {name: digits}", "epochs: 3", "optimizer: {name: adam, lr: 1e-3}"),
    *("&a", "*a", "<<: *a", "!!python/object/apply:os.system [id]", "!!binary aGk=", "? ", ": ", "- "),
    *("---", "...", "%YAML 1.1", "&0", "!", "!<x>"),
    *("[" * 5000, "{" * 3000, "9" * 5000, "1e999", ".nan", "-.inf", "0x", "0o7", "010", "1_000", "12:30:45", "on", "~"),
    *("\x00", "\ufeff", "\u2028", "\x85", "\t", "\r", '"\\ud800"', "'", '"', "|\n ", ">-\n ", "#", "\n"),
    *("  ", ",", "]", "}"),
]  # fmt: skip


def shipped():
    """The recipes that come with eailab, as bytes."""
    return [file.read_bytes() for file in sorted(RECIPES.glob("*.yaml"))]


def malformed():
    """Recipes with one mistake each, as bytes."""
    return [file.read_bytes() for file in sorted(MALFORMED.glob("*.yaml"))]


class Judge:
    """Reads texts as a recipe's file, and keeps what the worst of them took.

    Args:
        file: Where each text is written to.
        most_seconds: Of the processor, for one text.
    """

    def __init__(self, file, most_seconds=MOST_SECONDS):
        self.file, self.most_seconds = file, most_seconds
        self.read = self.recipes = 0
        self.seconds, self.slowest = 0.0, b""
        self.megabytes = 0.0

    def __call__(self, text):
        """Read one text; an error that is no clear one passes through, and so does what takes too long or too much."""
        self.read += 1
        self.file.write_bytes(text)
        forget_peak()
        began, before = time.process_time(), peak_megabytes()
        try:
            load(self.file)
            self.recipes += 1
        except RecipeError as error:
            if self.file.name not in str(error):
                raise AssertionError(f"the file is not named: {error}") from error
        seconds = time.process_time() - began
        if seconds > self.seconds:
            self.seconds, self.slowest = seconds, text
        assert seconds < self.most_seconds, f"{seconds:.2f} s for {text[:200]!r}"
        self.megabytes = max(self.megabytes, peak_megabytes() - before)
        assert self.megabytes < MOST_MEGABYTES, f"{self.megabytes:.0f} MB for {text[:200]!r}"

    def counts(self):
        """What was read."""
        return {
            "texts": self.read,
            "of_them_recipes": self.recipes,
            "slowest_seconds": round(self.seconds, 3),
            "most_megabytes": round(self.megabytes, 1),
        }


def forget_peak():
    """Let the peak be the present size, where Linux lets us: other tests may have needed more."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes():
    """The most memory that this process has had since `forget_peak`, or ever."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
