"""Apply a trained network to images, without the engine that trained it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt
from typing import TYPE_CHECKING

import numpy as np

from eailab.data.dataset import Pixels
from eailab.engines.base import Arrays, Expected
from eailab.engines.numpy_mlp.arrays import Floats, Layout
from eailab.engines.numpy_mlp.input_layer import SplitImages
from eailab.engines.numpy_mlp.layers import BatchNorm1d
from eailab.engines.numpy_mlp.network import Design, Network, Work
from eailab.engines.spec import Graph
from eailab.recipe.schema import MlpRecipe

if TYPE_CHECKING:
    from torch import nn


def shapes(recipe: MlpRecipe, expected: Expected) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of the network's weights, by name."""
    design = Design(recipe.model, prod(expected.image), len(expected.classes))
    parts = {**design.trained.parts, **design.running.parts}
    return {name: shape[::-1] for name, (_, shape) in parts.items()}


def logits(recipe: MlpRecipe, weights: Arrays, expected: Expected, pixels: Pixels) -> Floats:
    """Return the scores of each class, `[N, K]`, before the softmax, of images `[N, H, W, C]`; see `InferenceSpec`."""
    source = SplitImages(pixels, expected.mean, expected.std, np.float32)
    design = Design(recipe.model, source.pixels.shape[1], len(expected.classes))
    trained, running = _filled(design.trained, weights), _filled(design.running, weights)
    network = Network(design, trained, running, design.trained.zeros(np.float32))
    work = Work(network, source, len(source), training=False)
    work.take(np.arange(len(source)))
    work.forward()
    return work.logits.value.copy()


def _filled(layout: Layout, weights: Arrays) -> Floats:
    flat = layout.zeros(np.float32)
    for name in layout.parts:
        layout.view(flat, name)[...] = weights[name].T
    return flat


def module(recipe: MlpRecipe, weights: Arrays, expected: Expected) -> "nn.Module":
    """Return the network, with what evaluation does to an image before, as a module of torch.

    It maps images, uint8 `[N, H, W, C]`, to logits `[N, K]`. The class is made here because no other function of this
    module needs torch.
    """
    import torch
    from torch import Tensor, nn

    class Perceptron(nn.Module):
        mean: Tensor
        std: Tensor

        def __init__(self) -> None:
            super().__init__()
            tensors = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
            hidden = recipe.model.hidden
            with torch.device("meta"):  # the weights come from the trial, and none are to be drawn
                sizes = [tensors[f"layers.{number}.weight"].shape for number in range(len(hidden) + 1)]
                self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for outputs, inputs in sizes)
                normalised = hidden if recipe.model.norm != "none" else ()
                self.norms = nn.ModuleList(nn.BatchNorm1d(width, BatchNorm1d.epsilon) for width in normalised)
            names = [COUNTERPARTS[name].torch for name in recipe.model.activations]
            self.activations = nn.ModuleList(getattr(nn, name)() for name in names)
            counters = {f"norms.{number}.num_batches_tracked": torch.tensor(0) for number in range(len(self.norms))}
            self.load_state_dict(tensors | counters, assign=True)
            self.register_buffer("mean", torch.tensor(expected.mean))
            self.register_buffer("std", torch.tensor(expected.std))
            self.eval().requires_grad_(False)

        def forward(self, images: Tensor) -> Tensor:
            x = ((images - self.mean) / self.std).flatten(1)
            for number, activation in enumerate(self.activations):
                x = self.layers[number](x)
                x = activation(self.norms[number](x) if self.norms else x)
            return self.layers[-1](x)  # type: ignore[no-any-return]

    return Perceptron()


def add_to_onnx(graph: Graph, recipe: MlpRecipe, weights: Arrays, expected: Expected) -> None:
    """Add the network to an ONNX graph, without torch; dropout does nothing outside training."""
    x = graph.add("Flatten", graph.scaled(graph.floating("images"), expected.mean, expected.std))
    for number, activation in enumerate(recipe.model.activations):
        x = graph.linear(x, f"layers.{number}", weights)
        if recipe.model.norm == "batch":
            x = graph.normalised(x, f"norms.{number}", weights, BatchNorm1d.epsilon)
        x = COUNTERPARTS[activation].add(graph, x)
    graph.linear(x, f"layers.{len(recipe.model.hidden)}", weights, result="logits")


@dataclass(frozen=True)
class Counterpart:
    """Hold what other software calls an activation."""

    torch: str
    """Its module in `torch.nn`."""
    add: Callable[[Graph, str], str]
    """Add it to an ONNX graph."""


def _operator(name: str) -> Callable[[Graph, str], str]:
    return lambda graph, x: graph.add(name, x)


def _gelu(graph: Graph, x: str) -> str:
    """Add `x (1 + erf(x / sqrt(2))) / 2`; an operator of its own came with a later version of ONNX's operators."""
    number = len(graph.nodes)
    root, one, half = (
        graph.constant(f"gelu.{number}.{name}", np.float32(value))
        for name, value in (("root", sqrt(0.5)), ("one", 1.0), ("half", 0.5))
    )
    twice = graph.add("Add", graph.add("Erf", graph.add("Mul", x, root)), one)
    return graph.add("Mul", x, graph.add("Mul", twice, half))


COUNTERPARTS = {
    "relu": Counterpart("ReLU", _operator("Relu")),
    "sigmoid": Counterpart("Sigmoid", _operator("Sigmoid")),
    "tanh": Counterpart("Tanh", _operator("Tanh")),
    "gelu": Counterpart("GELU", _gelu),
}
