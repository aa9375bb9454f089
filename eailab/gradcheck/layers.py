"""Check layers of the lab's kind: a class with forward and backward, whose parameters are arrays in its attributes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.errors import UsageError
from eailab.gradcheck.arguments import backward_arguments
from eailab.gradcheck.attributes import WEIGHTS, Slot, State, arrays_in, gradient_of, is_gradient, slots, to_float64
from eailab.gradcheck.subject import Array, Gradients, Subject, say_once
from eailab.own_code.load import reseed
from eailab.plain import plain

SEED = 0
"""Of the generators that own code draws from, before each call: dropout then has one mask."""
FORWARDS = ("forward", "__call__", "call")
BACKWARDS = ("backward", "backprop", "bprop", "grad", "gradient")
OUTPUTS = ("output", "out", "outputs", "y")
INPUT_GRADIENTS = ("dx", "dinputs", "dinput", "d_input", "dX", "grad_input", "input_grad", "grad_x", "x_grad")
"""What methods, and attributes that stand for what is not returned, are called."""


def method(thing: Any, names: tuple[str, ...]) -> Callable[..., Any] | None:
    """Return the first method of these names."""
    return next((getattr(thing, name) for name in names if callable(getattr(thing, name, None))), None)


def is_layer(thing: Any) -> bool:
    """Return whether a class or object has a forward and a backward pass."""
    return method(thing, FORWARDS) is not None and method(thing, BACKWARDS) is not None


def split_output(found: Any, layer: Any = None) -> tuple[NDArray[Any], Any]:
    """Return the output of a forward pass, and what it returned besides that.

    Raises:
        UsageError: There is no output, or it is not an array.
    """
    if found is None:
        found = next((getattr(layer, name) for name in OUTPUTS if getattr(layer, name, None) is not None), None)
    cache = None
    if isinstance(found, tuple | list) and len(found) > 1:
        found, *rest = found
        cache = rest[0] if len(rest) == 1 else tuple(rest)
    if not isinstance(found, np.ndarray | np.number | float | int):
        raise UsageError(
            f"forward returned {'nothing' if found is None else type(found).__name__}: an array is wanted."
        )
    return np.asarray(found), cache


class CheckedLayer(Subject):
    """An object with forward and backward.

    `chosen` says which attributes are the parameters and which their gradients; by default they are found.

    Raises:
        UsageError: What `chosen` names is not there.
    """

    def __init__(
        self,
        title: str,
        layer: Any,
        inputs: Mapping[str, Array],
        labels: tuple[str, NDArray[Any]] | None,
        chosen: Mapping[str, str] | None,
    ) -> None:
        super().__init__(title, inputs, labels)
        self._layer = layer
        self._chosen = dict(chosen or {})
        self._slots: list[Slot] = []
        forward, backward = method(layer, FORWARDS), method(layer, BACKWARDS)
        assert forward is not None  # noqa: S101 - is_layer holds
        assert backward is not None  # noqa: S101 - as above
        self._forward, self._backward = forward, backward
        self._find(inputs)
        self.values = {**inputs, **{slot.name: np.array(slot.array, np.float64) for slot in self._slots}}

    def _find(self, inputs: Mapping[str, Array]) -> None:
        """Find the parameters: before the first forward pass, and those that it makes."""
        before = list(slots(self._layer))
        to_float64(before)
        self._state = State(self._layer)
        self._call(inputs)
        late = [slot for slot in slots(self._layer) if slot.name not in {one.name for one in before}]
        made = [slot for slot in late if WEIGHTS.fullmatch(slot.leaf)]
        if made:
            to_float64(made)
            self._state = State(self._layer)
        else:
            self._state.restore()
        found = [*before, *made]
        if self._chosen:
            self._slots = [_named(name, found, self.title) for name in self._chosen]
            return
        self._slots = [slot for slot in found if not is_gradient(slot, found)]
        self.may_lack = frozenset(slot.name for slot in self._slots if not WEIGHTS.fullmatch(slot.leaf))

    def _call(self, inputs: Mapping[str, Array]) -> tuple[NDArray[Any], Any, dict[str, Any]]:
        """Run the forward pass from the state that was found, and return output, cache and what it was called with."""
        reseed(SEED)
        given = {**{name: inputs[name].copy() for name in self.inputs}, **self._labels}
        output, cache = split_output(self._forward(*given.values()), self._layer)
        return output, cache, given

    def _prepare(self, values: Mapping[str, Array]) -> None:
        self._state.restore()
        for slot in self._slots:
            slot.array[...] = values[slot.name]

    def forward(self, values: Mapping[str, Array]) -> NDArray[Any]:
        """Return the output for other values."""
        self._prepare(values)
        return self._call(values)[0]

    def backward(self, values: Mapping[str, Array], dy: Array) -> Gradients:
        """Return what the backward pass gives: returned, in attributes, or as the step that it takes itself."""
        self._prepare(values)
        output, cache, given = self._call(values)
        self._say_in_place(values, given)
        self.cached = arrays_in({**vars(self._layer), "cache": cache})
        arguments, takes_rate = backward_arguments(self._backward, given, dy.copy(), output, cache)
        before = {slot.name: slot.array.copy() for slot in self._slots}
        returned = self._backward(*arguments)
        found, found_as = self._of_inputs(returned)
        for slot in self._slots:
            place = self._gradient(slot)
            if place is not None:
                found_as[slot.name], found[slot.name] = place
            elif takes_rate and not np.array_equal(now := np.asarray(slot.array), before[slot.name]):
                found_as[slot.name] = "its step at a learning rate of 1"
                found[slot.name] = before[slot.name] - now
        self._take_returned(returned, found, found_as)
        gradients = Gradients({name: np.array(one) for name, one in found.items()}, found_as)
        if not takes_rate:
            self._say_added_up(values, dy, gradients)
        return gradients

    def _say_added_up(self, values: Mapping[str, Array], dy: Array, first: Gradients) -> None:
        """Say which gradients a second pass adds to those of the first."""
        output, cache, given = self._call(values)
        self._backward(*backward_arguments(self._backward, given, dy.copy(), output, cache)[0])
        kept = [slot for slot in self._slots if first.found_as.get(slot.name, "returned") != "returned"]
        added = []
        for slot in kept:
            place, once = self._gradient(slot), first.by_name[slot.name]
            if place is not None and once.any() and np.allclose(place[1], 2 * once, rtol=1e-9, atol=0):
                added.append(slot.name)
        names = ", ".join(added)
        if added and len(added) < len(kept):
            say_once(
                self.faults,
                f"a second backward pass adds to the first one's gradient of {names}, and replaces the others: "
                f"probably += where = is right",
            )
        elif added:
            say_once(self.notes, f"each backward pass adds to the gradients of {names}: set them to 0 before each step")

    def _gradient(self, slot: Slot) -> tuple[str, NDArray[Any]] | None:
        if (name := self._chosen.get(slot.name)) is None:
            return gradient_of(slot)
        try:
            return name, np.asarray(_by_path(self._layer, name))
        except (AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
            raise UsageError(
                f"after backward, {plain(self.title)} has no {plain(name)}: --parameters names it."
            ) from error

    def _of_inputs(self, returned: Any) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """Return the gradients of inputs that backward returned, or left in attributes."""
        if isinstance(returned, dict):
            found = {name: returned.get(name, returned.get(f"d{name}")) for name in self.inputs}
            pairs = {name: one for name, one in found.items() if one is not None}
        elif isinstance(returned, tuple | list):
            pairs = dict(zip(self.inputs, returned, strict=False))
        elif returned is not None:
            pairs = {self.inputs[0]: returned}
        else:
            left = [name for name in INPUT_GRADIENTS if getattr(self._layer, name, None) is not None]
            if not left:
                return {}, {}
            return {self.inputs[0]: np.asarray(getattr(self._layer, left[0]))}, {self.inputs[0]: left[0]}
        usable = {
            name: np.asarray(one) for name, one in pairs.items() if isinstance(one, np.ndarray | np.number | float)
        }
        return usable, dict.fromkeys(usable, "returned")

    def _take_returned(self, returned: Any, found: dict[str, NDArray[Any]], found_as: dict[str, str]) -> None:
        """Take gradients of parameters that backward returned after those of the inputs, in the parameters' order."""
        lacking = [slot for slot in self._slots if slot.name not in found]
        if isinstance(returned, dict):
            pairs = [(slot, returned.get(slot.leaf, returned.get(f"d{slot.leaf}"))) for slot in lacking]
        elif isinstance(returned, tuple | list):
            pairs = list(zip(lacking, returned[len(self.inputs) :], strict=False))
        else:
            return
        for slot, one in pairs:
            if isinstance(one, np.ndarray | np.number | float):
                found[slot.name], found_as[slot.name] = np.asarray(one), "returned"


def _named(name: str, found: list[Slot], title: str) -> Slot:
    for slot in found:
        if slot.name == name:
            return slot
    raise UsageError(
        f"{plain(title)} has no array {plain(name)} that --parameters names: it has "
        f"{', '.join(plain(slot.name) for slot in found) or 'none'}."
    )


def _by_path(layer: Any, path: str) -> Any:
    """Return what an object has at a path such as `grads[W]` or `first.dW`."""
    value = layer
    for part in path.replace("]", "").replace("[", ".[").split("."):
        if part.startswith("["):
            value = value[int(part[1:])] if isinstance(value, list | tuple) else value[part[1:]]
        else:
            value = getattr(value, part)
    return value
