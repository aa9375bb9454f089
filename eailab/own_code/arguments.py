"""Find what a function or class of a person's own has to be given, and name the call that is given it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eailab.plain import plain

BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def required(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the arguments that a function needs, `self` aside; none where Python cannot tell.

    >>> [one.name for one in required(lambda a, /, b, c=1, *d, e, f=2, **g: None)]
    ['a', 'b', 'e']
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one for one in parameters if one.kind not in several and one.default is inspect.Parameter.empty]


def lacking(
    make: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return what a call lacks: the arguments that are given by place only, and those that can be given by name.

    >>> lacking(lambda a, b, /, c, d=1, *, e: None, (3,), {"c": 4})
    (['b'], ['e'])
    """
    if not (wanted := required(make)):
        return [], []
    parameters = inspect.signature(make).parameters.values()
    given = [one.name for one in parameters if one.kind in BY_PLACE][: len(positional)]
    left = [one for one in wanted if one.name not in given]
    by_place = [one.name for one in left if one.kind is inspect.Parameter.POSITIONAL_ONLY]
    return by_place, [one.name for one in left if one.name not in by_place and one.name not in named]


def completed(
    title: str,
    positional: Sequence[Any],
    named: Mapping[str, Any],
    by_place: Sequence[str] = (),
    by_name: Sequence[str] = (),
) -> str:
    """Write a call with what it is given, and with an ellipsis for each argument that it lacks.

    >>> completed("net.py:Net", (3,), {"depth": 2}, ["n_in"], ["drop"])
    'net.py:Net(3, …, depth=2, drop=…)'

    Args:
        title: The file and the name that is called, as a person gave them.
        positional: What is given by place.
        named: What is given by name.
        by_place: What is lacking, as `lacking` returns it.
        by_name: Likewise.
    """
    words = [*map(repr, positional), *("…" for _ in by_place)]
    words += [*(f"{name}={value!r}" for name, value in named.items()), *(f"{name}=…" for name in by_name)]
    return plain(f"{title}({', '.join(words)})")
