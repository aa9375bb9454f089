"""List the layers of a network whose code is not eailab's: shapes, parameters and multiply-adds."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from eailab.engines.summary import LayerSummary, NetworkSummary
from eailab.engines.torch_resnet.foreign_network import SETTINGS, ForeignNetwork, trained_parameters
from eailab.engines.torch_resnet.geometry import input_size
from eailab.own_code.load import seeded
from eailab.recipe.networks import Foreign
from eailab.recipe.schema import ResNetRecipe


def summary_of(recipe: ResNetRecipe, image: tuple[int, int, int], classes: int) -> NetworkSummary:
    """Construct the network of a recipe whose code is not eailab's, and return its layers for images of a data set.

    A process does so once for all trials of a network.

    Raises:
        UsageError: It is not a network for these images.
    """
    assert isinstance(recipe.model, Foreign)  # noqa: S101 - the caller has asked
    seen = (*input_size(recipe, *image[:2]), image[2])
    return _summary(recipe.model.model_dump_json(), recipe.name, classes, seen)


@lru_cache(maxsize=64)
def _summary(text: str, title: str, classes: int, image: tuple[int, int, int]) -> NetworkSummary:
    return summary(ForeignNetwork(SETTINGS.validate_json(text), classes, image, block=0), title, classes)


def summary(network: ForeignNetwork, title: str, classes: int) -> NetworkSummary:
    """Run a network on one image, and return its layers."""
    from torch.utils.flop_counter import FlopCounterMode

    module, shapes = network.module.eval(), dict[nn.Module, list[int]]()

    def note(layer: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes.setdefault(layer, list(output.shape[1:]))

    hooks = [layer.register_forward_hook(note) for layer in module.modules()]
    height, width, channels = network.image
    counter = FlopCounterMode(display=False)
    with seeded(0), network.code.running("its forward pass"), torch.no_grad(), counter:
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
            layers.append(LayerSummary(name or root, type(layer).__name__, shapes.get(layer), own, counted))
    parameters = list(module.parameters())
    return NetworkSummary(
        network=title,
        image=list(network.image),
        classes=classes,
        parameters=sum(one.numel() for one in parameters),
        trained_parameters=trained_parameters(module),
        multiply_adds=counter.get_total_flops() // 2,
        layers=layers,
    )
