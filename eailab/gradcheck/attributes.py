"""Find a layer's parameters and their gradients among its attributes, and put its state back between two calls."""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEEPEST = 6
"""Objects within objects that are followed."""
WEIGHTS = re.compile(
    r"(w|b|weights?|bias(es)?|kernels?|filters?|gamma|beta|u|v)[0-9]*(_?[a-z0-9]{1,2})?|(w|b)_.*", re.IGNORECASE
)
"""What parameters are usually called."""
IS_GRADIENT_GROUP = re.compile(r".*grad.*|d_?param.*", re.IGNORECASE)
ALIASES = ({"w", "weight", "weights", "kernel"}, {"b", "bias", "biases"})
_PLAIN = (str, bytes, int, float, complex, type, ModuleType, FunctionType, MethodType, BuiltinFunctionType)


@dataclass(frozen=True)
class Slot:
    """Hold where a layer keeps an array."""

    name: str
    """As it is printed: `W`, `params[W]`, `layers[0].W`."""
    owner: Any
    """The object that it belongs to."""
    group: str | None
    """Attribute of the owner that is a mapping or a list with the array; None where the array is an attribute."""
    holder: Any
    """The mapping or list that has it."""
    key: Any

    @property
    def array(self) -> NDArray[Any]:
        """Return the array that is there now."""
        return self.holder[self.key]  # type: ignore[no-any-return]  # arrays are found there

    @property
    def leaf(self) -> str:
        """Return its own name."""
        return self.key if isinstance(self.key, str) else str(self.group)


def is_followed(value: Any) -> bool:
    """Return whether an object may keep arrays of a layer."""
    return hasattr(value, "__dict__") and not isinstance(value, _PLAIN)


def slots(owner: Any, prefix: str = "", depth: int = 0, seen: set[int] | None = None) -> Iterator[Slot]:
    """Yield where an object and those in it keep arrays of floats, each object once."""
    seen = set() if seen is None else seen
    if depth > DEEPEST or id(owner) in seen:
        return
    seen.add(id(owner))
    for name, value in list(vars(owner).items()):
        if isinstance(value, dict | list | tuple):
            pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
            for key, one in pairs:
                if _is_array(one) and not isinstance(value, tuple):
                    yield Slot(f"{prefix}{name}[{key}]", owner, name, value, key)
                elif is_followed(one):
                    yield from slots(one, f"{prefix}{name}[{key}].", depth + 1, seen)
        elif _is_array(value):
            yield Slot(f"{prefix}{name}", owner, None, vars(owner), name)
        elif is_followed(value):
            yield from slots(value, f"{prefix}{name}.", depth + 1, seen)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 0


def arrays_in(named: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Return copies of the arrays among named values and in tuples, lists and mappings of these."""
    found: dict[str, NDArray[np.float64]] = {}
    for name, value in named.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fb" and value.size > 1:
            found[name] = np.array(value, np.float64)
        elif isinstance(value, tuple | list):
            found |= arrays_in({f"{name}[{place}]": one for place, one in enumerate(value)})
        elif isinstance(value, dict):
            found |= arrays_in({f"{name}[{key}]": one for key, one in value.items()})
    return found


def to_float64(found: list[Slot]) -> None:
    """Replace arrays by float64 ones; two places that share an array share the new one."""
    made: dict[int, NDArray[Any]] = {}
    for slot in found:
        array = slot.array
        if array.dtype != np.float64 or not array.flags.writeable:
            slot.holder[slot.key] = made.setdefault(id(array), np.array(array, np.float64))


def gradient_of(slot: Slot) -> tuple[str, NDArray[Any]] | None:
    """Return where the gradient of a parameter is now, and the gradient; None where there is none."""
    names = _gradient_names(slot.leaf)
    attributes = vars(slot.owner)
    if slot.leaf.lower() in ("data", "value", "values", "array") and "grad" in attributes:
        return None if attributes["grad"] is None else ("grad", np.asarray(attributes["grad"]))
    places: list[tuple[str, Any]] = []
    for name, value in attributes.items():
        if isinstance(value, dict):
            beside = IS_GRADIENT_GROUP.fullmatch(name) is not None
            places += [
                (f"{name}[{key}]", one)
                for key, one in value.items()
                if _simple(str(key)) in names or (beside and str(key) == slot.leaf)
            ]
        elif isinstance(value, list | tuple):
            if IS_GRADIENT_GROUP.fullmatch(name) and isinstance(slot.key, int) and slot.key < len(value):
                places.append((f"{name}[{slot.key}]", value[slot.key]))
        elif _simple(name) in names and name != slot.leaf:
            places.insert(0, (name, value))
    places.sort(key=lambda place: slot.leaf not in place[0])  # a name in another case, such as dw of W, comes last
    for name, value in places:
        if isinstance(value, np.ndarray | np.floating | float):
            return name, np.asarray(value)
    return None


def is_gradient(slot: Slot, others: list[Slot]) -> bool:
    """Return whether an array is the gradient of another one by its name."""
    if slot.group is not None and IS_GRADIENT_GROUP.fullmatch(slot.group):
        return True
    if slot.leaf.lower() == "grad":
        return True
    return any(
        _simple(slot.leaf) in _gradient_names(one.leaf) for one in others if one is not slot and one.owner is slot.owner
    )


def _gradient_names(leaf: str) -> set[str]:
    simple = _simple(leaf)
    same = next((group for group in ALIASES if simple in group), {simple})
    patterns = ("d{}", "{}grad", "grad{}", "g{}", "{}gradient", "gradient{}", "grads{}", "delta{}", "{}delta", "dl{}")
    return {pattern.format(one) for one in {simple, *same} for pattern in patterns}


def _simple(name: str) -> str:
    return name.lower().replace("_", "")


class State:
    """Hold what a layer and the objects in it have, to be put back before each call.

    Args:
        root: The layer.
    """

    def __init__(self, root: Any) -> None:
        self._mappings: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self._lists: list[tuple[list[Any], list[Any]]] = []
        self._arrays: list[tuple[NDArray[Any], NDArray[Any]]] = []
        self._generators: list[tuple[Any, Any]] = []
        self._seen: set[int] = set()
        self._add(root, 0)

    def _add(self, value: Any, depth: int) -> None:
        if depth > DEEPEST or id(value) in self._seen:
            return
        self._seen.add(id(value))
        match value:
            case np.ndarray():
                self._arrays.append((value, value.copy()))
            case np.random.Generator() | np.random.RandomState() | random.Random():
                self._generators.append((value, deepcopy(_state_of(value))))
            case dict():
                self._mappings.append((value, dict(value)))
                self._add_all(value.values(), depth)
            case list():
                self._lists.append((value, list(value)))
                self._add_all(value, depth)
            case tuple():
                self._add_all(value, depth)
            case _ if is_followed(value):
                self._add(vars(value), depth)

    def _add_all(self, values: Iterable[Any], depth: int) -> None:
        for one in values:
            self._add(one, depth + 1)

    def restore(self) -> None:
        """Put everything back."""
        for mapping, before in self._mappings:
            mapping.clear()
            mapping.update(before)
        for one, members in self._lists:
            one[:] = members
        for array, content in self._arrays:
            if array.flags.writeable:
                array[...] = content
        for generator, state in self._generators:
            match generator:
                case random.Random():
                    generator.setstate(state)
                case np.random.RandomState():
                    generator.set_state(state)
                case _:
                    generator.bit_generator.state = state


def _state_of(generator: Any) -> Any:
    match generator:
        case random.Random():
            return generator.getstate()
        case np.random.RandomState():
            return generator.get_state()
    return generator.bit_generator.state
