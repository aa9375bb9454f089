"""Match what a function wants with what there is: inputs, labels, the output's gradient, a cache."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eailab.errors import UsageError
from eailab.gradcheck.subject import CACHE_NAMES, GRADIENT_NAMES, LABEL_NAMES, OUTPUT_NAMES, RATE_NAMES, guessed
from eailab.own_code.arguments import BY_PLACE, completed, lacking, required
from eailab.own_code.load import line_of
from eailab.plain import plain


def wanted_by_place(function: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that a forward or backward pass needs, which are given by place."""
    return [one.name for one in required(function) if one.kind in BY_PLACE]


def constructed_with(
    make: Callable[..., Any], title: str, positional: Sequence[Any], named: Mapping[str, Any], shape: Sequence[int]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what a constructor wants besides what is given, guessed by its names from the shape of the input.

    Returns:
        What is given by place after `positional`, and by name.

    Raises:
        UsageError: Something that it wants cannot be guessed.
    """
    by_place, by_name = lacking(make, positional, named)
    chosen = {name: guessed(name, shape) for name in (*by_place, *by_name)}
    if unknown := [name for name, value in chosen.items() if value is None]:
        called = plain(getattr(make, "__name__", "it"))
        names = [one for one in by_name if one in unknown]
        places = by_place if set(unknown) & set(by_place) else ()
        where = f"{title.rpartition(':')[0]}:{line}: " if (line := line_of(make)) else ""
        raise UsageError(
            f"{where}{called} wants {', '.join(map(plain, unknown))}, and nothing says what: give the values, as in "
            f"'{completed(title, positional, named, places, names)}'."
        )
    return tuple(chosen[name] for name in by_place), {name: chosen[name] for name in by_name}


def is_label(name: str) -> bool:
    """Return whether an argument of forward is what a loss compares with."""
    lower = name.lower()
    return lower in LABEL_NAMES or "label" in lower or "target" in lower or "true" in lower


def backward_arguments(
    function: Callable[..., Any], inputs: Mapping[str, Any], dy: Any, output: Any, cache: Any
) -> tuple[list[Any], bool]:
    """Return what to call a backward pass with, by its arguments' names, and whether it takes a learning rate.

    `inputs` are forward's, labels included; `cache` is what forward returned besides its output, or None.

    Raises:
        UsageError: It wants something that is not known.
    """
    wanted = wanted_by_place(function)
    given: list[Any] = []
    left = {"dy": dy, **({} if cache is None else {"cache": cache})}
    for place, name in enumerate(wanted):
        kind = _kind(name, inputs, left, has_more=place + 1 < len(wanted))
        match kind:
            case "rate":
                given.append(1.0)
            case "output":
                given.append(output)
            case "first input":
                given.append(next(iter(inputs.values())))
                left.pop("dy", None)
            case "label":
                given.append(next(one for key, one in inputs.items() if is_label(key)))
            case "dy" | "cache":
                given.append(left.pop(kind))
            case "input":
                given.append(inputs[name])
            case _:
                raise UsageError(
                    f"{plain(function.__name__)} wants {plain(name)}, and what that is does not follow from its name: "
                    f"it may take the output's gradient, forward's cache, its output and inputs ({', '.join(inputs)})."
                )
    return given, any(name.lower() in RATE_NAMES for name in wanted)


def _kind(name: str, inputs: Mapping[str, Any], left: Mapping[str, Any], *, has_more: bool) -> str:
    """Return what an argument of a backward pass is; empty where its name does not say."""
    lower = name.lower()
    has_labels = any(map(is_label, inputs))
    rules = (
        ("first input", lower == "dvalues" and has_labels),  # a loss is handed its input so
        ("rate", lower in RATE_NAMES),
        ("cache", "cache" in left and lower in CACHE_NAMES),
        ("input", name in inputs and lower not in GRADIENT_NAMES),
        ("dy", "dy" in left and (lower in GRADIENT_NAMES or lower.startswith(("d", "grad", "upstream")))),
        ("output", lower in OUTPUT_NAMES and ("dy" not in left or has_more)),
        ("dy", "dy" in left),
        ("cache", "cache" in left),
        ("label", is_label(name) and has_labels),
    )
    return next((kind for kind, holds in rules if holds), "")
