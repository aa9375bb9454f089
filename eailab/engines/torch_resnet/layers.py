"""List the layers of a person's own network: shapes, parameters and multiply-adds."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from eailab.engines.torch_resnet.own_network import OwnNetwork
from eailab.own_code.load import seeded


@dataclass(frozen=True)
class Layer:
    """A module without modules in it, or the parameters that a larger one has itself."""

    name: str
    kind: str
    """Its class."""
    output: list[int] | None
    """Shape of what it returned for one image; null where it did not run, or returned no tensor."""
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """A network in numbers."""

    network: str
    image: list[int]
    """Rows, columns and channels."""
    classes: int
    parameters: int
    trained_parameters: int
    """Those that are not frozen."""
    multiply_adds: int
    """Of one image, in convolutions, matrix products and attention; torch counts no others."""
    layers: list[Layer]


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
        trained_parameters=sum(one.numel() for one in parameters if one.requires_grad),
        multiply_adds=counter.get_total_flops() // 2,
        layers=layers,
    )
