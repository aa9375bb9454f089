"""Apply TrivialAugment (Müller & Hutter, 2021) to batches: one random operation of random strength an image.

Shapes: `B` images, `C` channels, `H` rows, `W` columns.
The operations and strengths are those of the paper's wide space, as torchvision's `TrivialAugmentWide` has them, on
whole pixel values with nearest-neighbour sampling and black outside. Every operation is one of three kinds, and each
kind is one pass over the whole batch, which leaves the images of other kinds as they are: nothing depends on which
operations a batch happens to hold, so that a GPU is never waited for.

- a **motion** (shear, translate, rotate): an affine map of the pixel grid;
- a **blend** (colour, sharpness): the image mixed with a degenerate version of itself;
- a **curve** (the others): a table from old to new values for each image and channel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

STRENGTHS = 31
"""Strengths of an operation, evenly spaced."""


@dataclass(frozen=True)
class Operation:
    """The strengths of one operation, from the weakest to the strongest."""

    first: float = 0.0
    last: float = 0.0
    signed: bool = False
    """Whether the strength is negated with probability 1/2."""


OPERATIONS: dict[str, Operation] = {
    "identity": Operation(),
    "shear-x": Operation(0.0, 0.99, signed=True),
    "shear-y": Operation(0.0, 0.99, signed=True),
    "translate-x": Operation(0.0, 32.0, signed=True),
    "translate-y": Operation(0.0, 32.0, signed=True),
    "rotate": Operation(0.0, 135.0, signed=True),
    "brightness": Operation(0.0, 0.99, signed=True),
    "colour": Operation(0.0, 0.99, signed=True),
    "contrast": Operation(0.0, 0.99, signed=True),
    "sharpness": Operation(0.0, 0.99, signed=True),
    "posterize": Operation(8.0, 2.0),
    "solarize": Operation(255.0, 0.0),
    "autocontrast": Operation(),
    "equalize": Operation(),
}
"""Units: shear pixels a pixel, translate pixels, rotate degrees, posterize bits kept, solarize pixel values; the others
are changes of a factor from 1."""
NUMBER = {name: number for number, name in enumerate(OPERATIONS)}


def draw(random: np.random.Generator, count: int) -> dict[str, NDArray[np.generic]]:
    """Draw an `operation` (its number in `OPERATIONS`) and its `strength` for each of `count` images."""
    space = np.stack([np.linspace(kind.first, kind.last, STRENGTHS) for kind in OPERATIONS.values()])
    space[NUMBER["posterize"]] = np.rint(space[NUMBER["posterize"]])
    signed = np.array([kind.signed for kind in OPERATIONS.values()])
    operation = random.integers(0, len(OPERATIONS), count, dtype=np.int64)
    strength = space[operation, random.integers(0, STRENGTHS, count)]
    negated = signed[operation] & (random.integers(0, 2, count) == 1)
    return {"operation": operation, "strength": np.where(negated, -strength, strength).astype(np.float32)}


def apply(images: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Return the images `[B, C, H, W]`, uint8, each changed by its operation.

    The operations are `[B]`, int64, and their strengths `[B]`, float32.
    """
    moved = move(images, motions(operation, strength, images.shape[-2], images.shape[-1]))
    blended = blend(moved, operation, strength)
    return look_up(blended, curves(blended, operation, strength))


def motions(operation: Tensor, strength: Tensor, height: int, width: int) -> Tensor:
    """Return the affine map from each new pixel to the old one it shows, about the image's centre: `[B, 2, 3]`.

    Shears leave the top left corner where it is; translations are cut to whole pixels.
    """
    nothing = torch.zeros_like(strength)

    def only(name: str, values: Tensor) -> Tensor:
        return torch.where(operation == NUMBER[name], values, nothing)

    shear_x, shear_y = only("shear-x", strength), only("shear-y", strength)
    translate_x, translate_y = only("translate-x", strength.trunc()), only("translate-y", strength.trunc())
    angle = torch.deg2rad(only("rotate", strength))
    across = torch.stack([angle.cos(), shear_x - angle.sin(), shear_x * (height / 2) - translate_x], 1)
    down = torch.stack([shear_y + angle.sin(), angle.cos(), shear_y * (width / 2) - translate_y], 1)
    return torch.stack([across, down], 1)


def move(images: Tensor, motion: Tensor) -> Tensor:
    """Return the images with their pixels moved `[B, C, H, W]`, uint8: the nearest pixel, black outside."""
    height, width = images.shape[-2:]
    row = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
    column = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    columns, rows = column.expand(height, width), row[:, None].expand(height, width)
    here = torch.stack([columns, rows, torch.ones_like(columns)], dim=2)
    there = here.view(1, -1, 3) @ motion.mT
    grid = torch.stack([there[..., 0] / (width / 2), there[..., 1] / (height / 2)], dim=2).view(-1, height, width, 2)
    return functional.grid_sample(images.float(), grid, mode="nearest", align_corners=False).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Return the luma of images, `[B, 1, H, W]`, float32, rounded down (ITU-R BT.601); grey images are their own."""
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = images.float().unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).floor()[:, None]


def smoothed(images: Tensor) -> Tensor:
    """Return the images under a 3x3 smoothing kernel (5 at its centre, 1 around), the border left: `[B, C, H, W]`."""
    floating = images.float()
    if min(images.shape[-2:]) < 3:
        return floating
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1].fill_(5.0)  # on the device: an assignment copies the number there and waits, which no capture allows
    channels = images.shape[1]
    inner = functional.conv2d(floating, (kernel / kernel.sum()).expand(channels, 1, 3, 3), groups=channels)
    floating[..., 1:-1, 1:-1] = inner.round()
    return floating


def mixed(image: Tensor, degenerate: Tensor, strength: Tensor) -> Tensor:
    """Return `image` moved away from `degenerate` by `strength` times their difference, rounded down, as uint8."""
    return ((1.0 + strength) * image - strength * degenerate).clamp(0.0, 255.0).to(torch.uint8)


def blend(images: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Return the images with colour and sharpness changed `[B, C, H, W]`, uint8; grey images have no colour."""
    level = strength[:, None, None, None]
    kind = operation[:, None, None, None]
    sharpened = torch.where(kind == NUMBER["sharpness"], mixed(images, smoothed(images), level), images)
    if images.shape[1] == 1:
        return sharpened
    return torch.where(kind == NUMBER["colour"], mixed(images, grey(images), level), sharpened)


def curves(images: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Return each image's table of new values, `[B, C, 256]`, uint8."""
    count, channels = images.shape[:2]
    value = torch.arange(256, device=images.device, dtype=torch.int64).expand(count, channels, 256)
    floating = value.float()
    kind, level = operation[:, None, None], strength[:, None, None]
    mean = grey(images).mean((1, 2, 3))[:, None, None]
    kept = torch.pow(2.0, 8.0 - level.clamp(0.0, 8.0)).long()  # the step between the values that posterize keeps
    table = value
    for name, new in (
        ("brightness", mixed(floating, torch.zeros_like(floating), level).long()),
        ("contrast", mixed(floating, mean, level).long()),
        ("posterize", value // kept * kept),
        ("solarize", torch.where(floating >= level, 255 - value, value)),
        ("autocontrast", stretched(images, floating)),
        ("equalize", equalized(images, value)),
    ):
        table = torch.where(kind == NUMBER[name], new, table)
    return table.to(torch.uint8)


def stretched(images: Tensor, value: Tensor) -> Tensor:
    """Return the table that spreads each channel from 0 to 255, `[B, C, 256]`, int64; a flat channel stays."""
    lowest = images.amin((2, 3))[..., None].float()
    highest = images.amax((2, 3))[..., None].float()
    flat = highest == lowest
    scale = 255.0 / torch.where(flat, 1.0, highest - lowest)
    return torch.where(flat, value, (value - lowest) * scale).clamp(0.0, 255.0).long()


def equalized(images: Tensor, value: Tensor) -> Tensor:
    """Return the table that evens out each channel's histogram, `[B, C, 256]`, int64, as PIL defines it."""
    count, channels = images.shape[:2]
    table_start = torch.arange(count * channels, device=images.device)[:, None] * 256
    place = (images.reshape(count * channels, -1).long() + table_start).flatten()
    histogram = torch.zeros(count * channels * 256, dtype=torch.int64, device=images.device)
    histogram = histogram.scatter_add_(0, place, torch.ones_like(place)).view(count, channels, 256)
    of_brightest = histogram.gather(2, images.amax((2, 3))[..., None].long())
    step = (images.shape[2] * images.shape[3] - of_brightest) // 255
    below = histogram.cumsum(2) - histogram
    even = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    even[..., 0] = 0
    return torch.where(step == 0, value, even)


def look_up(images: Tensor, table: Tensor) -> Tensor:
    """Return each pixel's entry in its image's and channel's table: `[B, C, H, W]`, uint8."""
    flat = images.flatten(2)
    return table.gather(2, flat.long()).view(images.shape)
