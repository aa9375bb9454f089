"""Augment training images, a batch at a time, and prepare images for evaluation.

Shapes: `N` images of the split, `B` of a batch, `H` rows, `W` columns, `C` channels, `S` samples along a side of a
resized image.
Each variant of `data.augment` is one class here and one case of `build`. It draws all numbers of an epoch on
the host, with numpy, and applies them with torch where the images lie: CPU and CUDA see the same crops. Pixels are
scaled only afterwards (`Normalisation`), so that padding is black, as in torchvision's pipelines.

Resizing is linear and acts on rows and columns apart, so that a chain of resizings and crops is one matrix for the rows
and one for the columns: `result = rows @ image @ columns.T`. Nothing is rounded between the links of the chain, where
torchvision rounds to whole pixel values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Protocol, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eailab.data.dataset import TrialData
from eailab.engines.torch_resnet import trivial_augment
from eailab.recipe.parts import CropFlip, Cutout, NoAugment, Resize224, ResNetAugment, TrivialAugment

Draws: TypeAlias = dict[str, NDArray[np.generic]]
"""The numbers that an epoch's images are varied by: each array has one row for each image, in the epoch's order."""
Drawn: TypeAlias = Mapping[str, Tensor]
"""The rows of one batch, on the images' device."""


class PixelTable:
    """The images of one split on a device, in whole pixel values, to be looked up by number."""

    def __init__(self, pixels: NDArray[np.uint8], device: torch.device) -> None:
        self._pixels = pixels  # kept so that no other array can have its id while `pixel_table` knows this one by it
        count, self.height, self.width, self.channels = pixels.shape
        flat = torch.tensor(pixels).view(-1, self.channels)
        self.black = len(flat)
        """Number of the one further row, which is black."""
        self._flat = torch.cat([flat, flat.new_zeros(1, self.channels)]).to(device)
        self._images = self._flat[: self.black].view(count, self.height, self.width, self.channels)

    def whole(self, chosen: Tensor) -> Tensor:
        """Return the images of these numbers `[B]` as they are: `[B, C, H, W]`, uint8."""
        return self._images.index_select(0, chosen).permute(0, 3, 1, 2)

    def look_up(self, pixels: Tensor) -> Tensor:
        """Return the pixels of these numbers `[B, H, W]`, counted over the whole split: `[B, C, H, W]`, uint8."""
        return self._flat.index_select(0, pixels.flatten()).view(*pixels.shape, self.channels).permute(0, 3, 1, 2)


_TABLES: WeakValueDictionary[tuple[int, torch.device], PixelTable] = WeakValueDictionary()


def pixel_table(pixels: NDArray[np.uint8], device: torch.device) -> PixelTable:
    """Return the table of these images; trials in training on the same array, side by side, share one."""
    table = _TABLES.get((id(pixels), device))
    if table is None:
        _TABLES[id(pixels), device] = table = PixelTable(pixels, device)
    return table


class Augmentation(Protocol):
    """One way to vary training images."""

    def draw(self, random: np.random.Generator, count: int) -> Draws:
        """Draw what varies `count` images."""
        ...

    def train(self, images: PixelTable, chosen: Tensor, drawn: Drawn) -> Tensor:
        """Return the varied images of these numbers `[B]`: `[B, C, rows, columns]`, in pixel values."""
        ...

    def evaluate(self, pixels: Tensor) -> Tensor:
        """Return the images `[B, C, H, W]` as evaluation sees them, of the same size as in training."""
        ...


class Unvaried:
    """Images as they are, in training and in evaluation."""

    def draw(self, random: np.random.Generator, count: int) -> Draws:  # noqa: ARG002 - one signature for all
        """Draw nothing."""
        return {}

    def train(self, images: PixelTable, chosen: Tensor, drawn: Drawn) -> Tensor:  # noqa: ARG002 - as above
        """Return the images as they are."""
        return images.whole(chosen)

    def evaluate(self, pixels: Tensor) -> Tensor:
        """Return the images as they are."""
        return pixels


@dataclass(frozen=True)
class CroppedAndFlipped(Unvaried):
    """Zeros around the image, a random crop of the old size, and a horizontal flip with probability 1/2."""

    padding: int

    def draw(self, random: np.random.Generator, count: int) -> Draws:
        """Draw each crop's first row `top` and column `left` within the padded image, and whether it is `flipped`."""
        return {
            "top": random.integers(0, 2 * self.padding, count, dtype=np.int64, endpoint=True),
            "left": random.integers(0, 2 * self.padding, count, dtype=np.int64, endpoint=True),
            "flipped": random.integers(0, 2, count, dtype=np.int8).astype(np.bool_),
        }

    def train(self, images: PixelTable, chosen: Tensor, drawn: Drawn) -> Tensor:
        """Look up each pixel of the crops; those of the border are black. Equal to torchvision's pad, crop, hflip."""
        height, width = images.height, images.width
        column = torch.arange(width, device=chosen.device)
        column = torch.where(drawn["flipped"][:, None], width - 1 - column, column)
        column = column + (drawn["left"][:, None] - self.padding)
        row = torch.arange(height, device=chosen.device) + (drawn["top"][:, None] - self.padding)
        row_inside = (row >= 0) & (row < height)
        column_inside = (column >= 0) & (column < width)
        pixels = ((chosen[:, None] * height + row) * width)[:, :, None] + column[:, None, :]
        inside = row_inside[:, :, None] & column_inside[:, None, :]
        return images.look_up(torch.where(inside, pixels, images.black))


@dataclass(frozen=True)
class CutOut(CroppedAndFlipped):
    """Crop and flip, then one square of the training mean (DeVries & Taylor, 2017), which normalisation makes zero."""

    size: int
    mean: Tensor
    """`[C, 1, 1]`, of the training split, in pixel values."""
    height: int
    width: int

    def draw(self, random: np.random.Generator, count: int) -> Draws:
        """Draw the crop, and each square's centre, uniform over the image's pixels."""
        return super().draw(random, count) | {
            "centre_row": random.integers(0, self.height, count, dtype=np.int64),
            "centre_column": random.integers(0, self.width, count, dtype=np.int64),
        }

    def train(self, images: PixelTable, chosen: Tensor, drawn: Drawn) -> Tensor:
        """Return the crops with their squares; a square of size `s` at centre `c` covers `c - s // 2 + [0, s)`."""
        cropped = super().train(images, chosen, drawn)
        row = torch.arange(self.height, device=chosen.device) - drawn["centre_row"][:, None] + self.size // 2
        column = torch.arange(self.width, device=chosen.device) - drawn["centre_column"][:, None] + self.size // 2
        covered = ((row >= 0) & (row < self.size))[:, :, None] & ((column >= 0) & (column < self.size))[:, None, :]
        return torch.where(covered[:, None], self.mean, cropped)


@dataclass(frozen=True)
class CroppedAndVaried(CroppedAndFlipped):
    """Crop and flip, then one random operation of random strength (`trivial_augment`)."""

    def draw(self, random: np.random.Generator, count: int) -> Draws:
        """Draw the crop, and each image's `operation` and `strength`."""
        return super().draw(random, count) | trivial_augment.draw(random, count)

    def train(self, images: PixelTable, chosen: Tensor, drawn: Drawn) -> Tensor:
        """Return the crops, each changed by its operation, `[B, C, H, W]`, uint8."""
        cropped = super().train(images, chosen, drawn)
        return trivial_augment.apply(cropped, drawn["operation"], drawn["strength"])


class Resized224:
    """Resize the shorter side to 256, crop at random, resize the crop to 224x224, flip; evaluation crops the centre.

    The crop is that of torchvision's `RandomResizedCrop`: its share of the area uniform, the logarithm of its ratio
    uniform between 3/4 and 4/3, ten attempts, then the whole image as far as the ratios allow.
    """

    SIDE = 224
    SHORTER = 256
    ATTEMPTS = 10
    RATIO = (3.0 / 4.0, 4.0 / 3.0)
    """Smallest and largest width of a crop, in heights."""

    def __init__(self, scale_min: float, height: int, width: int, device: torch.device) -> None:
        self._scale_min = scale_min
        self._size = scaled_size(height, width, self.SHORTER)
        self._to_rows, self._to_columns = (
            resizing(new, torch.zeros(1, device=device), torch.full((1,), old, device=device), old)
            for new, old in zip(self._size, (height, width), strict=True)
        )

    def draw(self, random: np.random.Generator, count: int) -> Draws:
        """Draw each crop's `top`, `left`, `rows` and `columns` in the resized image, and whether it is `flipped`."""
        height, width = self._size
        area = height * width * random.uniform(self._scale_min, 1.0, (count, self.ATTEMPTS))
        ratio = np.exp(random.uniform(log(self.RATIO[0]), log(self.RATIO[1]), (count, self.ATTEMPTS)))
        columns, rows = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fitting = (columns <= width) & (rows <= height)
        first = fitting.argmax(1)
        whole_rows, whole_columns = self._whole()
        rows = np.where(fitting.any(1), rows[np.arange(count), first], whole_rows).astype(np.int64)
        columns = np.where(fitting.any(1), columns[np.arange(count), first], whole_columns).astype(np.int64)
        place = random.random((2, count))
        centred = ~fitting.any(1)
        return {
            "top": np.where(centred, (height - rows) // 2, place[0] * (height - rows + 1)).astype(np.int64),
            "left": np.where(centred, (width - columns) // 2, place[1] * (width - columns + 1)).astype(np.int64),
            "rows": rows,
            "columns": columns,
            "flipped": random.integers(0, 2, count, dtype=np.int8).astype(np.bool_),
        }

    def _whole(self) -> tuple[int, int]:
        """Return the largest crop whose ratio is allowed: rows and columns."""
        height, width = self._size
        smallest, largest = self.RATIO
        if width / height < smallest:
            return round(width / smallest), width
        if width / height > largest:
            return height, round(height * largest)
        return height, width

    def train(self, images: PixelTable, chosen: Tensor, drawn: Drawn) -> Tensor:
        """Return the crops, `[B, C, 224, 224]`, float32."""
        height, width = self._size
        rows = resizing(self.SIDE, drawn["top"], drawn["rows"], height)
        columns = resizing(self.SIDE, drawn["left"], drawn["columns"], width)
        columns = torch.where(drawn["flipped"][:, None, None], columns.flip(1), columns)
        return resize(images.whole(chosen).float(), rows @ self._to_rows, columns @ self._to_columns)

    @property
    def centre(self) -> tuple[Tensor, Tensor]:
        """Return what makes the centres of resized images: `[1, 224, H]` for rows and `[1, 224, W]` for columns."""
        top, left = (round((size - self.SIDE) / 2) for size in self._size)
        return self._to_rows[:, top : top + self.SIDE], self._to_columns[:, left : left + self.SIDE]

    def evaluate(self, pixels: Tensor) -> Tensor:
        """Return the centres of the resized images, `[B, C, 224, 224]`, float32."""
        return resize(pixels.float(), *self.centre)


class Normalisation:
    """Scale pixel values by the training split's mean and deviation, and give grey images the channels that are wanted.

    The memory format is how the network wants its images to lie, and the channels are those of images that it takes.
    """

    def __init__(
        self, data: TrialData, device: torch.device, memory_format: torch.memory_format, channels: int = 3
    ) -> None:
        self.mean = torch.tensor(data.mean, dtype=torch.get_default_dtype(), device=device)[:, None, None]
        self.std = torch.tensor(data.std, dtype=torch.get_default_dtype(), device=device)[:, None, None]
        self._memory_format, self._channels = memory_format, channels

    def __call__(self, images: Tensor) -> Tensor:
        """Map `[B, C, H, W]` in pixel values to the channels that are wanted, in torch's default type."""
        scaled = (images - self.mean) / self.std
        return scaled.expand(-1, self._channels, -1, -1).contiguous(memory_format=self._memory_format)


def build(settings: ResNetAugment, height: int, width: int, mean: Tensor) -> Augmentation:
    """Return the way to vary images that a recipe asks for.

    The mean is `[C, 1, 1]`, of the training split's pixel values, on the images' device.
    """
    match settings:
        case NoAugment():
            return Unvaried()
        case CropFlip():
            return CroppedAndFlipped(settings.padding)
        case Cutout():
            return CutOut(settings.padding, settings.size, mean, height, width)
        case Resize224():
            return Resized224(settings.scale_min, height, width, mean.device)
        case TrivialAugment():
            return CroppedAndVaried(settings.padding)


# --- resizing by matrices --------------------------------------------------------------------------------------------


def resizing(samples: int, start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return the weights that resize a part of a line of pixels to `samples`, bilinear with antialiasing.

    The convention is that of PIL and of torchvision (`antialias=True`): pixel centres at halves, and a triangle that
    widens with the scale where the result is smaller; weights at the part's ends are normalised, not extended.

    Args:
        samples: Pixels `S` of the result.
        start: `[B]`, first pixel of each part.
        length: `[B]`, pixels of each part.
        size: Pixels `n` of the line.

    Returns:
        `[B, S, n]`, float32, each row of sum 1.
    """
    start, length = start.float()[:, None, None], length.float()[:, None, None]
    scale = length / samples
    sample = torch.arange(samples, device=start.device, dtype=torch.float32)[:, None]
    pixel = torch.arange(size, device=start.device, dtype=torch.float32) - start
    distance = (pixel + 0.5 - (sample + 0.5) * scale).abs() / scale.clamp(min=1.0)
    weights = (1.0 - distance).clamp(min=0.0) * ((pixel >= 0.0) & (pixel < length))
    return weights / weights.sum(-1, keepdim=True)


def resize(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return `rows @ image @ columns.T` for each channel of each image.

    Args:
        images: `[B, C, H, W]`, float32.
        rows: `[B or 1, S, H]`.
        columns: `[B or 1, S, W]`.

    Returns:
        `[B, C, S, S]`.
    """
    return rows[:, None] @ (images @ columns[:, None].mT)


def scaled_size(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Return height and width after the shorter side is resized to `shorter`, rounded down as in torchvision."""
    if height <= width:
        return shorter, int(shorter * width / height)
    return int(shorter * height / width), shorter
