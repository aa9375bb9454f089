"""The network of the numpy engine as a module of torch."""

import numpy as np
import torch
from torch import Tensor, nn

from eailab.engines.base import Arrays, Expected
from eailab.engines.numpy_mlp.inference import COUNTERPARTS
from eailab.engines.numpy_mlp.layers import BatchNorm1d
from eailab.recipe.schema import MlpRecipe


class Perceptron(nn.Module):
    """The numpy engine's network as a module of torch, with what evaluation does to an image before."""

    mean: Tensor
    """`[C]`, in pixel values."""
    std: Tensor
    """`[C]`, likewise."""

    def __init__(self, recipe: MlpRecipe, weights: Arrays, expected: Expected) -> None:
        super().__init__()
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
        hidden, norm = recipe.model.hidden, recipe.model.norm
        with torch.device("meta"):  # the weights come from the trial, and none are to be drawn
            sizes = [tensors[f"layers.{number}.weight"].shape for number in range(len(hidden) + 1)]
            self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for outputs, inputs in sizes)
            self.norms = nn.ModuleList(nn.BatchNorm1d(width, BatchNorm1d.epsilon) for width in hidden if norm != "none")
        self.activations = nn.ModuleList(getattr(nn, COUNTERPARTS[name].torch)() for name in recipe.model.activations)
        counters = {f"norms.{number}.num_batches_tracked": torch.tensor(0) for number in range(len(self.norms))}
        self.load_state_dict(tensors | counters, assign=True)
        self.register_buffer("mean", torch.tensor(expected.mean))
        self.register_buffer("std", torch.tensor(expected.std))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `[N, K]` of images `[N, H, W, C]`, uint8."""
        x = ((images - self.mean) / self.std).flatten(1)
        for number, activation in enumerate(self.activations):
            x = self.layers[number](x)
            x = activation(self.norms[number](x) if self.norms else x)
        return self.layers[-1](x)  # type: ignore[no-any-return]
