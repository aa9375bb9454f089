"""Write numbers and settings as sentences, headings and cells say them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eailab.metrics import Metric, behind
from eailab.recipe.describe import in_words
from eailab.stats.verdict import Interval
from eailab.studies.factor import BUNDLE, CROSS, read_factor, word
from eailab.translation import COMMA, Text, joined, listed_and, tr

SETTINGS: dict[str, Text] = {
    "activation": tr("activation"),
    "args": tr("args"),
    "at": tr("at"),
    "augment": tr("augmentation"),
    "batch_size": tr("batch size"),
    "betas": tr("betas"),
    "class": tr("class"),
    "code": tr("code"),
    "data": tr("data"),
    "deterministic": tr("deterministic"),
    "dropout": tr("dropout"),
    "elastic": tr("elastic"),
    "ema": tr("weight averaging"),
    "engine": tr("engine"),
    "epochs": tr("number of epochs"),
    "file": tr("file"),
    "final": tr("final"),
    "final_divisor": tr("final divisor"),
    "formula": tr("formula"),
    "function": tr("function"),
    "gamma": tr("gamma"),
    "hidden": tr("width of the hidden layers"),
    "init": tr("initialisation"),
    "label_smoothing": tr("label smoothing"),
    "limit": tr("number of training images"),
    "lr": tr("learning rate"),
    "metric_regex": tr("metric regex"),
    "metrics_file": tr("metrics file"),
    "milestones": tr("milestones"),
    "mixup": tr("mixup"),
    "model": tr("model"),
    "momentum": tr("momentum"),
    "nesterov": tr("nesterov"),
    "nodes": tr("nodes"),
    "norm": tr("normalisation"),
    "optimizer": tr("optimizer"),
    "padding": tr("padding"),
    "peak": tr("peak"),
    "precision": tr("precision"),
    "rotation": tr("rotation"),
    "run": tr("run"),
    "scale": tr("scale"),
    "scale_min": tr("scale min"),
    "schedule": tr("schedule"),
    "seed_env": tr("seed env"),
    "settings": tr("settings"),
    "shear": tr("shear"),
    "shell": tr("shell"),
    "shift": tr("shift"),
    "size": tr("size"),
    "split": tr("split"),
    "split_seed": tr("split seed"),
    "start_divisor": tr("start divisor"),
    "stem": tr("stem"),
    "step_size": tr("step size"),
    "threads": tr("threads"),
    "timeout": tr("timeout"),
    "unit": tr("unit"),
    "unseeded": tr("unseeded"),
    "val_fraction": tr("validation share"),
    "warmup_epochs": tr("length of the warm-up"),
    "weight_decay": tr("weight decay"),
    "width": tr("width"),
}
"""What a sentence calls each setting, by the last part of its path. One that is missing here is called by its name."""

MODELS: dict[str, Text] = {
    "mlp": tr("an MLP"),
    "resnet18": tr("a ResNet-18"),
    "resnet34": tr("a ResNet-34"),
    "resnet50": tr("a ResNet-50"),
}
"""What a sentence calls each model. One that is missing here is called by its name."""

DATA: dict[str, str] = {
    "digits": tr("the UCI handwritten digits"),
    "digits32": tr("the UCI handwritten digits at 32×32 pixels"),
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
"""What a sentence calls each data set. Others are called by their file or folder."""

NAMES = {"adam": "Adam", "adamw": "AdamW", "relu": "ReLU", "gelu": "GELU", "sgd": "SGD", "onecycle": "one-cycle"}
"""How a sentence writes values that recipes write otherwise."""

PLURAL = frozenset({"betas", "milestones", "nodes", "threads"})
"""Settings whose name takes the verb's plural."""


def confidence(levels: Sequence[float]) -> str:
    """Return the confidence of intervals at some levels in percent: of the one level, or from the least to the most.

    >>> confidence([0.05]), confidence([0.0025]), confidence([0.012, 0.0008])
    ('95%', '99.75%', '98.8–99.92%')
    """
    return "–".join(_percent(100.0 * level) for level in sorted({max(levels), min(levels)}, reverse=True)) + "%"


def _percent(level: float) -> str:
    """Return 100 less a level in percent, with two digits of the level."""
    text = f"{100.0 - level:.{max(0, 1 - math.floor(math.log10(level)))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(level: float) -> str:
    """Return a level in percent, with three digits.

    >>> share(0.05), share(0.02154), share(0.00003)
    ('5%', '2.15%', '0.003%')
    """
    return f"{100.0 * level:.3g}%"


def setting_in_words(name: str) -> str:
    """Return what a sentence calls a setting.

    >>> setting_in_words("lr"), setting_in_words("batch_size"), setting_in_words("my_field")
    ('learning rate', 'batch size', 'my field')
    """
    return SETTINGS.get(name, name.replace("_", " "))


def setting_as_named(name: str) -> str:
    """Return a setting's own name, which other languages replace by what a sentence calls it.

    >>> setting_as_named("batch_size")
    'batch_size'
    """
    known = SETTINGS.get(name.rpartition(".")[2])
    return name if known is None else Text(name, known.template)


def setting_with_value(name: str, value: object) -> Text:
    """Return a setting by its own name, and its value.

    >>> setting_with_value("batch_size", 128)
    'batch_size 128'
    """
    return tr("{setting} {value}", setting=setting_as_named(name), value=value)


def factor_in_words(factor: str | None) -> str:
    """Return the factor as a sentence says it; empty for a single trial.

    >>> factor_in_words("optimizer.name+optimizer.lr")
    'optimizer and learning rate'
    """
    return listed_and([setting_in_words(word(path)) for path in read_factor(factor).settings]) if factor else ""


def factor_as_heading(factor: str | None) -> str:
    """Return the factor as a column is headed; empty for a single trial.

    >>> factor_as_heading("optimizer.name+optimizer.lr")
    'optimizer+lr'
    """
    factors = read_factor(factor).factors if factor else ()
    return joined((joined((setting_as_named(word(path)) for path in one.settings), BUNDLE) for one in factors), CROSS)


def takes_plural(factor: str) -> bool:
    """Return whether a sentence about the factor takes the verb's plural."""
    names = [word(path) for path in read_factor(factor).settings]
    return len(names) > 1 or names[0] in PLURAL


def model_in_words(name: str) -> str:
    """Return a model as a sentence names it.

    >>> model_in_words("mlp"), model_in_words("mine")
    ('an MLP', 'mine')
    """
    return MODELS.get(name, name)


def value_in_words(value: Any) -> str:
    """Return a setting's value as a sentence writes it.

    >>> value_in_words("adam"), value_in_words(["relu", "tanh"]), value_in_words(0.001)
    ('Adam', 'ReLU, tanh', '0.001')
    """
    if isinstance(value, list) and value:
        return joined(map(value_in_words, value), COMMA)
    return NAMES.get(value) or in_words(value) if isinstance(value, str) else in_words(value)


def data_in_words(name: str) -> str:
    """Return a data set as a sentence names it, without the path of a person's own.

    >>> data_in_words("digits"), data_in_words("/data/my-images.npz")
    ('the UCI handwritten digits', 'my-images')
    """
    return DATA.get(name) or Path(name).stem


# --- numbers ---------------------------------------------------------------------------------------------------------


NOTHING = "-"
"""Stands where there is no number."""


def decimals_for(intervals: Sequence[Interval], least: int) -> int:
    """Return how many decimals values with these intervals are shown with.

    Enough for two significant digits of the narrowest interval's half-width and one of each bound, so that no interval
    is hidden by rounding; at least the metric's own, and at most two more.
    """
    wanted = [1 - _magnitude((high - low) / 2.0) for low, high in intervals if high > low]
    wanted += [-_magnitude(bound) for bounds in intervals for bound in bounds if bound]
    return min(max([least, *wanted]), least + 2)


def number(value: float | None, digits: int) -> str:
    """Write a value, or that there is none."""
    return NOTHING if value is None else f"{value:z.{digits}f}"


def measured(value: float | None, digits: int, metric: Metric) -> str:
    """Write a value of a metric with its unit, or that there is none."""
    return NOTHING if value is None else f"{number(value, digits)}{behind(metric.unit)}"


def amount(value: float | None) -> str:
    """Write an amount with three digits at least, and no exponent unless it is tiny."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.3g}"


def signed(value: float | None, digits: int) -> str:
    """Write a difference with its sign."""
    return NOTHING if value is None else f"{value:+z.{digits}f}"


def interval(bounds: Interval | None, digits: int) -> str:
    """Write an interval of a difference."""
    return NOTHING if bounds is None else f"[{signed(bounds[0], digits)}, {signed(bounds[1], digits)}]"


def written(value: Any) -> str:
    """Write a setting's value as a recipe would; `none` for null."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))
