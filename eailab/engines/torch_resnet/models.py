"""Build residual networks (He et al., 2016) with torchvision's names, a chosen stem and a chosen width.

Shapes: `B` images, `C` channels, `H` rows, `W` columns, `K` classes. Weights have torchvision's names and shapes at
width 1 and stem 7x7, so that either library reads the other's files.
"""

from collections.abc import Iterator
from math import sqrt
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eailab.engines.torch_resnet.geometry import BLOCKS, STEMS, scaled_channels
from eailab.recipe.parts import ResNet as Settings
from eailab.seeding import stream


class Convolution(nn.Conv2d):
    """A convolution whose weight waits for `build`: torch's own would draw it from the global generator."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Linear(nn.Linear):
    """A linear layer whose weight and bias wait for `build`, likewise."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the map's size at stride 1."""
    return Convolution(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Return the projection beside a residual branch, or None where the identity fits."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(inputs, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, channels, ceil(H / stride), ceil(W / stride)]`."""
        beside = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y.add_(beside), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the stride is the 3x3's, as in torchvision (ResNet V1.5)."""

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = convolution(inputs, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = convolution(channels, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, 4 channels, ceil(H / stride), ceil(W / stride)]`."""
        beside = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return functional.relu(y.add_(beside), inplace=True)


BLOCK_CLASSES: dict[str, type[BasicBlock] | type[Bottleneck]] = {
    "resnet18": BasicBlock,
    "resnet34": BasicBlock,
    "resnet50": Bottleneck,
}
"""The block of each network; `geometry.BLOCKS` has their numbers."""


class ResNet(nn.Module):
    """Stem, four stages, mean over the map, and one linear layer; `build` gives it its initial weights."""

    def __init__(self, settings: Settings, classes: int) -> None:
        super().__init__()
        stem = STEMS[settings.stem]
        block, counts = BLOCK_CLASSES[settings.name], BLOCKS[settings.name]
        stem_channels, *_ = widths = scaled_channels(settings.width)
        self.conv1 = Convolution(3, stem_channels, stem.kernel, stride=stem.stride, padding=stem.padding, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem.pooled else nn.Identity()
        inputs = stem_channels
        for number, (channels, count) in enumerate(zip(widths, counts, strict=True), start=1):
            blocks = []
            for index in range(count):
                blocks.append(block(inputs, channels, stride=2 if number > 1 and index == 0 else 1))
                inputs = channels * block.expansion
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc = Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `[B, K]` of `[B, 3, H, W]`."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(images)), inplace=True))
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


def arrange(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Lay the weights of the convolutions out in this format, in place; values and names stay."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=memory_format)


def initial_values(model: nn.Module, block: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each convolution's and linear layer's parameter with its initial values.

    The distributions are torchvision's: convolutions N(0, 2 / fan-out) (He et al., 2015), the linear layer
    U(-1/sqrt(inputs), 1/sqrt(inputs)). Each parameter draws from a stream of its own name, so that two arms with
    different stems start with the same weights in all other layers.
    """
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            draw = stream(block, "init", crc32(f"{module_name}.{name}".encode()))
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
                values = draw.standard_normal(parameter.shape, dtype=np.float32) * np.float32(sqrt(2.0 / fan_out))
            elif isinstance(module, nn.Linear):
                bound = 1.0 / sqrt(module.in_features)
                values = draw.uniform(-bound, bound, parameter.shape).astype(np.float32)
            else:
                continue
            yield parameter, torch.from_numpy(values)


def build(settings: Settings, classes: int, block: int) -> ResNet:
    """Return a network on the CPU, initialised for one block; torch's global generator is not touched.

    Args:
        settings: Depth, stem and width.
        classes: Number of classes `K`.
        block: The seed bundle's number.

    Raises:
        RecipeError: The width leaves a stage without channels.
    """
    model = ResNet(settings, classes)
    with torch.no_grad():
        for parameter, values in initial_values(model, block):
            parameter.copy_(values)
    return model
