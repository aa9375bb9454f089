"""List the layers of a person's own network: shapes, parameters and multiply-adds."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from eailab.engines.torch_resnet.own_network import OwnNetwork, trained_parameters
from eailab.own_code.load import seeded

SCHEMA = {"use_attribute_docstrings": True, "extra": "forbid"}
"""Of pydantic, for `eailab schema`."""


@dataclass(frozen=True)
class Layer:
    """A module without modules in it, or the parameters that a larger one has itself."""

    __pydantic_config__: ClassVar = SCHEMA

    name: str
    """Dotted, as torch names it; of the whole network its class."""
    kind: str
    """Its class."""
    output: list[int] | None
    """Shape of what it returned for one image; null where it did not run, or returned no tensor."""
    parameters: int
    """Of its own."""
    multiply_adds: int
    """For one image."""


@dataclass(frozen=True)
class Summary:
    """A network in numbers."""

    __pydantic_config__: ClassVar = SCHEMA

    network: str
    """As it was named."""
    image: list[int]
    """Rows, columns and channels."""
    classes: int
    """Number of classes."""
    parameters: int
    """Of all layers."""
    trained_parameters: int
    """Those that are not frozen."""
    multiply_adds: int
    """Of one image, in convolutions, matrix products and attention; torch counts no others."""
    layers: list[Layer]
    """In the order of the code."""
    schema_version: Literal[1] = 1
    """Raised when a field is renamed, removed or changes its meaning."""


def summary(network: OwnNetwork, title: str, image: tuple[int, int, int], classes: int) -> Summary:
    """Run a network on one image, and return its layers."""
    from torch.utils.flop_counter import FlopCounterMode

    module, shapes = network.module.eval(), dict[nn.Module, list[int]]()

    def note(layer: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes.setdefault(layer, list(output.shape))

    hooks = [layer.register_forward_hook(note) for layer in module.modules()]
    height, width, channels = image
    with seeded(0), network.own.running("its forward pass"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.randn(1, channels, height, width))
    for hook in hooks:
        hook.remove()
    flops = {name: sum(by_kind.values()) // 2 for name, by_kind in counter.get_flop_counts().items()}
    root = type(module).__name__
    layers = []
    for name, layer in module.named_modules():
        own = sum(one.numel() for one in layer.parameters(recurse=False))
        if own or not any(layer.children()):
            counted = flops.get(f"{root}.{name}" if name else root, 0) if not any(layer.children()) else 0
            layers.append(Layer(name or root, type(layer).__name__, shapes.get(layer), own, counted))
    parameters = list(module.parameters())
    return Summary(
        network=title,
        image=list(image),
        classes=classes,
        parameters=sum(one.numel() for one in parameters),
        trained_parameters=trained_parameters(module),
        multiply_adds=counter.get_total_flops() // 2,
        layers=layers,
    )
