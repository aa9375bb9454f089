"""Compute layers forward and backward, with hand-derived gradients.

A layer holds its parameters; `layer.stage(inputs, training)` puts it to work on a batch of one size. What travels
between stages is a `Signal`: an array of values, and an array for the gradient of the loss with respect to them.
`forward()` reads the values of the inputs and writes those of the output; `backward()` reads the gradient of the
output, which it may overwrite, and writes those of the inputs and of the parameters. All arrays are made with the
stage, so that a step allocates nothing and the matrix products are planned once.

The loss has divided by the batch's size, so gradients of parameters are summed over rows. Activations and dropout
work in place: their output is their inputs' signal.

Shapes: `B` rows of the batch, `I` inputs, `O` outputs, `F` features.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf, pi, sqrt
from typing import Protocol, Self

import numpy as np
from numpy.typing import DTypeLike

from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.arrays import Call, Floats, Plan, buffer, whole


@dataclass(frozen=True)
class Signal:
    """Hold what travels between two stages."""

    value: Floats
    """`[B, F]`"""
    gradient: Floats
    """`[B, F]`, of the loss with respect to `value`; `[0, F]` for data, whose gradient is not needed."""

    @classmethod
    def of(cls, rows: int, features: int, dtype: DTypeLike) -> Self:
        """Return a signal of zeros."""
        return cls(buffer((rows, features), dtype), buffer((rows, features), dtype))

    @classmethod
    def data(cls, rows: int, features: int, dtype: DTypeLike) -> Self:
        """Return a signal of zeros without a gradient."""
        return cls(buffer((rows, features), dtype), buffer((0, features), dtype))


class Stage(Protocol):
    """A layer at work on batches of one size."""

    output: Signal

    def forward(self) -> None:
        """Write the values of the output."""
        ...

    def backward(self) -> None:
        """Write the gradients of the inputs and of the parameters."""
        ...


class Layer(Protocol):
    """A step of the network."""

    def stage(self, inputs: Signal, training: bool, /) -> Stage:
        """Put the layer to work on the signal of the stage before."""
        ...


# --- linear ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linear:
    """`output = inputs weight + bias`, or with rectified units `max(output, 0)` in the same pass."""

    weight: Floats
    """`[I, O]`: the transpose of torch's."""
    bias: Floats
    """`[O]`"""
    weight_gradient: Floats
    """`[I, O]`, written by `backward`, but for batches of one row."""
    bias_gradient: Floats
    """`[O]`, written by `backward`."""
    plan: Plan = whole
    """How its matrix products are made."""
    rectified: bool = False
    """Whether outputs below 0 are set to 0."""

    @property
    def least(self) -> float:
        """Return what outputs below it are set to."""
        return 0.0 if self.rectified else -inf

    def stage(self, inputs: Signal, _training: bool, /) -> "LinearStage":
        """Put the layer to work."""
        return LinearStage(self, inputs)

    def bias_backward(self, output: Signal) -> Call:
        """Return what takes the output's gradient back through the rectifier and sums it up for the bias."""
        value, gradient = output.value, output.gradient
        if self.rectified:
            return partial(kernels.rectified_backward, value, gradient, self.bias_gradient)
        return partial(np.dot, np.ones(len(value), value.dtype), gradient, self.bias_gradient)


class LinearStage:
    """`Linear` at work.

    For a batch of one row the weight's gradient is the outer product of the inputs and the output's gradient: it is not
    written out, since the optimizer can multiply it out in its own pass.
    """

    def __init__(self, layer: Linear, inputs: Signal) -> None:
        rows, dtype = len(inputs.value), inputs.value.dtype
        self.layer = layer
        self.inputs = inputs
        self.output = Signal.of(rows, layer.weight.shape[1], dtype)
        output, gradient = self.output.value, self.output.gradient
        self._forward = layer.plan(inputs.value, layer.weight, output)
        self._backward: list[Call] = [layer.bias_backward(self.output)]
        if rows > 1:
            self._backward.append(layer.plan(inputs.value.T, gradient, layer.weight_gradient))
        if len(inputs.gradient):
            self._backward.append(layer.plan(gradient, layer.weight.T, inputs.gradient))

    def forward(self) -> None:
        """`y = x W + b`, rectified or not."""
        self._forward()
        kernels.add_bias(self.output.value, self.layer.bias, self.layer.least)

    def backward(self) -> None:
        """`dy = 0` where `y` was rectified, `db = 1' dy`, `dW = x' dy`, `dx = dy W'`."""
        for call in self._backward:
            call()


# --- activations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Activation:
    """A function of each number by itself, the same in training and outside."""

    function: Callable[[Signal], Stage]

    def stage(self, inputs: Signal, _training: bool, /) -> Stage:
        """Put the layer to work."""
        return self.function(inputs)


class ReLU:
    """`max(x, 0)`; its slope at 0 is 0."""

    def __init__(self, inputs: Signal) -> None:
        self.output = inputs

    def forward(self) -> None:
        """`y = max(x, 0)`."""
        kernels.relu_forward(self.output.value)

    def backward(self) -> None:
        """`dx = dy` where `y > 0`, else 0."""
        kernels.relu_backward(self.output.value, self.output.gradient)


class Sigmoid:
    """`1 / (1 + exp(-x))`, as `(1 + tanh(x / 2)) / 2`, which cannot overflow."""

    def __init__(self, inputs: Signal) -> None:
        self.output = inputs
        self.slope = np.empty_like(inputs.value)

    def forward(self) -> None:
        """`y = (1 + tanh(x / 2)) / 2`."""
        y = self.output.value
        np.multiply(y, 0.5, out=y)
        np.tanh(y, out=y)
        np.add(y, 1.0, out=y)
        np.multiply(y, 0.5, out=y)

    def backward(self) -> None:
        """`dx = dy y (1 - y)`."""
        np.subtract(1.0, self.output.value, out=self.slope)
        np.multiply(self.slope, self.output.value, out=self.slope)
        np.multiply(self.output.gradient, self.slope, out=self.output.gradient)


class Tanh:
    """The hyperbolic tangent."""

    def __init__(self, inputs: Signal) -> None:
        self.output = inputs
        self.slope = np.empty_like(inputs.value)

    def forward(self) -> None:
        """`y = tanh(x)`."""
        np.tanh(self.output.value, out=self.output.value)

    def backward(self) -> None:
        """`dx = dy (1 - y^2)`."""
        np.multiply(self.output.value, self.output.value, out=self.slope)
        np.subtract(1.0, self.slope, out=self.slope)
        np.multiply(self.output.gradient, self.slope, out=self.output.gradient)


class GELU:
    """`x P(x)`, with `P` the normal distribution function itself, not its tanh fit (Hendrycks & Gimpel, 2016)."""

    def __init__(self, inputs: Signal) -> None:
        from eailab.stats.special import erf

        self.erf: Callable[..., Floats] = erf
        self.output = inputs
        self.probability = np.empty_like(inputs.value)
        self.slope = np.empty_like(inputs.value)

    def forward(self) -> None:
        """`y = x P(x)`, and the slope `P(x) + x p(x)` with the density `p(x) = exp(-x^2 / 2) / sqrt(2 pi)`."""
        x, probability, slope = self.output.value, self.probability, self.slope
        np.multiply(x, sqrt(0.5), out=probability)
        self.erf(probability, out=probability)
        np.add(probability, 1.0, out=probability)
        np.multiply(probability, 0.5, out=probability)
        np.multiply(x, x, out=slope)
        np.multiply(slope, -0.5, out=slope)
        np.exp(slope, out=slope)
        np.multiply(slope, 1.0 / sqrt(2.0 * pi), out=slope)
        np.multiply(slope, x, out=slope)
        np.add(slope, probability, out=slope)
        np.multiply(x, probability, out=x)

    def backward(self) -> None:
        """`dx = dy (P(x) + x p(x))`."""
        np.multiply(self.output.gradient, self.slope, out=self.output.gradient)


ACTIVATIONS = {
    "relu": Activation(ReLU),
    "sigmoid": Activation(Sigmoid),
    "tanh": Activation(Tanh),
    "gelu": Activation(GELU),
}
"""By the name that a recipe uses; a new one: its name in `recipe/parts.py`, its class and line here, and a line of
`inference.COUNTERPARTS`."""


# --- regularisation -------------------------------------------------------------------------------------------------


class Nothing:
    """A stage that hands its input on: dropout outside training."""

    def __init__(self, inputs: Signal) -> None:
        self.output = inputs

    def forward(self) -> None:
        """Leave the output as it is."""

    def backward(self) -> None:
        """Leave the gradient as it is."""


@dataclass
class Dropout:
    """Set each unit to 0 with a probability, and divide the others by the chance to stay (Srivastava et al., 2014)."""

    probability: float
    generator: np.random.Generator = field(default_factory=np.random.default_rng)
    """Where the draws come from; handed in again at the start of each epoch."""

    def stage(self, inputs: Signal, training: bool, /) -> Stage:
        """Put the layer to work; outside training it does nothing."""
        return DropoutStage(self, inputs) if training else Nothing(inputs)


class DropoutStage:
    """`Dropout` in training, in place."""

    def __init__(self, layer: Dropout, inputs: Signal) -> None:
        self.layer = layer
        self.output = inputs
        self.mask = np.empty_like(inputs.value)
        self.threshold = inputs.value.dtype.type(layer.probability)
        self.scale = inputs.value.dtype.type(1.0 / (1.0 - layer.probability))

    def forward(self) -> None:
        """`y = x mask`, with a mask of 0 and `1 / (1 - p)` newly drawn."""
        self.layer.generator.random(dtype=self.mask.dtype, out=self.mask)
        kernels.drop(self.output.value, self.mask, self.threshold, self.scale)

    def backward(self) -> None:
        """`dx = dy mask`."""
        np.multiply(self.output.gradient, self.mask, out=self.output.gradient)


@dataclass(frozen=True)
class BatchNorm1d:
    """Normalise each feature over the batch (Ioffe & Szegedy, 2015), with torch's settings.

    Outside training the running mean and variance take the place of the batch's. A batch of one row, such as the last
    of an epoch may be, leaves them alone: it has no variance, and its output is `shift`.
    """

    scale: Floats
    """`[F]`, torch's `weight`."""
    shift: Floats
    """`[F]`, torch's `bias`."""
    scale_gradient: Floats
    shift_gradient: Floats
    running_mean: Floats
    """`[F]`"""
    running_variance: Floats
    """`[F]`, of unbiased variances."""
    epsilon: float = 1e-5
    momentum: float = 0.1
    """Weight of the newest batch in the running statistics."""

    def stage(self, inputs: Signal, training: bool, /) -> Stage:
        """Put the layer to work on the batch's statistics in training, and on the running ones otherwise."""
        return BatchNormStage(self, inputs) if training else FrozenBatchNormStage(self, inputs)


class BatchNormStage:
    """`BatchNorm1d` in training."""

    def __init__(self, layer: BatchNorm1d, inputs: Signal) -> None:
        rows, features = inputs.value.shape
        dtype = inputs.value.dtype
        self.layer = layer
        self.inputs = inputs
        self.output = Signal.of(rows, features, dtype)
        self.normal, self.products = (buffer((rows, features), dtype) for _ in range(2))
        self.mean, self.variance, self.over_deviation, self.row = (buffer((features,), dtype) for _ in range(4))
        self.share = np.full(rows, 1.0 / rows, dtype)

    def forward(self) -> None:
        """`n = (x - mean) / sqrt(variance + epsilon)`, `y = scale n + shift`; the variance is the biased one."""
        layer, x, y = self.layer, self.inputs.value, self.output.value
        np.dot(self.share, x, out=self.mean)
        np.subtract(x, self.mean, out=self.normal)
        np.multiply(self.normal, self.normal, out=self.products)
        np.dot(self.share, self.products, out=self.variance)
        np.add(self.variance, layer.epsilon, out=self.over_deviation)
        np.sqrt(self.over_deviation, out=self.over_deviation)
        np.divide(1.0, self.over_deviation, out=self.over_deviation)
        np.multiply(self.normal, self.over_deviation, out=self.normal)
        np.multiply(self.normal, layer.scale, out=y)
        np.add(y, layer.shift, out=y)
        rows = len(x)
        if rows > 1:
            self._remember(layer.running_mean, self.mean)
            np.multiply(self.variance, rows / (rows - 1.0), out=self.variance)
            self._remember(layer.running_variance, self.variance)

    def _remember(self, running: Floats, newest: Floats) -> None:
        """Move a running statistic towards the newest one."""
        np.subtract(newest, running, out=self.row)
        np.multiply(self.row, self.layer.momentum, out=self.row)
        np.add(running, self.row, out=running)

    def backward(self) -> None:
        """`dx = scale / deviation (dy - mean(dy) - n mean(dy n))`, the means over the rows."""
        layer, dy, dx = self.layer, self.output.gradient, self.inputs.gradient
        np.multiply(dy, self.normal, out=self.products)
        np.dot(self.share, dy, out=layer.shift_gradient)
        np.dot(self.share, self.products, out=layer.scale_gradient)
        np.subtract(dy, layer.shift_gradient, out=dx)
        np.multiply(self.normal, layer.scale_gradient, out=self.products)
        np.subtract(dx, self.products, out=dx)
        np.multiply(self.over_deviation, layer.scale, out=self.row)
        np.multiply(dx, self.row, out=dx)
        # summed, not averaged: the loss has divided by the batch's size
        np.multiply(layer.shift_gradient, float(len(dy)), out=layer.shift_gradient)
        np.multiply(layer.scale_gradient, float(len(dy)), out=layer.scale_gradient)


class FrozenBatchNormStage:
    """`BatchNorm1d` outside training, in place: one product and one sum."""

    def __init__(self, layer: BatchNorm1d, inputs: Signal) -> None:
        self.layer = layer
        self.output = inputs

    def forward(self) -> None:
        """`y = scale (x - running mean) / sqrt(running variance + epsilon) + shift`."""
        y = self.output.value
        np.subtract(y, self.layer.running_mean, out=y)
        np.multiply(y, self._slope(), out=y)
        np.add(y, self.layer.shift, out=y)

    def backward(self) -> None:
        """`dx = dy` times the slope; the parameters' own gradients are not made outside training."""
        np.multiply(self.output.gradient, self._slope(), out=self.output.gradient)

    def _slope(self) -> Floats:
        """`[F]`: scale over deviation."""
        slope: Floats = self.layer.scale / np.sqrt(self.layer.running_variance + self.layer.epsilon)
        return slope
