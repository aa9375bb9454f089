"""Layers with hand-derived gradients.

A layer holds its parameters; `layer.stage(inputs, training)` puts it to work on a batch of one size. A stage owns its
buffers, so that a step allocates nothing: `forward()` reads the stage's inputs and writes `output`, and
`backward(gradient)` takes the gradient of the loss with respect to `output` (which it may overwrite) and returns the
one with respect to the inputs, having written those of its parameters. The loss has divided by the batch's size, so
gradients of parameters are summed over rows.

Activations and dropout work in place: their output is their input's array.

Shapes: `B` rows of the batch, `I` inputs, `O` outputs, `F` features.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import pi, sqrt
from typing import Protocol

import numpy as np

from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.layout import Floats, buffer


class Stage(Protocol):
    """A layer at work on batches of one size."""

    output: Floats
    """`[B, O]`, written by `forward`."""

    def forward(self) -> None:
        """Read the inputs and write `output`."""
        ...

    def backward(self, gradient: Floats) -> Floats:
        """Take the gradient of `output`, write those of the parameters, and return that of the inputs."""
        ...


class Layer(Protocol):
    """A step of the network."""

    def stage(self, inputs: Floats, training: bool, /) -> Stage:
        """Put the layer to work on `inputs` `[B, I]`, an array that is filled anew before each `forward`."""
        ...


# --- linear ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linear:
    """`output = inputs weight + bias`."""

    weight: Floats
    """`[I, O]`: the transpose of torch's."""
    bias: Floats
    """`[O]`"""
    weight_gradient: Floats
    """`[I, O]`, written by `backward`."""
    bias_gradient: Floats
    """`[O]`, likewise."""
    first: bool = False
    """Whether the inputs are data, whose gradient nobody asks for."""

    def stage(self, inputs: Floats, _training: bool, /) -> "LinearStage":
        """Put the layer to work."""
        return LinearStage(self, inputs)


class LinearStage:
    """`Linear` at work; the matrix products are BLAS's."""

    def __init__(self, layer: Linear, inputs: Floats) -> None:
        rows, dtype = len(inputs), inputs.dtype
        self.layer = layer
        self.inputs = inputs
        self.output = buffer((rows, layer.weight.shape[1]), dtype)
        self.input_gradient = buffer((0,) if layer.first else inputs.shape, dtype)
        self.ones = np.ones(rows, dtype)

    def forward(self) -> None:
        """`y = x W + b`."""
        np.dot(self.inputs, self.layer.weight, out=self.output)
        np.add(self.output, self.layer.bias, out=self.output)

    def backward(self, gradient: Floats) -> Floats:
        """`dW = x' dy`, `db = 1' dy`, `dx = dy W'`; for the first layer `dx` is empty."""
        np.dot(self.inputs.T, gradient, out=self.layer.weight_gradient)
        np.dot(self.ones, gradient, out=self.layer.bias_gradient)
        if not self.layer.first:
            np.dot(gradient, self.layer.weight.T, out=self.input_gradient)
        return self.input_gradient


# --- activations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Activation:
    """A function of each number by itself, the same in training and outside."""

    function: "type[ReLU | Sigmoid | Tanh | GELU]"

    def stage(self, inputs: Floats, _training: bool, /) -> Stage:
        """Put the layer to work."""
        return self.function(inputs)


class ReLU:
    """`max(x, 0)`; its slope at 0 is 0."""

    def __init__(self, inputs: Floats) -> None:
        self.output = inputs

    def forward(self) -> None:
        """`y = max(x, 0)`."""
        np.maximum(self.output, 0.0, out=self.output)

    def backward(self, gradient: Floats) -> Floats:
        """`dx = dy` where `y > 0`, else 0."""
        kernels.relu_backward(self.output, gradient)
        return gradient


class Sigmoid:
    """`1 / (1 + exp(-x))`, as `(1 + tanh(x / 2)) / 2`, which cannot overflow."""

    def __init__(self, inputs: Floats) -> None:
        self.output = inputs
        self.slope = np.empty_like(inputs)

    def forward(self) -> None:
        """`y = (1 + tanh(x / 2)) / 2`."""
        y = self.output
        np.multiply(y, 0.5, out=y)
        np.tanh(y, out=y)
        np.add(y, 1.0, out=y)
        np.multiply(y, 0.5, out=y)

    def backward(self, gradient: Floats) -> Floats:
        """`dx = dy y (1 - y)`."""
        np.subtract(1.0, self.output, out=self.slope)
        np.multiply(self.slope, self.output, out=self.slope)
        return np.multiply(gradient, self.slope, out=gradient)


class Tanh:
    """The hyperbolic tangent."""

    def __init__(self, inputs: Floats) -> None:
        self.output = inputs
        self.slope = np.empty_like(inputs)

    def forward(self) -> None:
        """`y = tanh(x)`."""
        np.tanh(self.output, out=self.output)

    def backward(self, gradient: Floats) -> Floats:
        """`dx = dy (1 - y^2)`."""
        np.multiply(self.output, self.output, out=self.slope)
        np.subtract(1.0, self.slope, out=self.slope)
        return np.multiply(gradient, self.slope, out=gradient)


class GELU:
    """`x P(x)`, with `P` the normal distribution function itself, not its tanh fit (Hendrycks & Gimpel, 2016)."""

    def __init__(self, inputs: Floats) -> None:
        from scipy.special import erf

        self.erf: Callable[..., Floats] = erf
        self.output = inputs
        self.probability = np.empty_like(inputs)
        self.slope = np.empty_like(inputs)

    def forward(self) -> None:
        """`y = x P(x)`, and the slope `P(x) + x p(x)` with the density `p(x) = exp(-x^2 / 2) / sqrt(2 pi)`."""
        x, probability, slope = self.output, self.probability, self.slope
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

    def backward(self, gradient: Floats) -> Floats:
        """`dx = dy (P(x) + x p(x))`."""
        return np.multiply(gradient, self.slope, out=gradient)


# --- regularisation -------------------------------------------------------------------------------------------------


class Nothing:
    """A stage that hands its input on: dropout outside training."""

    def __init__(self, inputs: Floats) -> None:
        self.output = inputs

    def forward(self) -> None:
        """Leave the output as it is."""

    def backward(self, gradient: Floats) -> Floats:
        """Hand the gradient on."""
        return gradient


@dataclass
class Dropout:
    """Set each unit to 0 with a probability, and divide the others by the chance to stay (Srivastava et al., 2014)."""

    probability: float
    generator: np.random.Generator = field(default_factory=np.random.default_rng)
    """Where the draws come from; handed in anew at the start of each epoch."""

    def stage(self, inputs: Floats, training: bool, /) -> Stage:
        """Put the layer to work; outside training it does nothing."""
        return DropoutStage(self, inputs) if training else Nothing(inputs)


class DropoutStage:
    """`Dropout` in training, in place."""

    def __init__(self, layer: Dropout, inputs: Floats) -> None:
        self.layer = layer
        self.output = inputs
        self.mask = np.empty_like(inputs)
        self.threshold = inputs.dtype.type(layer.probability)
        self.scale = inputs.dtype.type(1.0 / (1.0 - layer.probability))

    def forward(self) -> None:
        """`y = x mask`, with a mask of 0 and `1 / (1 - p)` drawn anew."""
        self.layer.generator.random(dtype=self.mask.dtype, out=self.mask)
        kernels.drop(self.output, self.mask, self.threshold, self.scale)

    def backward(self, gradient: Floats) -> Floats:
        """`dx = dy mask`."""
        return np.multiply(gradient, self.mask, out=gradient)


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

    def stage(self, inputs: Floats, training: bool, /) -> Stage:
        """Put the layer to work on the batch's statistics in training, and on the running ones otherwise."""
        return BatchNormStage(self, inputs) if training else FrozenBatchNormStage(self, inputs)


class BatchNormStage:
    """`BatchNorm1d` in training."""

    def __init__(self, layer: BatchNorm1d, inputs: Floats) -> None:
        rows, features = inputs.shape
        self.layer = layer
        self.inputs = inputs
        self.output = np.empty_like(inputs)
        self.normal = np.empty_like(inputs)
        self.products = np.empty_like(inputs)
        self.share = np.full(rows, 1.0 / rows, inputs.dtype)
        self.mean, self.variance, self.over_deviation, self.row = (buffer((features,), inputs.dtype) for _ in range(4))

    def forward(self) -> None:
        """`n = (x - mean) / sqrt(variance + epsilon)`, `y = scale n + shift`; the variance is the biased one."""
        layer, rows = self.layer, len(self.inputs)
        np.dot(self.share, self.inputs, out=self.mean)
        np.subtract(self.inputs, self.mean, out=self.normal)
        np.multiply(self.normal, self.normal, out=self.products)
        np.dot(self.share, self.products, out=self.variance)
        np.add(self.variance, layer.epsilon, out=self.over_deviation)
        np.sqrt(self.over_deviation, out=self.over_deviation)
        np.divide(1.0, self.over_deviation, out=self.over_deviation)
        np.multiply(self.normal, self.over_deviation, out=self.normal)
        np.multiply(self.normal, layer.scale, out=self.output)
        np.add(self.output, layer.shift, out=self.output)
        if rows > 1:
            self._remember(layer.running_mean, self.mean)
            np.multiply(self.variance, rows / (rows - 1.0), out=self.variance)
            self._remember(layer.running_variance, self.variance)

    def _remember(self, running: Floats, newest: Floats) -> None:
        np.subtract(newest, running, out=self.row)
        np.multiply(self.row, self.layer.momentum, out=self.row)
        np.add(running, self.row, out=running)

    def backward(self, gradient: Floats) -> Floats:
        """`dx = scale / deviation (dy - mean(dy) - n mean(dy n))`, the means over the rows."""
        layer, rows = self.layer, len(gradient)
        np.multiply(gradient, self.normal, out=self.products)
        np.dot(self.share, gradient, out=layer.shift_gradient)
        np.dot(self.share, self.products, out=layer.scale_gradient)
        np.subtract(gradient, layer.shift_gradient, out=gradient)
        np.multiply(self.normal, layer.scale_gradient, out=self.products)
        np.subtract(gradient, self.products, out=gradient)
        np.multiply(self.over_deviation, layer.scale, out=self.row)
        np.multiply(gradient, self.row, out=gradient)
        # summed, not averaged: the loss has divided by the batch's size
        np.multiply(layer.shift_gradient, float(rows), out=layer.shift_gradient)
        np.multiply(layer.scale_gradient, float(rows), out=layer.scale_gradient)
        return gradient


class FrozenBatchNormStage:
    """`BatchNorm1d` outside training, in place: one product and one sum."""

    def __init__(self, layer: BatchNorm1d, inputs: Floats) -> None:
        self.layer = layer
        self.output = inputs

    def forward(self) -> None:
        """`y = scale (x - running mean) / sqrt(running variance + epsilon) + shift`."""
        layer = self.layer
        np.subtract(self.output, layer.running_mean, out=self.output)
        np.multiply(self.output, layer.scale / np.sqrt(layer.running_variance + layer.epsilon), out=self.output)
        np.add(self.output, layer.shift, out=self.output)

    def backward(self, gradient: Floats) -> Floats:
        """Multiply by the slope; the parameters' own gradients are not made outside training."""
        layer = self.layer
        np.multiply(gradient, layer.scale / np.sqrt(layer.running_variance + layer.epsilon), out=gradient)
        return gradient
