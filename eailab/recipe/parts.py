"""Define the parts of a recipe: one frozen, strict model each, every field with its unit and meaning.

Parts that come in variants (model, optimizer, schedule, augmentation) are unions told apart by `name`, so that a
variant has only its own settings.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema

from eailab.recipe.descriptions import descriptions

Activation = Literal["relu", "sigmoid", "tanh", "gelu"]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0.0, le=1e38)]
Penalty = Annotated[float, Field(ge=0.0, le=1e38)]
Pixels = Annotated[float, Field(ge=0.0, le=4096.0)]
"""A distance; beyond any image that is read, and no 32-bit sum of a few overflows."""
Margin = Annotated[float, Field(ge=0.0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
MOST_EPOCHS = 1_000_000
PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]+$"
"""One line of text without control characters, as a recipe's file may hold."""


class Settings(BaseModel):
    """A part of a recipe: unknown keys, wrong types and impossible values are refused, and nothing changes later."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add to the class's JSON Schema what its fields mean."""
        whole = handler(schema)
        properties = handler.resolve_ref_schema(whole)["properties"]
        for name in properties.keys() & descriptions(cls).keys():
            properties[name]["description"] = descriptions(cls)[name]
        return whole


# --- augmentation ---------------------------------------------------------------------------------------------------


class NoAugment(Settings):
    """Images as they are."""

    name: Literal["none"] = "none"


class CropFlip(Settings):
    """Zeros around the raw pixels, a random crop of the old size, and a horizontal flip with probability 1/2."""

    name: Literal["crop-flip"] = "crop-flip"
    padding: Annotated[int, Field(ge=0, le=64)] = 4
    """Width of the border of zeros, in pixels."""


class Resize224(Settings):
    """Resize to 256, crop at random, resize the crop to 224, flip; evaluation crops the centre 224. All bilinear."""

    name: Literal["resize-224"] = "resize-224"
    scale_min: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Smallest share of the area that a crop may take; the largest is 1."""


class Cutout(Settings):
    """Crop and flip, then one square set to zero (DeVries & Taylor, 2017)."""

    name: Literal["cutout"] = "cutout"
    padding: Annotated[int, Field(ge=0, le=64)] = 4
    """Width of the border of zeros for the crop, in pixels."""
    size: Annotated[int, Field(ge=1, le=224)] = 16
    """Side of the square, in pixels; it may reach over the edge."""


class TrivialAugment(Settings):
    """Crop and flip, then one random operation of random strength (Müller & Hutter, 2021)."""

    name: Literal["trivial-augment"] = "trivial-augment"
    padding: Annotated[int, Field(ge=0, le=64)] = 4
    """Width of the border of zeros for the crop, in pixels."""


class Deform(Settings):
    """Random rotation, scale, shear and shift, and a coarse elastic field (Simard et al., 2003)."""

    name: Literal["deform"] = "deform"
    rotation: Annotated[float, Field(ge=0.0, le=180.0)] = 12.0
    """Largest rotation either way, in degrees."""
    scale: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.12
    """Largest relative change of size along each axis."""
    shear: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.12
    """Largest shear, as a share of the side."""
    shift: Pixels = 1.5
    """Largest shift along each axis, in pixels."""
    elastic: Pixels = 1.6
    """Largest displacement at each node of the elastic field, in pixels."""
    nodes: Annotated[int, Field(ge=2, le=64)] = 6
    """Nodes of the elastic field along each axis; between them it is bilinear."""


def _by_name(value: Any) -> Any:
    """Let a variant without further settings be written as its name alone."""
    return {"name": value} if isinstance(value, str) else value


_MlpAugments: TypeAlias = Annotated[NoAugment | Deform, Field(discriminator="name")]
MlpAugment: TypeAlias = Annotated[
    _MlpAugments, BeforeValidator(_by_name, json_schema_input_type=Literal["none", "deform"] | _MlpAugments)
]
_ResNetAugments: TypeAlias = Annotated[
    NoAugment | CropFlip | Resize224 | Cutout | TrivialAugment, Field(discriminator="name")
]
_ResNetNames = Literal["none", "crop-flip", "resize-224", "cutout", "trivial-augment"]
ResNetAugment: TypeAlias = Annotated[
    _ResNetAugments, BeforeValidator(_by_name, json_schema_input_type=_ResNetNames | _ResNetAugments)
]

# --- data -----------------------------------------------------------------------------------------------------------


class Data(Settings):
    """Choose images, how they are divided, and how the training images vary."""

    name: Annotated[str, Field(min_length=1, max_length=4096, pattern=PRINTABLE)]
    """A data set of `eailab data list`, or the path of an `.npz` file or of a folder of images by class; a relative
    one begins where the command runs."""
    val_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the official training images that is held out for validation."""
    split_seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 23
    """Seed of the division into training and validation images, when it is fixed."""
    split: Literal["fixed", "per-block"] = "fixed"
    """One division for all blocks, or a new one for each block, shared by its arms."""
    augment: NoAugment | CropFlip | Resize224 | Cutout | TrivialAugment | Deform = NoAugment()
    """How training images are varied, differently in each epoch: a name, or a mapping with its settings."""
    limit: Count | None = None
    """Train on this many images only, the first of the training split; null takes all."""


class MlpData(Data):
    """Data of the numpy engine, which augments without a change of size."""

    augment: MlpAugment = NoAugment()


class ResNetData(Data):
    """Data of the torch engine."""

    augment: ResNetAugment = NoAugment()


# --- models ---------------------------------------------------------------------------------------------------------


class Mlp(Settings):
    """A multilayer perceptron; the numbers of inputs and classes come from the data."""

    name: Literal["mlp"] = "mlp"
    hidden: Annotated[list[Annotated[int, Field(ge=1, le=65536)]], Field(min_length=1, max_length=32)] = [128, 256]
    """Widths of the hidden layers, in units."""
    activation: Activation | list[Activation] = "relu"
    """After each hidden layer: one for all, or a list with one for each."""
    dropout: Fraction = 0.0
    """Probability that a hidden unit is dropped in a training step."""
    norm: Literal["none", "batch"] = "none"
    """Normalisation before each activation: `batch` is BatchNorm1d."""
    init: Literal["he", "xavier", "torch"] = "he"
    """Initial weights: He et al. (2015), Glorot & Bengio (2010), or torch's `Linear` default (uniform)."""

    @field_validator("activation")
    @classmethod
    def _one_a_layer(cls, value: Activation | list[Activation], info: ValidationInfo) -> Activation | list[Activation]:
        layers = len(info.data.get("hidden", value))
        if isinstance(value, list) and len(value) != layers:
            raise ValueError(
                f"{len(value)} functions for {layers} hidden {'layer' if layers == 1 else 'layers'}: "
                "give one name for all layers, or a list with one for each"
            )
        return value

    @property
    def activations(self) -> list[Activation]:
        """Return the activation of each hidden layer."""
        return self.activation if isinstance(self.activation, list) else [self.activation] * len(self.hidden)


class ResNet(Settings):
    """A residual network for images (He et al., 2016), as torchvision builds it, with a chosen first convolution."""

    name: Literal["resnet18", "resnet34", "resnet50"] = "resnet18"
    """Depth and kind of block."""
    stem: Literal["7x7", "3x3", "3x3-pad1", "3x3-nopool"] = "7x7"
    """First convolution: 7x7/2 padding 3 and max pooling; 3x3/1 padding 3 and max pooling (the lab report's);
    3x3/1 padding 1 and max pooling; 3x3/1 padding 1 without pooling (usual for CIFAR)."""
    width: Annotated[float, Field(gt=0.0, le=4.0)] = 1.0
    """Factor on the number of channels of every layer, for quick studies."""
