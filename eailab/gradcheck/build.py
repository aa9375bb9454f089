"""Make what is checked of what the user named: construct it, and draw its inputs."""

import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eailab.errors import UsageError
from eailab.gradcheck.arguments import constructed_with, is_label, wanted_by_place
from eailab.gradcheck.functions import FunctionPair
from eailab.gradcheck.layers import FORWARDS, CheckedLayer, is_layer, method
from eailab.gradcheck.subject import Array, Subject
from eailab.own_code.arguments import completed
from eailab.own_code.load import OwnModule, construct
from eailab.own_code.reference import Reference
from eailab.plain import plain

Values = Literal["normal", "positive", "probabilities"]
Labels = Literal["classes", "one-hot", "values"]


@dataclass(frozen=True)
class CheckRequest:
    """Hold what a user wants to have checked."""

    reference: Reference
    shapes: tuple[tuple[str | None, tuple[int, ...]], ...]
    """Of inputs, in the order of forward's arguments, or with their names."""
    parameters: Mapping[str, str] | None = None
    """Attributes that are parameters, and those that are their gradients; None to find them."""
    entries: int = 2000
    """Of each array that are compared one by one, at most."""


@dataclass(frozen=True)
class _Things:
    """Hold what a reference names, constructed."""

    forward: Callable[..., Any]
    title: str
    kind: Literal["layer", "pair", "torch"]
    things: tuple[Any, ...]


def build(module: OwnModule, asked: CheckRequest, values: Values, labels: Labels) -> Subject:
    """Return the subject of a check. It is called while the module is running.

    Raises:
        UsageError: The reference names something else, or it cannot be constructed or called so.
    """
    found = _constructed(module, asked)
    wanted = wanted_by_place(found.forward)
    label = wanted[1] if len(wanted) == 2 and is_label(wanted[1]) and len(asked.shapes) == 1 else None
    names = _input_names(found, wanted if label is None else wanted[:1], asked)
    chance = np.random.default_rng(0)
    inputs = {name: drawn(chance, shape, values) for name, shape in names.items()}
    compared = None if label is None else (label, _labels(chance, next(iter(inputs.values())).shape, labels))
    match found.kind:
        case "layer":
            subject: Subject = CheckedLayer(found.title, found.things[0], inputs, compared, asked.parameters)
        case "pair":
            subject = FunctionPair(found.title, (found.things[0], found.things[1]), inputs, compared)
        case "torch":
            from eailab.gradcheck.torch_modules import TorchSubject

            subject = TorchSubject(found.title, found.things[0], inputs, compared)
    for name in subject.values:
        if name not in subject.inputs and name not in subject.may_lack:
            subject.values[name] = _moved(chance, subject.values[name])
    return subject


def _constructed(module: OwnModule, asked: CheckRequest) -> _Things:
    """Find what is named, construct it if it is a class, and say of which kind it is."""
    reference, things = asked.reference, [module.find(name) for name in asked.reference.names]
    title = f"{plain(str(reference.file))}:{','.join(reference.names)}"
    if len(things) > 2:
        raise UsageError(f"{title} names {len(things)} functions: name two, one that computes and one for gradients.")
    if len(things) == 2:
        if wrong := [name for name, one in zip(reference.names, things, strict=True) if not callable(one)]:
            raise UsageError(f"{plain(wrong[0])} of {plain(str(reference.file))} is not a function.")
        return _Things(things[0], title, "pair", tuple(things))
    (thing,) = things
    if torch_loaded := "torch" in sys.modules:
        from eailab.gradcheck.torch_modules import is_function, is_module, lacks_forward

        if is_function(thing):
            return _Things(_forward_of_function(thing), title, "torch", (thing,))
    is_torch = torch_loaded and (is_module(thing) or isinstance(thing, sys.modules["torch"].nn.Module))
    if not is_torch and not is_layer(thing):
        raise UsageError(_neither(title, thing))
    if isinstance(thing, type):
        shape = asked.shapes[0][1]
        more, chosen = constructed_with(thing, title, reference.positional, reference.named, shape)
        positional, named = (*reference.positional, *more), {**reference.named, **chosen}
        thing = construct(module, thing, title, positional, named, {})
        title = completed(title, positional, named) if positional or named else title
    if is_torch and lacks_forward(thing):
        raise UsageError(f"{title} has no forward: there is nothing to check.")
    forward = thing.forward if is_torch else method(thing, FORWARDS)
    assert forward is not None  # noqa: S101 - is_layer holds
    return _Things(forward, title, "torch" if is_torch else "layer", (thing,))


def _forward_of_function(thing: Any) -> Callable[..., Any]:
    """Return a function that has the arguments of a function of autograd, without its context."""
    parameters = list(inspect.signature(thing.forward).parameters.values())
    is_split = thing.setup_context is not sys.modules["torch"].autograd.Function.setup_context

    def forward() -> None:
        """Have the arguments."""

    forward.__signature__ = inspect.Signature(parameters if is_split else parameters[1:])  # type: ignore[attr-defined]  # inspect reads it
    return forward


def _neither(title: str, thing: Any) -> str:
    if inspect.isfunction(thing):
        return f"{title} is one function: name the one for gradients too, as in FILE.py:{thing.__name__},BACKWARD."
    lacking = [what for what, names in (("forward", FORWARDS), ("backward", ("backward",))) if not method(thing, names)]
    return (
        f"{title} has no {' and no '.join(lacking) or 'backward'}: a class with forward(x) and backward(dy) is wanted, "
        "a module or a function of torch, or two functions, FILE.py:FORWARD,BACKWARD."
    )


def _input_names(found: _Things, wanted: Sequence[str], asked: CheckRequest) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the inputs by the names of forward's arguments.

    Raises:
        UsageError: There are too few or too many shapes, or a name is unknown.
    """
    known = wanted or ["x"]
    named = {name: shape for name, shape in asked.shapes if name is not None}
    unnamed = [shape for name, shape in asked.shapes if name is None]
    all_names = [*known, *(name for name in _all_names(found.forward) if name not in known)]
    if unknown := [name for name in named if name not in all_names]:
        shape = ",".join(map(str, named[unknown[0]]))
        raise UsageError(f"--input {plain(unknown[0])}={shape}: forward of {found.title} takes {', '.join(all_names)}.")
    free = [name for name in all_names if name not in named]
    if len(unnamed) > len(free):
        raise UsageError(
            f"--input is given {len(asked.shapes)} times: forward of {found.title} takes {', '.join(all_names)}."
        )
    shapes = {**dict(zip(free, unnamed, strict=False)), **named}
    if lacking := [name for name in known if name not in shapes]:
        raise UsageError(
            f"forward of {found.title} takes {', '.join(known)}: give the shape of {', '.join(lacking)} as well, as in "
            f"--input {lacking[0]}=8,10."
        )
    return {name: shapes[name] for name in all_names if name in shapes}


def _all_names(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]


def drawn(chance: np.random.Generator, shape: tuple[int, ...], values: Values) -> Array:
    """Return random numbers: normal ones, ones between 0.5 and 1.5, or rows that sum up to 1."""
    if values == "positive":
        return chance.uniform(0.5, 1.5, shape)
    numbers = chance.standard_normal(shape)
    if values == "normal":
        return numbers
    shares = np.exp(numbers)
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def _labels(chance: np.random.Generator, shape: tuple[int, ...], labels: Labels) -> NDArray[Any]:
    classes = chance.integers(0, shape[-1], shape[:1])
    match labels:
        case "classes":
            return classes
        case "one-hot":
            return np.eye(shape[-1])[classes] if len(shape) == 2 else chance.standard_normal(shape)
        case "values":
            return chance.standard_normal(shape)


def _moved(chance: np.random.Generator, array: Array) -> Array:
    """Return a parameter moved away from where it starts: at 0 or 1 a missing factor is not seen."""
    noise = chance.standard_normal(array.shape)
    if array.size and (array > 0).all():
        return np.asarray(array * np.exp(0.2 * noise))
    inputs = array.shape[0] if array.ndim == 2 else math.prod(array.shape[1:])
    return np.asarray(array + noise * (0.3 if array.ndim < 2 else 1 / math.sqrt(inputs)))
