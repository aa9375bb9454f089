"""How each metric is read from a result, in which unit it is shown, and which way is better."""

from collections.abc import Callable
from dataclasses import dataclass

from eailab.engines.base import Scores
from eailab.recipe.schema import Metric
from eailab.runs.records import Result
from eailab.translation import Text, tr

PERCENT = 100.0
"""Accuracies are stored as shares and shown in percent."""


@dataclass(frozen=True)
class Measure:
    """A metric as it is told."""

    title: Text
    """In words, as it stands in a sentence."""
    unit: str
    """Put right behind a value; empty for losses, which are in nats."""
    difference_unit: str
    """Put behind a difference, after a space; empty for losses."""
    scale: float
    """From a stored score to the unit shown."""
    margin_scale: float
    """From a recipe's margin to the unit shown: percentage points as they are, hundredths of a loss."""
    decimals: int
    """At least so many are shown."""
    higher_is_better: bool
    read: Callable[[Scores, Scores, Scores], float]
    """From the last training, validation and test scores to the stored unit."""

    def value(self, result: Result) -> float | None:
        """Return the metric of a finished trial in the unit shown, or None when the trial has no final scores."""
        if result.train is None or result.validation is None or result.test is None:
            return None
        return self.scale * self.read(result.train, result.validation, result.test)

    def with_unit(self, text: str) -> str:
        """Return a difference, already written out, with its unit."""
        return f"{text} {self.difference_unit}".rstrip()


def _accuracy(title: Text, read: Callable[[Scores, Scores, Scores], float]) -> Measure:
    return Measure(title, "%", "pp", PERCENT, 1.0, 2, True, read)


def _loss(title: Text, read: Callable[[Scores, Scores, Scores], float]) -> Measure:
    return Measure(title, "", "", 1.0, 0.01, 4, False, read)


MEASURES: dict[Metric, Measure] = {
    "validation-accuracy": _accuracy(tr("validation accuracy"), lambda _train, validation, _test: validation.accuracy),
    "validation-loss": _loss(tr("validation loss"), lambda _train, validation, _test: validation.loss),
    "loss-gap": _loss(
        tr("validation minus training loss"), lambda train, validation, _test: validation.loss - train.loss
    ),
    "test-accuracy": _accuracy(tr("test accuracy"), lambda _train, _validation, test: test.accuracy),
}
