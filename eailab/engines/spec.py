"""Describe an engine: all that the rest of eailab needs to know of one, declared in the engine's own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from eailab import files
from eailab.engines.base import Arrays, DeviceName, Engine, Expected, Setup
from eailab.errors import DataError, RecipeError
from eailab.metrics import Metric
from eailab.recipe.base import Recipe
from eailab.translation import Text, tr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from torch import nn

    from eailab.data.dataset import Pixels, TrialData
    from eailab.engines.program.evidence import Evidence
    from eailab.engines.program.spec import Tried
    from eailab.engines.summary import NetworkSummary

T = TypeVar("T")
Points: TypeAlias = tuple[tuple[int, float], ...]
"""Steps, rising, and the value at each."""


@dataclass(frozen=True)
class OwnCurves:
    """Hold what a person's own training has reported step by step."""

    points: Mapping[str, Points]
    """Steps, rising, and values, by `Metric.key`; of the metrics that are counted as the first one is."""
    axis: str = ""
    """What the steps count: "epoch" or "step"; empty where the reports themselves are counted, and in older files."""


ReportCompilation: TypeAlias = Callable[[Callable[[], None], Callable[[float], None]], AbstractContextManager[None]]
"""Calls the first function when code is first compiled in the block, and the second with the seconds of each time."""


@dataclass(frozen=True)
class InferenceSpec:
    """Describe how the trained weights of an engine are applied to images, here and in other software.

    Each function takes the trial's recipe, and the weights as `Engine.weights` names them.
    """

    shapes: Callable[[Any, Expected], dict[str, tuple[int, ...]]]
    """The shape of each array of the weights, by name."""
    logits: Callable[[Any, Arrays, Expected, Pixels], NDArray[np.floating]]
    """The scores of each class before the softmax, `[N, K]`, of images `[N, H, W, C]`."""
    module: Callable[[Any, Arrays, Expected], nn.Module]
    """A module of torch from images, uint8 `[N, H, W, C]`, to logits `[N, K]`."""
    add_to_onnx: Callable[[Graph, Any, Arrays, Expected], None]
    """Add the nodes from `images` to `logits`."""


@dataclass(frozen=True)
class Artifact:
    """A file that a trial leaves besides its record; `result.json` vouches for it."""

    name: str
    kind: files.Kind
    of_failed: bool = False
    """Whether a trial that diverged or timed out leaves it too; the engine then writes it itself, into the trial's
    folder."""
    is_reported: bool = True
    """Whether numbers of reports come from it; of others a report only asks whether they are there."""
    is_repeatable: bool = True
    """Whether training the trial again gives the same bytes; what a program prints may hold times."""


WEIGHTS = Artifact("model.safetensors", files.WEIGHTS, is_reported=False)
PREDICTIONS = Artifact("predictions.npz", files.PREDICTIONS)
"""The predicted class of each validation and test image."""


LINEAR, BATCH_NORM = tr("linear"), tr("batch norm")
"""Kinds of layers."""


@dataclass(frozen=True)
class LayerSize:
    """A layer with weights, with the normalisation and activation behind it."""

    name: str
    """Of its weights, as `Engine.weights` has them."""
    kind: Text
    output: tuple[int, ...]
    """Shape for one image: channels, rows and columns, or units."""
    parameters: int
    """Trained ones, those of the normalisation too."""
    multiply_adds: int
    """For one image, in the matrix product or convolution alone, its padding included."""


@dataclass(frozen=True)
class Augmented:
    """Training images as the first epoch of a block has them, `M` of them in its order."""

    numbers: NDArray[np.int64]
    """`[M]`, of the training split."""
    pixels: Pixels
    """`[M, rows, columns, C]`, of the size that the network sees, rounded to whole pixel values."""
    mixed_with: tuple[tuple[int, float], ...] = ()
    """For each the number of the image that mixup adds, and that image's share; empty without mixup."""


@dataclass(frozen=True)
class ImageClassification:
    """Hold what an engine declares that classifies the images of a data set; its recipes are `ImageRecipe`s."""

    check_fit: Callable[[Any, tuple[int, ...]], None]
    """Refuse, before training, a recipe that cannot be trained on a training split of shape `[N, H, W, C]`.

    Raises `DataError` or `RecipeError`.
    """
    layers: Callable[[Any, tuple[int, int, int], int], tuple[LayerSize, ...] | None]
    """List the layers of a network from a recipe, an image's rows, columns and channels, and the number of classes.

    None where only a person's own code knows them, which is not run for this.
    """
    checkpoint_copies: Callable[[Any], int]
    """How many numbers a checkpoint holds for each parameter, at most: itself, moments, moving average."""
    effective_model: Callable[[Any], dict[str, object]]
    """Settings of a recipe's model that may be written in several ways, in one form that equal trainings share."""
    network: Callable[[], InferenceSpec]
    """How the weights of its trials are applied."""
    augmented: Callable[[Any, TrialData, int, int], Augmented]
    """Return the first images that a block trains on, varied as its first epoch varies them.

    It gets the recipe, the block's splits, the block's number, and how many images; no more than there are.
    """
    try_network: Callable[[Any, tuple[int, int, int], int], int | None] = lambda *_: None
    """Run a person's own network on a few images before anything is trained, and refuse it by a `UsageError`.

    It gets what `layers` gets, and returns the trained parameters, or None where there is no such network.
    """
    run_network: Callable[[Any, tuple[int, int, int], int], NetworkSummary | None] = lambda *_: None
    """List the layers that `layers` does not know, by running their code; it gets the same."""

    def parameters(self, recipe: Recipe, image: tuple[int, int, int], classes: int) -> int | None:
        """Count the trained parameters of a network, from what `layers` gets; None as above."""
        found = self.layers(recipe, image, classes)
        return None if found is None else sum(layer.parameters for layer in found)


@dataclass(frozen=True)
class EngineSpec:
    """One engine. Its functions import the libraries that they need when they are called."""

    name: str
    """What a recipe's `engine` says."""
    version: int
    """Raised when the engine's results change for an unchanged recipe; part of a trial's identity."""
    recipe: type[Recipe]
    """The class of its recipes; every `recipe` below is one of these."""
    metrics: Callable[[Any], tuple[Metric, ...]]
    """What trials of a recipe record, in the order of their records."""
    build: Callable[[Any, Setup], Engine]
    """Return the engine of a recipe, initialised for one block.

    Raises `DataError` where the data do not fit the recipe, `DeviceError` where the device is not here.
    """
    packages: tuple[str, ...] = ()
    """Packages whose versions can change the bits of a trial; recorded with each result."""
    images: ImageClassification | None = None
    """Of an engine with a data set: it is validated and tested on it. None for one that measures all by itself."""
    inputs: Callable[[Any, Path | None, Path], str] = lambda *_: ""
    """Return the fingerprint of what a trial depends on outside its recipe, such as its code: a part of its identity.

    Asked when a study is planned and again before a trial is trained, with the folder of data sets and the runs folder;
    it may refuse a recipe by a `UsageError`. Of an engine with `images` the data set's own fingerprint is taken in its
    place.
    """
    gaps: Callable[[Any, Path], tuple[str, ...]] = lambda *_: ()
    """Say what a trial may depend on that `inputs` leaves out."""
    artifacts: tuple[Artifact, ...] = ()
    """Files that its trials leave."""
    own_folder: str = ""
    """A folder within that of a trial with a person's own files; nothing of it is read. Empty for none."""
    command: str = ""
    """The command that trains one trial of it; empty where there is none."""
    uses_gpu: bool = False
    """Whether its trials run on a GPU where there is one and `--device` allows it."""
    gpu_is_here: Callable[[], bool] = lambda: False
    """Whether this machine has a GPU that its trials can use."""
    gpu_memory: Callable[[], tuple[int, int] | None] = lambda: None
    """Return the most bytes that this process held on the GPU at once, and what the GPU has, if it held any."""
    prefers_one_thread: bool = False
    """Whether trials of one thread each, side by side, take less time in all than fewer trials of several threads."""
    what_changed: Callable[[Any, Path, str], str] = lambda *_: ""
    """Say what differs between an earlier return value of `inputs` and what there is now; nothing if not known."""
    reported: Callable[[Path], OwnCurves] = lambda *_: OwnCurves({})
    """Return what a finished trial has reported step by step, from the trial's folder; nothing of an engine whose
    epochs are eailab's.

    Raises `DamagedError` where its file is not what the engine writes.
    """
    tried_seconds: Callable[[Any, Path], float | None] = lambda *_: None
    """Return what a run took that a person has asked for only to see it, whatever its settings; None without one."""
    try_once: Callable[[Any, int, Path], Tried] | None = None
    """Run a trial of a block once, in a folder that is then removed, so that a person sees what is read of it.

    The last argument is the runs folder. None of an engine whose trials show that by themselves.
    """
    evidence: Callable[[Any, str, int, Mapping[str, float], Path], Evidence] | None = None
    """Return what a finished run of a person's own training has left, for an audit; None of an engine without audits.

    It gets the recipe, the arm's label, the block, the values of its metrics and the trial's folder.
    """
    counted: Callable[[Any], Text | None] = lambda *_: None
    """Say which of the values of a trial counts, as in "val_acc, the last value reported"; None for that after the last
    epoch."""
    is_foreign: bool = False
    """Whether its trials run code that is not eailab's: one at a time unless `--jobs` says otherwise, and none of them
    only to see what a trial takes."""
    command_line: Callable[[Any, int, Path], str | None] = lambda *_: None
    """Return what a trial of a block starts, as a person would type it; None where it starts nothing.

    The last argument is the trial's folder.
    """
    check_device: Callable[[Any, DeviceName], None] = lambda *_: None
    """Refuse, before training, what `build` would refuse of this machine's device; raises `DeviceError`."""
    use_threads: Callable[[int], None] = lambda *_: None
    """Set the CPU threads of a library that `threadpoolctl` does not reach."""
    reporting_compilation: ReportCompilation = lambda *_: nullcontext()


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


# --- ONNX ------------------------------------------------------------------------------------------------------------


class Graph:
    """An ONNX graph, built node by node without importing ONNX; each method returns the name of a node's result."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, result: str = "", **attributes: object) -> str:
        """Add one node, whose result is numbered where it is not named."""
        name = result or f"{operator}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: ArrayLike) -> str:
        """Add an array that the file holds."""
        import numpy as np

        self.constants.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def floating(self, x: str) -> str:
        """Make whole pixel values float32."""
        return self.add("Cast", x, to=self._onnx.TensorProto.FLOAT)

    def scaled(self, x: str, mean: ArrayLike, std: ArrayLike) -> str:
        """Scale pixel values as the training split's."""
        centred = self.add("Sub", x, self.constant("mean", mean))
        return self.add("Div", centred, self.constant("std", std))

    def linear(self, x: str, name: str, weights: Mapping[str, ArrayLike], result: str = "") -> str:
        """Add a linear layer, whose weight is `[O, I]`."""
        parts = [self.constant(part, weights[part]) for part in (f"{name}.weight", f"{name}.bias")]
        return self.add("Gemm", x, *parts, result=result, transB=1)

    def normalised(self, x: str, name: str, weights: Mapping[str, ArrayLike], epsilon: float) -> str:
        """Add batch normalisation by the running statistics."""
        parts = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        constants = [self.constant(part, weights[part]) for part in parts]
        return self.add("BatchNormalization", x, *constants, epsilon=epsilon)
