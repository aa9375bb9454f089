"""Check a pair of functions, one that computes and one that returns gradients."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.errors import UsageError
from eailab.gradcheck.arguments import backward_arguments
from eailab.gradcheck.attributes import arrays_in
from eailab.gradcheck.layers import SEED, split_output
from eailab.gradcheck.subject import Array, Gradients, Subject
from eailab.own_code.load import reseed


class FunctionPair(Subject):
    """`forward(x, …)`, which returns an output and perhaps a cache, and `backward`, which returns gradients."""

    def __init__(
        self,
        title: str,
        functions: tuple[Callable[..., Any], Callable[..., Any]],
        inputs: Mapping[str, Array],
        labels: tuple[str, NDArray[Any]] | None,
    ) -> None:
        super().__init__(title, inputs, labels)
        self._forward, self._backward = functions
        self.values = dict(inputs)
        self.forward(self.values)

    def _call(self, values: Mapping[str, Array]) -> tuple[NDArray[Any], Any, dict[str, Any]]:
        reseed(SEED)
        given = {**{name: values[name].copy() for name in self.inputs}, **self._labels}
        output, cache = split_output(self._forward(**given))
        return output, cache, given

    def forward(self, values: Mapping[str, Array]) -> NDArray[Any]:
        """Return the output for other values."""
        return self._call(values)[0]

    def backward(self, values: Mapping[str, Array], dy: Array) -> Gradients:
        """Return what the second function returns: one gradient, several in the inputs' order, or a mapping."""
        output, cache, given = self._call(values)
        self._say_in_place(values, given)
        self.cached = arrays_in({"cache": cache})
        arguments, _ = backward_arguments(self._backward, given, dy.copy(), output, cache)
        returned = self._backward(*arguments)
        if isinstance(returned, dict):
            pairs = {name: returned.get(name, returned.get(f"d{name}")) for name in self.inputs}
        else:
            several = returned if isinstance(returned, tuple | list) else (returned,)
            if len(several) > len(self.inputs):
                raise UsageError(
                    f"{self._backward.__name__} returned {len(several)} gradients, and {self._forward.__name__} has "
                    f"{len(self.inputs)} inputs of numbers: {', '.join(self.inputs)}."
                )
            pairs = dict(zip(self.inputs, several, strict=False))
        found = {
            name: np.asarray(one) for name, one in pairs.items() if isinstance(one, np.ndarray | np.number | float)
        }
        return Gradients(found, dict.fromkeys(found, "returned"))
