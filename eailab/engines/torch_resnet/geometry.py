"""Compute channels and maps of a residual network, from its settings alone: torch is not imported."""

from collections.abc import Iterator
from dataclasses import dataclass

from eailab.engines.spec import BATCH_NORM, LINEAR, LayerSize, check_batches
from eailab.errors import DataError, RecipeError
from eailab.recipe.parts import Resize224, ResNet
from eailab.recipe.schema import ResNetRecipe
from eailab.translation import COMMA, joined, tr


@dataclass(frozen=True)
class Stem:
    """The layers before the first residual stage."""

    kernel: int
    stride: int
    padding: int
    pooled: bool
    """Whether a 3x3/2 max pooling (padding 1) follows."""


STEMS: dict[str, Stem] = {
    "7x7": Stem(kernel=7, stride=2, padding=3, pooled=True),
    "3x3": Stem(kernel=3, stride=1, padding=3, pooled=True),
    "3x3-pad1": Stem(kernel=3, stride=1, padding=1, pooled=True),
    "3x3-nopool": Stem(kernel=3, stride=1, padding=1, pooled=False),
}

CHANNELS = (64, 128, 256, 512)
"""Channels of the four stages at width 1; a bottleneck's output has four times as many."""

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
"""Blocks of each stage, by the network's name."""


def scaled_channels(width: float) -> tuple[int, ...]:
    """Return the channels of the four stages, rounded to the nearest integer.

    Raises:
        RecipeError: A stage would have no channel.
    """
    channels = tuple(round(width * at_width_1) for at_width_1 in CHANNELS)
    if min(channels) < 1:
        raise RecipeError(f"model.width {width} leaves the first stage no channel: take {1 / CHANNELS[0]} or more")
    return channels


def output_side(side: int, kernel: int, stride: int, padding: int) -> int:
    """Return the side of a convolution's output, in pixels."""
    return (side + 2 * padding - kernel) // stride + 1


def stage_sides(stem: Stem, side: int) -> tuple[int, int, int, int]:
    """Return the side of the maps of the four stages for images with this side, in pixels."""
    side = output_side(side, stem.kernel, stem.stride, stem.padding)
    first = output_side(side, 3, 2, 1) if stem.pooled else side
    second = output_side(first, 3, 2, 1)
    third = output_side(second, 3, 2, 1)
    return first, second, third, output_side(third, 3, 2, 1)


def fits(stem: Stem, side: int) -> bool:
    """Check whether each stage that halves its map is given at least two pixels a side."""
    return min(stage_sides(stem, side)[:3]) >= 2


def check_image_size(settings: ResNet, height: int, width: int) -> None:
    """Refuse images that have shrunk to one pixel before the last stage.

    Raises:
        DataError: The stem is too coarse for the images.
    """
    smaller = min(height, width)
    if fits(STEMS[settings.stem], smaller):
        return
    enough = next(side for side in range(smaller + 1, 1000) if fits(STEMS[settings.stem], side))
    others = [name for name, stem in STEMS.items() if fits(stem, smaller)]
    remedy = f"model.stem {' or '.join(others)} fits these" if others else "no stem fits these"
    raise DataError(
        f"images of {height}x{width} are too small for model.stem {settings.stem}, which needs {enough}x{enough}: "
        f"{remedy}, or take larger images (for the digits, data.name digits32)"
    )


def input_size(recipe: ResNetRecipe, height: int, width: int) -> tuple[int, int]:
    """Return the rows and columns that the network sees of images with these."""
    return (224, 224) if isinstance(recipe.data.augment, Resize224) else (height, width)


def ends_in_one_pixel(recipe: ResNetRecipe, height: int, width: int) -> bool:
    """Check for last maps of one pixel, where BatchNorm has as many numbers of a channel as there are images."""
    if not isinstance(recipe.model, ResNet):
        return False  # not known
    stem = STEMS[recipe.model.stem]
    return all(stage_sides(stem, side)[-1] == 1 for side in input_size(recipe, height, width))


def layers(recipe: ResNetRecipe, image: tuple[int, int, int], classes: int) -> tuple[LayerSize, ...] | None:
    """List the convolutions and the linear layer by torchvision's names; None of a network that is not eailab's."""
    if not isinstance(recipe.model, ResNet):
        return None
    height, width, _ = image
    return tuple(_layers(recipe.model, input_size(recipe, height, width), classes))


def _layers(model: ResNet, sides: tuple[int, int], classes: int) -> Iterator[LayerSize]:
    stem, (inputs, *_) = STEMS[model.stem], (channels := scaled_channels(model.width))
    first = _Convolution(stem.kernel, stem.stride, stem.padding, sides)
    yield first.layer("conv1", 3, inputs)
    sides = first.output
    if stem.pooled:
        sides = _Convolution(3, 2, 1, sides).output
    for stage, (width, blocks) in enumerate(zip(channels, BLOCKS[model.name], strict=True), start=1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            name, bottleneck = f"layer{stage}.{block}", model.name == "resnet50"
            kernels = ((1, 1), (3, stride), (1, 1)) if bottleneck else ((3, stride), (3, 1))
            widths = (width, width, 4 * width) if bottleneck else (width, width)
            taken, seen = inputs, sides
            for number, ((kernel, step), outputs) in enumerate(zip(kernels, widths, strict=True), start=1):
                one = _Convolution(kernel, step, kernel // 2, seen)
                yield one.layer(f"{name}.conv{number}", taken, outputs)
                taken, seen = outputs, one.output
            if inputs != taken or stride > 1:  # the projection next to the block
                yield _Convolution(1, stride, 0, sides).layer(f"{name}.downsample", inputs, taken)
            inputs, sides = taken, seen
    yield LayerSize("fc", LINEAR, (classes,), (inputs + 1) * classes, inputs * classes)


@dataclass(frozen=True)
class _Convolution:
    """A convolution of square kernel, which a normalisation follows."""

    kernel: int
    stride: int
    padding: int
    sides: tuple[int, int]
    """Rows and columns of its input."""

    @property
    def output(self) -> tuple[int, int]:
        """Return the rows and columns of its output."""
        rows, columns = (output_side(side, self.kernel, self.stride, self.padding) for side in self.sides)
        return rows, columns

    def layer(self, name: str, inputs: int, outputs: int) -> LayerSize:
        """Return it with channels."""
        (rows, columns), weights = self.output, self.kernel**2 * inputs * outputs
        convolution = tr("{kernel}x{kernel} convolution", kernel=self.kernel)
        stride = [tr("stride {stride}", stride=self.stride)] if self.stride > 1 else []
        kind = joined([convolution, *stride, BATCH_NORM], COMMA)
        shape = (outputs, rows, columns)
        return LayerSize(name, kind, shape, weights + 2 * outputs, weights * rows * columns)


def check_fit(recipe: ResNetRecipe, images: tuple[int, ...]) -> None:
    """Refuse an impossible network, or images that it cannot be trained on; see `ImageClassification.check_fit`."""
    count, height, width, channels = images

    def is_one_alone(size: int) -> bool:
        return ends_in_one_pixel(recipe, height, width) and 1 in (size, count % size)

    if isinstance(recipe.model, ResNet):
        scaled_channels(recipe.model.width)
        if channels not in (1, 3):
            raise DataError(
                f"the images have {channels} channels: a residual network takes grey (1) or colour (3) images"
            )
        check_image_size(recipe.model, *input_size(recipe, height, width))
    check_batches(recipe.batch_size, count, is_one_alone, "another data.limit")
