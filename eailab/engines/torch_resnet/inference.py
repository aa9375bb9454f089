"""Apply a trained network to images in 32 bits, without the engine that trained it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eailab.data.dataset import Pixels
from eailab.engines.base import Arrays, Expected
from eailab.engines.spec import Graph
from eailab.engines.torch_resnet import augment, models
from eailab.engines.torch_resnet.foreign_network import ForeignNetwork
from eailab.engines.torch_resnet.geometry import input_size
from eailab.errors import UsageError
from eailab.recipe.parts import ResNet
from eailab.recipe.schema import ResNetRecipe

AT_ONCE = 64
"""Images that are classified at once."""


class Classifier(nn.Module):
    """A trained network with all that evaluation does to an image before: whole pixel values in, logits out.

    The weights have torchvision's names, as `ResNetEngine.weights` gives them.
    """

    mean: Tensor
    """`[C, 1, 1]`, in pixel values."""
    std: Tensor
    """`[C, 1, 1]`, as above."""

    def __init__(self, recipe: ResNetRecipe, weights: Arrays, expected: Expected) -> None:
        super().__init__()
        self.model, self._channels = _built(recipe, expected)
        self.model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        self.register_buffer("mean", torch.tensor(expected.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(expected.std)[:, None, None])
        height, width, _ = expected.image
        self.way = augment.build(recipe.data.augment, height, width, self.mean)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `[N, K]` of images `[N, H, W, C]`, uint8."""
        seen = (self.way.evaluate(images.permute(0, 3, 1, 2)) - self.mean) / self.std
        return self.model(seen.expand(-1, self._channels, -1, -1))  # type: ignore[no-any-return]


def _built(recipe: ResNetRecipe, expected: Expected) -> tuple[nn.Module, int]:
    """Return a network for the weights of a trial, and the channels of the images that it takes.

    Raises:
        UsageError: Its code is not eailab's, and not that of the trial any more.
    """
    if isinstance(recipe.model, ResNet):
        return models.build(recipe.model, len(expected.classes), block=0), models.CHANNELS
    height, width, channels = expected.image
    seen = (*input_size(recipe, height, width), channels)
    network = ForeignNetwork(recipe.model, len(expected.classes), seen, block=0)
    return network.module, network.image[2]


def shapes(recipe: ResNetRecipe, expected: Expected) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of the network's weights, by name."""
    if not isinstance(recipe.model, ResNet):
        return {name: tuple(values.shape) for name, values in _built(recipe, expected)[0].state_dict().items()}
    with torch.device("meta"):  # no memory is taken
        network = models.ResNet(recipe.model, len(expected.classes))
    return {name: tuple(values.shape) for name, values in network.state_dict().items()}


def logits(recipe: ResNetRecipe, weights: Arrays, expected: Expected, pixels: Pixels) -> NDArray[np.float32]:
    """Return the scores of each class, `[N, K]`, before the softmax, of images `[N, H, W, C]`, computed on the CPU."""
    classifier = Classifier(recipe, weights, expected)
    with torch.inference_mode():
        scores: NDArray[np.float32] = torch.cat(
            [classifier(torch.tensor(pixels[start : start + AT_ONCE])) for start in range(0, len(pixels), AT_ONCE)]
        ).numpy()
    return scores


def add_to_onnx(graph: Graph, recipe: ResNetRecipe, weights: Arrays, expected: Expected) -> None:
    """Add the network to an ONNX graph, from the layers and settings that its module has."""
    classifier = Classifier(recipe, weights, expected)
    model = classifier.model
    if not isinstance(model, models.ResNet):
        raise UsageError("only networks of eailab are written as ONNX: take --to torch-export, or torch.onnx itself.")
    x = graph.floating(graph.add("Transpose", "images", perm=[0, 3, 1, 2]))
    if isinstance(classifier.way, augment.Resized224):
        rows, columns = (matrix[0].numpy() for matrix in classifier.way.centre)
        x = graph.add("MatMul", x, graph.constant("columns", columns.T))
        x = graph.add("MatMul", graph.constant("rows", rows), x)
    x = graph.scaled(x, classifier.mean.numpy(), classifier.std.numpy())
    if len(classifier.mean) == 1:
        x = graph.add("Expand", x, graph.constant("three_channels", np.array([1, 3, 1, 1])))
    x = graph.add("Relu", _convolved(graph, x, model, "conv1", "bn1"))
    if isinstance(pool := model.maxpool, nn.MaxPool2d):
        x = graph.add("MaxPool", x, **_window(pool))
    for name, block in model.named_modules():
        if isinstance(block, models.BasicBlock | models.Bottleneck):
            beside = x
            if block.downsample is not None:
                beside = _convolved(graph, x, model, f"{name}.downsample.0", f"{name}.downsample.1")
            layers = 3 if isinstance(block, models.Bottleneck) else 2
            for layer in range(1, layers + 1):
                x = _convolved(graph, x, model, f"{name}.conv{layer}", f"{name}.bn{layer}")
                x = graph.add("Relu", x if layer < layers else graph.add("Add", x, beside))
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    graph.linear(pooled, "fc", _arrays(model, "fc"), result="logits")


def _convolved(graph: Graph, x: str, model: models.ResNet, convolution: str, norm: str) -> str:
    """Add a convolution without bias, and the batch normalisation after it, by their names in the module."""
    layer: Any = model.get_submodule(convolution)
    after: Any = model.get_submodule(norm)
    x = graph.add("Conv", x, graph.constant(f"{convolution}.weight", layer.weight.numpy()), **_window(layer))
    return graph.normalised(x, norm, _arrays(model, norm), after.eps)


def _window(layer: Any) -> dict[str, Any]:
    """Return the kernel, stride and padding of a convolution or pooling as ONNX wants them."""
    kernel, stride, padding = (
        list(sides) if isinstance(sides, tuple) else [sides] * 2
        for sides in (layer.kernel_size, layer.stride, layer.padding)
    )
    return {"kernel_shape": kernel, "strides": stride, "pads": padding * 2}


def _arrays(model: models.ResNet, name: str) -> dict[str, NDArray[np.generic]]:
    """Return the parameters and statistics of one layer, by their full names."""
    return {f"{name}.{part}": values.numpy() for part, values in model.get_submodule(name).state_dict().items()}
