"""Declare what a trial records: the name, unit and direction of each number, which nothing else in eailab knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from eailab.translation import Text, tr

SplitName = Literal["train", "validation", "test", ""]
TRAIN: SplitName = "train"
VALIDATION: SplitName = "validation"
TEST: SplitName = "test"
NO_SPLIT: SplitName = ""
"""Of what an engine without a data set measures, after each epoch."""
SPLITS: dict[SplitName, Text] = {TRAIN: tr("training"), VALIDATION: tr("validation"), TEST: tr("test")}
"""What a sentence calls each split."""
LARGEST_NUMBER = 1e40
"""Of any value; engines compute in 32 bits, which end at 3.4e38."""


LARGEST_CLASS: Literal["largest class"] = "largest class"
"""The chance level of a share of right answers: the share of the data's largest class."""


@dataclass(frozen=True)
class Metric:
    """One number that every trial of an engine has: after each epoch, or at its end."""

    name: str
    """As recipes and options write it, such as "validation-loss"."""
    title: Text
    """As a sentence says it."""
    higher_is_better: bool
    split: SplitName
    """Where it is measured; of `test` once, after the last epoch."""
    quantity: str
    """What it shares with the same number of another split, such as "loss"; tables and figures set these together."""
    unit: str = ""
    """Written behind a value, such as "%"; empty for none."""
    unit_words: str = ""
    """The unit of a value in words, such as "percent"."""
    difference_unit: str = ""
    """Written behind a difference, after a space."""
    difference_words: str = ""
    """The unit of a difference in words, such as "percentage points"."""
    scale: float = 1.0
    """From a recorded value to the unit shown."""
    margin_scale: float = 1.0
    """From a recipe's margin to the unit shown."""
    decimals: int = 4
    """At least this many are shown."""
    least: float = -LARGEST_NUMBER
    """No recorded value is smaller."""
    most: float = LARGEST_NUMBER
    """No recorded value is larger."""
    is_share: bool = False
    """Whether it is the share of the split's images whose predicted class is their label."""
    chance: float | Literal["largest class"] | None = None
    """What a model that has learnt nothing has: a recorded value, or `LARGEST_CLASS`; None where that is not known. A
    trial that ends there has collapsed."""
    minus: str | None = None
    """Name of a metric that is subtracted from that of this `split` and `quantity`; a difference is not recorded."""
    is_judged: bool = True
    """Whether a study may rest on it."""
    is_optional: bool = False
    """Whether an epoch, or a finished trial, may lack it."""
    aliases: tuple[str, ...] = ()
    """What other programs call it, by which its name is suggested."""
    usual_sds: tuple[float, ...] = ()
    """Spreads of trials within their block that a plan assumes before any trial is trained, in the unit shown."""

    @cached_property
    def key(self) -> str:
        """Return its name in the records of a store, and in tables for programs."""
        return self.name.replace("-", "_")

    @property
    def is_bounded(self) -> bool:
        """Return whether recorded values lie between two bounds, near one of which they may crowd."""
        return self.least > -LARGEST_NUMBER and self.most < LARGEST_NUMBER

    @property
    def short(self) -> str:
        """Return what progress calls it: its split; its name if it has none, or no other metric is like it."""
        return self.quantity if self.quantity == self.name else self.split or self.quantity

    @property
    def unit_name(self) -> str:
        """Return the unit of a value for programs."""
        return self.unit or self.unit_words

    @property
    def difference_unit_name(self) -> str:
        """Return the unit of a difference for programs."""
        return self.difference_unit or self.difference_words

    def value(self, values: Mapping[str, float | None]) -> float | None:
        """Return the metric in the unit shown, from recorded values by their keys; None where a trial lacks it."""
        if self.minus is None:
            known = values.get(self.key)
            return None if known is None else self.scale * known
        first, second = values.get(f"{self.split}_{self.quantity}"), values.get(self.minus.replace("-", "_"))
        return None if first is None or second is None else self.scale * (first - second)

    def text(self, value: float) -> str:
        """Write a value of the unit shown, with its unit."""
        return f"{value:.{self.decimals}f}{behind(self.unit)}"

    def with_unit(self, text: str) -> str:
        """Return a difference, already written out, with its unit."""
        return f"{text} {self.difference_unit}".rstrip()


def behind(unit: str) -> str:
    """Return a unit as it stands behind a number: after a space, but for a percent sign.

    >>> behind("%"), behind("dB"), behind("")
    ('%', ' dB', '')
    """
    return unit if unit in ("", "%") else f" {unit}"


def _accuracy(split: SplitName, title: Text, *, is_judged: bool = True) -> Metric:
    """Declare the share of the images whose predicted class is their label."""
    return Metric(
        f"{split}-accuracy",
        title,
        higher_is_better=True,
        split=split,
        quantity=tr("accuracy"),
        unit="%",
        unit_words=tr("percent"),
        difference_unit="pp",
        difference_words=tr("percentage points"),
        scale=100.0,
        decimals=2,
        least=0.0,
        most=1.0 + 1e-6,  # a mean in 32 bits
        is_share=True,
        chance=LARGEST_CLASS,
        usual_sds=(0.1, 0.3, 1.0),
        is_judged=is_judged,
        aliases=("accuracy", "acc", "val_accuracy", "val_acc") if split == VALIDATION else (),
    )


def _loss(name: str, split: SplitName, title: Text, *, is_judged: bool = True, minus: str | None = None) -> Metric:
    """Declare the mean cross-entropy over the images, in nats; only training has the recipe's label smoothing."""
    return Metric(
        name,
        title,
        higher_is_better=False,
        split=split,
        quantity=tr("loss"),
        unit_words=tr("nats"),
        difference_words=tr("nats"),
        margin_scale=0.01,
        least=0.0,
        minus=minus,
        is_judged=is_judged,
        usual_sds=(0.003, 0.01, 0.03),
        aliases=("loss", "val_loss") if split == VALIDATION and minus is None else (),
    )


CLASSIFICATION: tuple[Metric, ...] = (
    _loss("train-loss", "train", tr("training loss"), is_judged=False),
    _accuracy("train", tr("training accuracy"), is_judged=False),
    _loss("validation-loss", "validation", tr("validation loss")),
    _accuracy("validation", tr("validation accuracy")),
    _loss("test-loss", "test", tr("test loss"), is_judged=False),
    _accuracy("test", tr("test accuracy")),
    _loss("loss-gap", "validation", tr("validation minus training loss"), minus="train-loss"),
)
"""What trials of image classification record."""

USUAL = "validation-accuracy"
"""What studies of image classification rest on where their recipe names no other."""

NAMES = tuple(metric.name for metric in CLASSIFICATION if metric.is_judged)
"""What they may rest on."""


def recorded(metrics: Iterable[Metric], *splits: SplitName) -> list[Metric]:
    """Return the metrics that a trial's files hold, of some splits; one without a split is where validation is."""
    known = [metric for metric in metrics if metric.minus is None]
    return [metric for metric in known if not splits or (metric.split or VALIDATION) in splits]


def by_quantity(metrics: Iterable[Metric], *splits: SplitName) -> dict[str, dict[SplitName, Metric]]:
    """Return the metrics that a trial's files hold by quantity and split, of some splits."""
    found: dict[str, dict[SplitName, Metric]] = {}
    for metric in recorded(metrics, *splits):
        found.setdefault(metric.quantity, {})[metric.split] = metric
    return found
