"""Describe an engine: all that the rest of eailab needs to know of one, declared in the engine's own folder."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Pixels, TrialData
from eailab.engines.base import Arrays, DeviceName, Engine, Expected
from eailab.engines.onnx_graph import Graph
from eailab.errors import DataError, RecipeError
from eailab.metrics import Metric
from eailab.recipe.schema import BaseRecipe

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

ReportCompilation: TypeAlias = Callable[[Callable[[], None], Callable[[float], None]], AbstractContextManager[None]]
"""Calls the first function when code is first compiled in the block, and the second with the seconds of each time."""


@dataclass(frozen=True)
class Network:
    """How the trained weights of an engine are applied to images, here and in other software.

    Each function takes the trial's recipe, and the weights as `Engine.weights` names them.
    """

    shapes: Callable[[Any, Expected], dict[str, tuple[int, ...]]]
    """The shape of each array of the weights, by name."""
    logits: Callable[[Any, Arrays, Expected, Pixels], NDArray[np.floating]]
    """The scores of each class before the softmax, `[N, K]`, of images `[N, H, W, C]`."""
    module: Callable[[Any, Arrays, Expected], "nn.Module"]
    """A module of torch from images, uint8 `[N, H, W, C]`, to logits `[N, K]`."""
    add_to_onnx: Callable[[Graph, Any, Arrays, Expected], None]
    """Add the nodes from `images` to `logits`."""


@dataclass(frozen=True)
class EngineSpec:
    """One engine. Its functions import the libraries that they need when they are called."""

    name: str
    """What a recipe's `engine` says."""
    version: int
    """Raised when the engine's results change for an unchanged recipe; part of a trial's identity."""
    recipe: type[BaseRecipe]
    """The class of its recipes; every `recipe` below is one of these."""
    command: str
    """The command that trains one trial of it."""
    packages: tuple[str, ...]
    """Packages whose versions can change the bits of a trial; recorded with each result."""
    metrics: Callable[[Any], tuple[Metric, ...]]
    """What trials of a recipe record, in the order of their records."""
    build: Callable[[Any, TrialData, int, DeviceName], Engine]
    """Return the engine of a recipe, initialised for one block of data, on a device.

    Raises `DataError` where the data do not fit the recipe, `DeviceError` where the device is not here.
    """
    check_fit: Callable[[Any, tuple[int, ...]], None]
    """Refuse, before training, a recipe that cannot be trained on a training split of shape `[N, H, W, C]`.

    Raises `DataError` or `RecipeError`.
    """
    parameters: Callable[[Any, tuple[int, int, int], int], int]
    """Count the trained parameters from a recipe, an image's rows, columns and channels, and the number of classes."""
    checkpoint_copies: Callable[[Any], int]
    """How many numbers a checkpoint holds for each parameter, at most: itself, moments, moving average."""
    effective_model: Callable[[Any], dict[str, object]]
    """Settings of a recipe's model that may be written in several ways, in one form that equal trainings share."""
    network: Callable[[], Network]
    """How the weights of its trials are applied."""
    uses_gpu: bool = False
    """Whether its trials run on a GPU where there is one and `--device` allows it."""
    prefers_one_thread: bool = False
    """Whether trials of one thread each, side by side, take less time in all than fewer trials of several threads."""
    check_device: Callable[[Any, DeviceName], None] = lambda recipe, device: None  # noqa: ARG005
    """Refuse, before training, what `build` would refuse of this machine's device; raises `DeviceError`."""
    use_threads: Callable[[int], None] = lambda count: None  # noqa: ARG005
    """Set the CPU threads of a library that `threadpoolctl` does not reach."""
    reporting_compilation: ReportCompilation = lambda on_first, on_seconds: nullcontext()  # noqa: ARG005


def entry(table: Mapping[type[Any], T], settings: Any, part: str, owner: str) -> T:
    """Return what an engine's table holds for a variant of a recipe's part.

    Args:
        table: By class of settings.
        settings: Of the variant that the recipe names.
        part: What the variant is one of, such as "optimizer".
        owner: Whose table it is, for the message: "the engine numpy-mlp".

    Raises:
        RecipeError: The engine does not have the variant.
    """
    if type(settings) not in table:
        known = ", ".join(kind.model_fields["name"].default for kind in table)
        raise RecipeError(f"{owner} does not have the {part} {settings.name}: choose one of {known}.")
    return table[type(settings)]


def check_batches(batch_size: int, count: int, is_one_alone: Callable[[int], bool], otherwise: str) -> None:
    """Refuse a batch size that the training split is too small for, or that BatchNorm cannot train on.

    Args:
        batch_size: The recipe's.
        count: Images of the training split.
        is_one_alone: Whether batches of a size leave one image alone, for which BatchNorm has no variance.
        otherwise: What a person can do other than change the batch size.

    Raises:
        DataError: With the sizes that would do.
    """
    if batch_size > count:
        raise DataError(
            f"batch_size {batch_size} is larger than the training split of {count} images: "
            f"take {count} or fewer, or a larger data.limit or smaller data.val_fraction"
        )
    if is_one_alone(batch_size):
        sizes = sorted(range(2, count + 1), key=lambda size: (abs(size - batch_size), size))
        remedies = [f"batch_size {size}" for size in islice((size for size in sizes if not is_one_alone(size)), 2)]
        raise DataError(
            f"batch_size {batch_size} leaves a batch of one of the {count} training images, where BatchNorm has "
            f"no variance to divide by: take {' or '.join([*remedies, otherwise])}"
        )
