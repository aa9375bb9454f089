"""Find a training function by its module and name, and check what it can be called with."""

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias

from eailab.errors import RecipeError, UsageError
from eailab.plain import plain
from eailab.recipe.canonical import built_in
from eailab.recipe.describe import nearest

TrainingFunction: TypeAlias = Callable[..., Any]
"""Called with settings and `seed` by name; returns a number or a mapping, or yields mappings an epoch."""

_ANNOUNCED: dict[str, TrainingFunction] = {}
"""Functions that this process was given, by their references."""


def announce(function: TrainingFunction) -> str:
    """Return the reference of a function, by which this process then finds it.

    Raises:
        UsageError: It is not a function with a name.
    """
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        raise UsageError(
            f"{plain(repr(function))[:80]} is not a function with a name, by which its trials are known: "
            "write one with def, such as `def train(lr, seed): ...`."
        )
    reference = f"{function.__module__}:{function.__qualname__}"
    _ANNOUNCED[reference] = function
    return reference


def is_importable(function: TrainingFunction) -> bool:
    """Return whether another process finds a function by its module and name."""
    return function.__module__ != "__main__" and "<locals>" not in function.__qualname__


def function_of(reference: str) -> TrainingFunction:
    """Return the function of a reference: the one that this process was given, else the one to import.

    Raises:
        RecipeError: It is not here.
    """
    if reference in _ANNOUNCED:
        return _ANNOUNCED[reference]
    module, _, name = reference.partition(":")
    try:
        found: Any = sys.modules[module] if module in sys.modules else import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"the function {plain(reference)} is not here ({plain(str(error))}): train it from the notebook or script "
            "that defines it, by eailab.ablate."
        ) from error
    if not callable(found):
        raise RecipeError(f"{plain(reference)} is not a function.")
    return found  # type: ignore[no-any-return]  # checked above


def settings_of(
    function: TrainingFunction, given: Mapping[str, Any], *, unseeded: bool, is_whole: bool = True
) -> dict[str, Any]:
    """Return the settings of a call: those that are given, and the function's own defaults that are plain values.

    Args:
        function: What is called.
        given: By name.
        unseeded: Whether it takes no seed.
        is_whole: Whether nothing that the function needs may be missing.

    Raises:
        UsageError: The function does not take one of them or `seed`, or needs another.
    """
    parameters = inspect.signature(function).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    named = {name: one for name, one in parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    called = function.__name__
    for name in given:
        if name not in named and not takes_any:
            raise UsageError(f"{called}() has no parameter {plain(name)!r}{nearest(name, [*named]) or '.'}")
    if not unseeded and "seed" not in named and not takes_any:
        raise UsageError(
            f"{called}() has no parameter 'seed', so every block would be the same run: add one, and make all chance "
            "depend on it; or, if its runs are independent without a seed, say unseeded=True."
        )
    needed = [name for name, one in named.items() if one.default is one.empty and name not in (*given, "seed")]
    if needed and is_whole:
        raise UsageError(f"{called}() needs {', '.join(needed)}: add settings={{{needed[0]!r}: ...}}, or a default.")
    usual = {name: built_in(one.default) for name, one in named.items()}
    own = {name: value for name, value in usual.items() if isinstance(value, str | bool | int | float)}
    return {name: value for name, value in {**own, **given}.items() if name != "seed"}
