"""Build an ONNX graph node by node, without importing ONNX."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class Graph:
    """Nodes and constants in the making; each method adds nodes and returns the name of their result."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, result: str = "", **attributes: object) -> str:
        """Add one node, whose result is numbered where it is not named."""
        name = result or f"{operator}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: ArrayLike) -> str:
        """Add an array that the file holds."""
        self.constants.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def floating(self, x: str) -> str:
        """Make whole pixel values float32."""
        return self.add("Cast", x, to=self._onnx.TensorProto.FLOAT)

    def scaled(self, x: str, mean: ArrayLike, std: ArrayLike) -> str:
        """Scale pixel values as the training split's."""
        centred = self.add("Sub", x, self.constant("mean", mean))
        return self.add("Div", centred, self.constant("std", std))

    def linear(self, x: str, name: str, weights: Mapping[str, ArrayLike], result: str = "") -> str:
        """Add a linear layer, whose weight is `[O, I]`."""
        parts = [self.constant(part, weights[part]) for part in (f"{name}.weight", f"{name}.bias")]
        return self.add("Gemm", x, *parts, result=result, transB=1)

    def normalised(self, x: str, name: str, weights: Mapping[str, ArrayLike], epsilon: float) -> str:
        """Add batch normalisation by the running statistics."""
        parts = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        constants = [self.constant(part, weights[part]) for part in parts]
        return self.add("BatchNormalization", x, *constants, epsilon=epsilon)
