"""Build a multilayer perceptron: its initial parameters in one flat array, its layers over them, and its loss.

Shapes: `B` rows of a batch, `D` inputs, `I` inputs and `O` outputs of a layer, `K` classes, `P` parameters.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.arrays import Floats, Layout, Plan, buffer, whole
from eailab.engines.numpy_mlp.input_layer import SplitImages
from eailab.engines.numpy_mlp.layers import ACTIVATIONS, BatchNorm1d, Dropout, Layer, Linear, LinearStage, Signal, Stage
from eailab.engines.numpy_mlp.optimizers import Outer
from eailab.recipe.parts import Mlp
from eailab.seeding import skip


@dataclass(frozen=True)
class Design:
    """Hold what a network is made of, before it has numbers."""

    model: Mlp
    inputs: int
    classes: int

    @property
    def widths(self) -> list[int]:
        """List the units of each layer, from the inputs to the classes."""
        return [self.inputs, *self.model.hidden, self.classes]

    @property
    def trained(self) -> Layout:
        """Lay out the trained parts; `layers.N` are the linear layers, `norms.N` the normalisations before them."""
        shapes: dict[str, tuple[int, ...]] = {}
        for number, (inputs, outputs) in enumerate(pairwise(self.widths)):
            shapes[f"layers.{number}.weight"] = (inputs, outputs)
        for number, (_, outputs) in enumerate(pairwise(self.widths)):
            shapes[f"layers.{number}.bias"] = (outputs,)
        if self.model.norm == "batch":
            for number, width in enumerate(self.model.hidden):
                shapes |= {f"norms.{number}.weight": (width,), f"norms.{number}.bias": (width,)}
        return Layout.of(shapes)

    @property
    def running(self) -> Layout:
        """Lay out the running statistics."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.model.norm == "batch":
            for number, width in enumerate(self.model.hidden):
                shapes |= {f"norms.{number}.running_mean": (width,), f"norms.{number}.running_var": (width,)}
        return Layout.of(shapes)

    def initial(self, chance: np.random.Generator, dtype: DTypeLike) -> tuple[Floats, Floats]:
        """Return new trained and running numbers; the draws are made in 64 bits, whatever the dtype."""
        trained, running = self.trained.zeros(dtype), self.running.zeros(dtype)
        initialise = INITIALISATIONS[self.model.init]
        for number, (inputs, outputs) in enumerate(pairwise(self.widths)):
            weight, bias = initialise(inputs, outputs, chance)
            self.trained.view(trained, f"layers.{number}.weight")[...] = weight
            self.trained.view(trained, f"layers.{number}.bias")[...] = bias
        if self.model.norm == "batch":
            for number in range(len(self.model.hidden)):
                self.trained.view(trained, f"norms.{number}.weight")[...] = 1.0
                self.running.view(running, f"norms.{number}.running_var")[...] = 1.0
        return trained, running


class Network:
    """The layers of a design over given numbers; it copies none of them."""

    def __init__(self, design: Design, trained: Floats, running: Floats, gradient: Floats, plan: Plan = whole) -> None:
        """Lay the layers over flat arrays: trained numbers `[P]`, running statistics, and the gradient `[P]`."""
        self.others: list[Layer] = []
        """All layers behind the first linear one."""
        at, statistic = design.trained.view, design.running.view
        self.model = model = design.model
        rectified = [name == "relu" and model.norm == "none" for name in model.activations]
        linear = [
            Linear(
                at(trained, f"layers.{number}.weight"),
                at(trained, f"layers.{number}.bias"),
                at(gradient, f"layers.{number}.weight"),
                at(gradient, f"layers.{number}.bias"),
                plan,
                is_rectified,
            )
            for number, is_rectified in enumerate([*rectified, False])
        ]
        self.first, *following = linear
        for number, layer in enumerate(following):
            if model.norm == "batch":
                name = f"norms.{number}"
                self.others.append(
                    BatchNorm1d(
                        at(trained, f"{name}.weight"),
                        at(trained, f"{name}.bias"),
                        at(gradient, f"{name}.weight"),
                        at(gradient, f"{name}.bias"),
                        statistic(running, f"{name}.running_mean"),
                        statistic(running, f"{name}.running_var"),
                    )
                )
            if not rectified[number]:
                self.others.append(ACTIVATIONS[model.activations[number]])
            if model.dropout > 0.0:
                self.others.append(Dropout(model.dropout))
            self.others.append(layer)

    def use_chance(self, generator: np.random.Generator, images: int = 0) -> None:
        """Let dropout draw from a fresh generator, layer after layer, as if so many images had been trained on."""
        if images and self.model.dropout > 0.0:
            skip(generator, images * sum(self.model.hidden), self.first.weight.dtype)
        for layer in self.others:
            if isinstance(layer, Dropout):
                layer.generator = generator


class Work:
    """A network at work on batches of `rows` images.

    Call `take` with the images' numbers, then `forward`, and read `logits.value`; then write `logits.gradient` and call
    `backward`.
    """

    def __init__(self, network: Network, source: SplitImages, rows: int, training: bool) -> None:
        entrance = source.stage(network.first, rows)
        self.take = entrance.take
        stages: list[Stage] = [entrance]
        for layer in network.others:
            stages.append(layer.stage(stages[-1].output, training))
        linear = [stage for stage in stages if isinstance(stage, LinearStage)]
        self.outer = [
            Outer(f"layers.{number}.weight", stage.inputs.value[0], stage.output.gradient[0])
            for number, stage in enumerate(linear)
            if rows == 1
        ]
        """Gradients that `backward` leaves as outer products."""
        self.logits = stages[-1].output
        """`[B, K]`"""
        self._forwards = [stage.forward for stage in stages]
        self._backwards = [stage.backward for stage in reversed(stages)]

    def forward(self) -> None:
        """Compute the logits of the inputs."""
        for forward in self._forwards:
            forward()

    def backward(self) -> None:
        """Compute the gradients of all parameters, given that of the logits."""
        for backward in self._backwards:
            backward()


# --- initial weights -------------------------------------------------------------------------------------------------


Parts = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weight `[I, O]` and bias `[O]` of one linear layer."""


def initial_he(inputs: int, outputs: int, chance: np.random.Generator) -> Parts:
    """Draw normal weights of variance 2 / I, for rectified units (He et al., 2015, eq. 10); no bias."""
    return chance.normal(0.0, sqrt(2.0 / inputs), (inputs, outputs)), np.zeros(outputs)


def initial_xavier(inputs: int, outputs: int, chance: np.random.Generator) -> Parts:
    """Draw uniform weights of variance 2 / (I + O) (Glorot & Bengio, 2010, eq. 16); no bias."""
    bound = sqrt(6.0 / (inputs + outputs))
    return chance.uniform(-bound, bound, (inputs, outputs)), np.zeros(outputs)


def initial_torch(inputs: int, outputs: int, chance: np.random.Generator) -> Parts:
    """Draw weight and bias alike, uniform within 1 / sqrt(I): the distribution of torch's `Linear`."""
    bound = 1.0 / sqrt(inputs)
    return chance.uniform(-bound, bound, (inputs, outputs)), chance.uniform(-bound, bound, outputs)


INITIALISATIONS = {"he": initial_he, "xavier": initial_xavier, "torch": initial_torch}


# --- loss ------------------------------------------------------------------------------------------------------------


class SoftmaxCrossEntropy:
    """Softmax and cross-entropy together, with label smoothing (Szegedy et al., 2016), on batches of one size.

    With logits `z` `[B, K]`, log-probabilities `log p = z - log sum exp z` (the row's largest logit is taken off first,
    so that logits of ±10,000 neither overflow nor lose the loss) and targets `t = (1 - s) onehot + s / K`, the loss of
    a row is `-sum t log p`, and the gradient of the batch's mean loss is `(p - t) / B`.

    Args:
        logits: Those of the last layer; the gradient is written into theirs.
        smoothing: Share of the target's probability that is spread evenly over all classes.
    """

    def __init__(self, logits: Signal, smoothing: float = 0.0) -> None:
        rows, classes = logits.value.shape
        dtype = logits.value.dtype
        self.smoothing = smoothing
        self.logits = logits
        self._by_class = buffer((classes, rows), dtype)
        self._targets, self._normalisers = buffer((rows,), dtype), buffer((rows,), dtype)

    def score(self, labels: NDArray[np.int64]) -> tuple[float, int]:
        """Score the batch and write the gradient of its mean loss.

        Args:
            labels: `[B]`, from 0 to `K` - 1.

        Returns:
            The sum of the rows' losses in nats, not finite where a logit is not; and how many rows have their (first)
            largest logit at their label.
        """
        turned, targets = self._by_class, self._targets
        correct = kernels.shift_logits(self.logits.value, labels, self.smoothing, turned, targets)
        np.exp(turned, out=turned)
        loss = kernels.cross_entropy(labels, self.smoothing, targets, turned, self._normalisers, self.logits.gradient)
        return loss, correct
