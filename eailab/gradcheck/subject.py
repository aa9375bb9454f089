"""Define what is checked: something that computes outputs and gradients from named arrays."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class Gradients:
    """Hold what a backward pass gave."""

    by_name: dict[str, NDArray[Any]]
    """Gradients by what they are of; what has none is not there."""
    found_as: dict[str, str] = field(default_factory=dict)
    """Where each was found, such as `dW` or `returned`."""


class Subject(ABC):
    """A layer, loss or pair of functions whose backward pass is checked.

    Args:
        title: As the user named it, with the arguments that were chosen.
        inputs: What forward is called with, by name.
        labels: Second argument of a loss, if it is one, with its name.
    """

    values: dict[str, Array]
    """What it is differentiated by: inputs first, then parameters."""

    def __init__(self, title: str, inputs: Mapping[str, Array], labels: tuple[str, NDArray[Any]] | None) -> None:
        self.title = title
        self.inputs = tuple(inputs)
        """Their names among the values."""
        self.labels = None if labels is None else labels[1]
        self._labels = dict([labels]) if labels else {}
        self.cached: dict[str, Array] = {}
        """What the forward pass left in attributes or returned besides its output, as the backward pass found it."""
        self.notes: list[str] = []
        """What was chosen or found on the way."""
        self.faults: list[str] = []
        """What is wrong besides the gradients."""
        self.may_lack = frozenset[str]()
        """Values that need no gradient: arrays that may not be parameters."""

    @abstractmethod
    def forward(self, values: Mapping[str, Array]) -> NDArray[Any]:
        """Return the output for other values."""

    @abstractmethod
    def backward(self, values: Mapping[str, Array], dy: Array) -> Gradients:
        """Return the gradients of sum(dy * output)."""

    def _say_in_place(self, values: Mapping[str, Array], given: Mapping[str, Any]) -> None:
        """Note which inputs forward has changed in place."""
        for name in self.inputs:
            if not np.array_equal(values[name], given[name], equal_nan=True):
                say_once(
                    self.faults,
                    f"forward changes its input {name} in place: what else keeps that array then computes with other "
                    "numbers",
                )


def say_once(said: list[str], text: str) -> None:
    """Add a text that is not there yet."""
    if text not in said:
        said.append(text)


LABEL_NAMES = frozenset("y t label labels target targets y_true ytrue truth onehot one_hot gold".split())
GRADIENT_NAMES = frozenset(
    "dy dout dz da dl dx_out grad grads gradient grad_out grad_output output_grad output_gradient gradient_output "
    "upstream upstream_grad delta dvalues dnext dloss error".split()
)
CACHE_NAMES = frozenset("cache ctx context saved memory state".split())
OUTPUT_NAMES = frozenset("out output y z a activation".split())
RATE_NAMES = frozenset("lr learning_rate rate eta alpha step_size stepsize".split())
"""Names that parameters of functions usually have, in lower case."""

IN_NAMES = frozenset(
    "in in_features in_dim in_size in_channels in_units in_ch input_dim input_size input_features input_channels "
    "inputs n_in n_input n_inputs n_features num_features num_inputs num_input d_in din dim dims nin fan_in features "
    "input_shape normalized_shape channels num_channels n_channels d dim_in size_in c_in embed_dim d_model size".split()
)
OUT_NAMES = frozenset(
    "out out_features out_dim out_size out_channels out_units out_ch output_dim output_size output_features n_out "
    "n_output n_outputs num_outputs num_output d_out dout nout fan_out units n_units neurons n_neurons hidden "
    "hidden_dim hidden_size n_hidden classes num_classes n_classes outputs output_channels filters n_filters "
    "num_filters dim_out size_out c_out m".split()
)
IMAGE_NAMES = frozenset("image_size img_size".split())
KERNEL_NAMES = frozenset("kernel kernel_size ksize k filter_size pool pool_size window size_kernel".split())
"""Names that sizes usually have in constructors."""


def guessed(name: str, shape: Sequence[int]) -> int | None:
    """Return what a constructor most likely wants by a name: a size of the input, 5 outputs, a window of 2.

    >>> guessed("in_features", (8, 784)), guessed("n_out", (8, 784)), guessed("beta", (8, 784))
    (784, 5, None)
    >>> guessed("image_size", (2, 3, 8, 8)), guessed("image_size", (2, 3, 8, 6))
    (8, None)
    """
    lower = name.lower()
    if lower in IN_NAMES:
        return shape[1] if len(shape) in (3, 4) and ("ch" in lower or len(shape) == 4) else shape[-1]
    if lower in OUT_NAMES:
        return 5
    if lower in KERNEL_NAMES:
        return 2
    if lower in IMAGE_NAMES and len(shape) == 4 and shape[2] == shape[3]:
        return shape[3]
    return None
