"""A network as a program of torch, from whole pixel values to logits: `torch.export`'s archive, without our code."""

import io
import json
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eailab.data.dataset import Pixels
from eailab.engines.numpy_mlp.layers import BatchNorm1d
from eailab.engines.torch_resnet.inference import Classifier
from eailab.inference.format import Runner
from eailab.inference.trained import Trained
from eailab.recipe.schema import MlpRecipe

FACTS = "eailab.json"
"""The archive's further file that holds the facts."""
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
}


class Perceptron(nn.Module):
    """The numpy engine's network as a module of torch, with what evaluation does to an image before."""

    mean: Tensor
    """`[C]`, in pixel values."""
    std: Tensor
    """`[C]`, likewise."""

    def __init__(self, trained: Trained, recipe: MlpRecipe) -> None:
        super().__init__()
        weights = {name: torch.from_numpy(np.array(array)) for name, array in trained.weights.items()}
        hidden, norm = recipe.model.hidden, recipe.model.norm
        with torch.device("meta"):  # the weights come from the trial, and none are to be drawn
            sizes = [weights[f"layers.{number}.weight"].shape for number in range(len(hidden) + 1)]
            self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for outputs, inputs in sizes)
            self.norms = nn.ModuleList(nn.BatchNorm1d(width, BatchNorm1d.epsilon) for width in hidden if norm != "none")
        self.activations = nn.ModuleList(ACTIVATIONS[name]() for name in recipe.model.activations)
        counters = {f"norms.{number}.num_batches_tracked": torch.tensor(0) for number in range(len(self.norms))}
        self.load_state_dict(weights | counters, assign=True)
        self.register_buffer("mean", torch.tensor(trained.expected.mean))
        self.register_buffer("std", torch.tensor(trained.expected.std))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `[N, K]` of images `[N, H, W, C]`, uint8."""
        x = ((images - self.mean) / self.std).flatten(1)
        for number, activation in enumerate(self.activations):
            x = self.layers[number](x)
            x = activation(self.norms[number](x) if self.norms else x)
        return self.layers[-1](x)  # type: ignore[no-any-return]


def make(trained: Trained, facts: Mapping[str, str]) -> bytes:
    """Return the content of a `.pt2` archive, with the facts as a further file in it."""
    network: nn.Module
    if isinstance(trained.recipe, MlpRecipe):
        network = Perceptron(trained, trained.recipe)
    else:
        network = Classifier(trained.recipe, trained.weights, trained.expected)
    images = torch.zeros(2, *trained.expected.image, dtype=torch.uint8)
    any_number = {0: torch.export.Dim("N", min=1)}
    program = torch.export.export(network, (images,), dynamic_shapes=(any_number,), strict=False)
    archive = io.BytesIO()
    torch.export.save(program, archive, extra_files={FACTS: json.dumps(dict(facts))})
    return archive.getvalue()


def opened(data: bytes, trained: Trained) -> Runner:  # noqa: ARG001 - one signature for all formats
    """Return the archive as torch runs it on the CPU."""
    network = torch.export.load(io.BytesIO(data)).module()

    def logits(pixels: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode():
            scores: NDArray[np.float32] = network(torch.tensor(pixels)).numpy()
        return scores

    return Runner(f"torch {torch.__version__}", logits)
