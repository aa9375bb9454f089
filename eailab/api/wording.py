"""Name the arguments of Python in messages that name the options of commands."""

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from eailab.errors import EailabError

P = ParamSpec("P")
R = TypeVar("R")

VALUE = r"(?:\[[^\]]*\]|[^\s:\[])*(?:\[[^\]]*\]|[^\s:\[.,;)])"
"""One value or several of an option, without the stop that ends its sentence."""
SETTING = rf"[^\s=:]+(?::[^\s=:]+)?={VALUE}"
TUNE = re.compile(rf"--tune ({SETTING}(?:, {SETTING})*)")
SWITCHES = {
    **dict.fromkeys(("joint", "unseeded", "tune-all", "tune-again", "tune-unequal"), "True"),
    "no-audit": "False",
}
VALUES = (
    "tune-blocks", "tune", "carry", "seeds", "seed", "hold", "metric", "goal", "unit", "at", "margin", "baseline",
    "recipe", "jobs", "device", "runs", "data-dir", "target", "beat-by", "max-trials", "until-decided",
)  # fmt: skip
WORDS = ("updates", "epochs", "max", "min")
"""Values of options that are words."""
OPTION = re.compile(
    rf"--({'|'.join(SWITCHES)})\b(?!-)"
    rf"|--({'|'.join(VALUES)})\b(?!-)(?: ((?:{'|'.join(WORDS)})\b|[0-9]{VALUE}|[0-9]))?"
)
CODE = re.compile("(`[^`]*`)")


def in_python(function: Callable[P, R]) -> Callable[P, R]:
    """Let the errors of a function name arguments of Python; commands in backticks stay."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except EailabError as error:
            error.args = (reworded(str(error)), *error.args[1:])
            raise

    return call


def reworded(message: str) -> str:
    """Return a message with Python's arguments in place of options.

    >>> reworded("--tune sgd:lr=0.1: there is one value to choose from: give two or more.")
    "tune={'sgd:lr': '0.1'}: there is one value to choose from: give two or more."
    >>> reworded("--carry 9: leave out --runs, or add --tune-unequal; `eailab noise x --seeds 5` measures it.")
    'carry=9: leave out runs=…, or add tune_unequal=True; `eailab noise x --seeds 5` measures it.'
    """
    parts = CODE.split(message)
    return "".join(part if part.startswith("`") else OPTION.sub(_option, TUNE.sub(_tune, part)) for part in parts)


def _tune(found: re.Match[str]) -> str:
    pairs = (one.partition("=") for one in re.findall(SETTING, found[1]))
    return f"tune={ {name: value for name, _, value in pairs}!r}"


def _option(found: re.Match[str]) -> str:
    if found[1]:
        return f"{'audit' if found[1] == 'no-audit' else found[1].replace('-', '_')}={SWITCHES[found[1]]}"
    name, value = found[2].replace("-", "_"), found[3]
    return f"{name}=…" if value is None else f"{name}={repr(value) if value in WORDS else value}"
