"""Define recipes: one class an engine, told apart by `engine`, of the parts in `parts.py`.

A copy with one field changed is checked again by `override.vary`, never by `model_copy`.
"""

from typing import Annotated, Any, ClassVar, Literal, Union, get_args

from pydantic import Field, TypeAdapter

from eailab.metrics import NAMES, USUAL
from eailab.recipe.parts import (
    MOST_EPOCHS,
    PRINTABLE,
    AnySchedule,
    Constant,
    Count,
    Data,
    Fraction,
    Margin,
    Mlp,
    MlpData,
    Optimizer,
    ResNet,
    ResNetData,
    Settings,
)


class Study(Settings):
    """How arms of this recipe are compared; no part of what is trained."""

    margin: Margin = 0.25
    """Differences smaller than this do not matter: percentage points of an accuracy, hundredths of a loss."""
    metric: Annotated[str, Field(examples=list(NAMES))] = USUAL
    """What verdicts rest on, after the last epoch; `loss-gap` is validation minus training loss."""


class Recipe(Settings):
    """What recipes of all engines have."""

    example: ClassVar[str | None] = None
    """A shipped recipe of the engine, for hints."""
    small_example: ClassVar[str | None] = None
    """One that trains in seconds, on images that come with eailab."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
    """What tables and folders call this recipe; no part of its identity."""
    engine: str
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 1
    """Passes over the training split, or what the engine takes for one."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads of a trial; fixed, since sums in another order have other last bits."""
    study: Study = Study()

    @property
    def images(self) -> "ImageRecipe | None":
        """The recipe itself where it classifies images; None for other engines."""
        return None

    @property
    def data_name(self) -> str | None:
        """The name of its data set; None where it has none."""
        return self.images.data.name if self.images else None


class ImageRecipe(Recipe):
    """What recipes add that train a network to classify the images of a data set."""

    data: Data
    optimizer: Optimizer
    schedule: AnySchedule = Constant()
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
    """Passes over the training split."""
    batch_size: Count
    """Images a step; the last step of an epoch may have fewer."""
    label_smoothing: Fraction = 0.0
    """Share of the target's probability that is spread evenly over all classes (Szegedy et al., 2016)."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Decay a step of an exponential moving average of the weights, which is then what is evaluated; null for none."""
    model: Mlp | ResNet

    @property
    def images(self) -> "ImageRecipe":
        """The recipe itself."""
        return self


class MlpRecipe(ImageRecipe):
    """A recipe of the numpy engine: an MLP with hand-written gradients."""

    example = "mnist-mlp"
    small_example = "digits-mlp"

    engine: Literal["numpy-mlp"]
    data: MlpData
    model: Mlp = Mlp()
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """BLAS threads of a trial; fixed, since sums in another order have other last bits."""


class ResNetRecipe(ImageRecipe):
    """A recipe of the torch engine: a residual network on CUDA or on the CPU."""

    example = "resnet18-cifar10"
    small_example = "resnet18-digits"

    engine: Literal["torch-resnet"]
    data: ResNetData
    model: ResNet = ResNet()
    mixup: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    """Parameter alpha of mixup's Beta(alpha, alpha) (Zhang et al., 2018); null for none."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Arithmetic of convolutions and products; weights and sums stay in 32 bits."""
    deterministic: bool = False
    """Use only algorithms that give the same bits each time, which may be slower."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    """CPU threads of a trial; fixed, since sums in another order have other last bits."""


def engine_name(kind: type[Recipe]) -> str:
    """Return the engine that a class of recipes is for."""
    return str(get_args(kind.model_fields["engine"].annotation)[0])


RECIPES: dict[str, type[Recipe]] = {engine_name(kind): kind for kind in (MlpRecipe, ResNetRecipe)}
"""The class of each engine's recipes, by the engine's name; `engines.registry.register` adds others."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a recipe's file, for editors."""
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "eailab recipe"}
    every: Any = Union[tuple(RECIPES.values())]  # noqa: UP007 - as many as there are
    tagged: Any = Annotated[every, Field(discriminator="engine")]
    return title | dict(TypeAdapter(tagged).json_schema())
