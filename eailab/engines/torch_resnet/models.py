"""Build residual networks (He et al., 2016) with torchvision's names, a chosen stem and a chosen width.

Shapes: `B` images, `C` channels, `H` rows, `W` columns, `K` classes. Weights have torchvision's names and shapes at
width 1 and stem 7x7, so that either library reads the other's files.

`cut_dead_weights` leaves out of a network the weights that no image of its size can reach. With the 7x7 stem, a 32x32
image has shrunk to one pixel where the last stage begins. Of a 3x3 kernel with padding 1, eight taps then meet padding
alone: their gradient is exactly zero in every step, and no output depends on them. In ResNet-18 these dead taps are 6.9
of 11.2 million weights. A reduced network computes with the live taps only: the same outputs and the same gradients for
the live weights (to the rounding of sums), at less than half the optimizer's work. The dead taps keep their initial
values. An optimizer with weight decay would shrink them, which nothing that the network computes from images of this
size could show; it shows in the values alone, if the weights are exported.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import cast
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eailab.engines.torch_resnet.geometry import BLOCKS, STEMS, scaled_channels
from eailab.recipe.parts import ResNet as Settings
from eailab.seeding import stream

CHANNELS = 3
"""Of the images that a residual network takes."""


class Convolution(nn.Conv2d):
    """A convolution whose weight waits for `build`: torch's own would draw it from the global generator."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Linear(nn.Linear):
    """A linear layer whose weight and bias wait for `build`, as above."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the map's size at stride 1."""
    return Convolution(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Return the projection next to a residual branch, or None where the identity fits."""
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
        self.conv1 = Convolution(
            CHANNELS, stem_channels, stem.kernel, stride=stem.stride, padding=stem.padding, bias=False
        )
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


@torch.no_grad()
def build(settings: Settings, classes: int, block: int) -> ResNet:
    """Return a network on the CPU, initialised for one block; torch's global generator is not touched.

    The distributions are torchvision's: convolutions N(0, 2 / fan-out) (He et al., 2015), the linear layer
    U(-1/sqrt(inputs), 1/sqrt(inputs)). Each parameter draws from a stream of its own name, so that two arms with
    different stems start with the same weights in all other layers.

    Raises:
        RecipeError: The width leaves a stage without channels.
    """
    model = ResNet(settings, classes)
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
            parameter.copy_(torch.from_numpy(values))
    return model


# --- weights that no image reaches -----------------------------------------------------------------------------------


def live_taps(size: int, kernel: int, stride: int, padding: int) -> range:
    """Return the taps of a kernel, along one side, that meet a pixel at some place.

    Args:
        size: Pixels of the map along this side.
        kernel: Taps of the kernel along this side.
        stride: Pixels between two places.
        padding: Zeros at either end.

    >>> live_taps(size=1, kernel=3, stride=1, padding=1), live_taps(size=2, kernel=3, stride=2, padding=1)
    (range(1, 2), range(1, 3))
    """
    places = range(0, size + 2 * padding - kernel + 1, stride)
    live = [tap for tap in range(kernel) if any(0 <= place + tap - padding < size for place in places)]
    return range(live[0], live[-1] + 1)


class WholeMap(nn.Module):
    """A convolution that sees its whole map at one place: a matrix product, with the convolution's weight.

    Args:
        weight: `[O, C, H, W]`, for maps of `H` rows and `W` columns.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, O, 1, 1]`."""
        return functional.linear(x.flatten(1), self.weight.flatten(1))[:, :, None, None]


@dataclass(frozen=True)
class Reduced:
    """One weight that has been cut down to its live taps."""

    whole: Tensor
    """`[O, C, rows, columns]`, its initial values, on the CPU."""
    rows: slice
    columns: slice

    def restored(self, live: Tensor) -> Tensor:
        """Return the whole weight with these values at the live taps."""
        whole = self.whole.clone()
        whole[:, :, self.rows, self.columns] = live.detach().cpu()
        return whole


def convolution_inputs(model: nn.Module, height: int, width: int) -> Iterator[tuple[str, nn.Conv2d, tuple[int, int]]]:
    """Yield name, module and the input map's rows and columns of each convolution, for images of this size."""
    sizes: dict[nn.Module, tuple[int, int]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes[module] = (inputs[0].shape[2], inputs[0].shape[3])

    convolutions = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_pre_hook(note) for _, module in convolutions]
    was_training = model.training
    with torch.no_grad():
        model.eval()(next(model.parameters()).new_zeros(1, CHANNELS, height, width))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    for name, module in convolutions:
        yield name, module, sizes[module]


def smaller(convolution: nn.Conv2d, live: Tensor, size: tuple[int, int], padding: tuple[int, int]) -> nn.Module:
    """Return a module that computes a convolution by its live taps.

    Args:
        convolution: The whole one.
        live: `[O, C, rows, columns]`, the taps that are kept.
        size: Rows and columns of the maps it is given.
        padding: Zeros that these taps still meet, above and at the left.
    """
    kernel = (live.shape[2], live.shape[3])
    if kernel == size and padding == (0, 0):
        return WholeMap(live)
    module = Convolution(
        live.shape[1],
        live.shape[0],
        kernel,
        stride=cast(tuple[int, int], convolution.stride),
        padding=padding,
        bias=False,
    )
    module.weight = nn.Parameter(live)
    return module


def cut_dead_weights(model: nn.Module, height: int, width: int) -> dict[str, Reduced]:
    """Cut the convolutions of a `ResNet` on the CPU down, in place, to the taps that images of this size reach.

    Returns:
        What was cut, by the weight's name; empty where all taps are live.
    """
    cut = {}
    for name, convolution, size in list(convolution_inputs(model, height, width)):
        kernel, stride, padding = (
            cast(tuple[int, int], pair) for pair in (convolution.kernel_size, convolution.stride, convolution.padding)
        )
        rows, columns = (live_taps(size[side], kernel[side], stride[side], padding[side]) for side in (0, 1))
        if (len(rows), len(columns)) == kernel:
            continue
        whole = convolution.weight.detach()
        reduced = Reduced(whole, slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        live = whole[:, :, reduced.rows, reduced.columns].clone()
        left = (padding[0] - rows.start, padding[1] - columns.start)
        model.set_submodule(name, smaller(convolution, live, size, left))
        cut[f"{name}.weight"] = reduced
    return cut
