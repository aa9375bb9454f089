"""Leave out of a network the weights that no image of this size can reach.

With the 7x7 stem, a 32x32 image has shrunk to one pixel where the last stage begins. Of a 3x3 kernel with padding 1,
eight taps then meet padding alone: their gradient is exactly zero in every step, and no output depends on them. In
ResNet-18 these dead taps are 6.9 of 11.2 million weights. A reduced network computes with the live taps only: the same
outputs and the same gradients for the live weights (to the rounding of sums), at less than half the optimizer's work.

The dead taps keep their initial values. An optimizer with weight decay would shrink them, which nothing that the
network computes from images of this size could show; it shows in the values alone, if the weights are exported.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from eailab.engines.torch_resnet.models import Convolution


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
        model.eval()(next(model.parameters()).new_zeros(1, 3, height, width))
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


def reduce(model: nn.Module, height: int, width: int) -> dict[str, Reduced]:
    """Cut a model's convolutions down, in place, to the taps that images of this size reach.

    Args:
        model: A `models.ResNet` on the CPU.
        height: Rows of the images.
        width: Columns of the images.

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
