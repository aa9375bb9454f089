"""Describe the numpy engine: MLPs on the CPU, with hand-written gradients."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from eailab.engines.base import Engine, Setup
from eailab.engines.spec import (
    BATCH_NORM,
    LINEAR,
    PREDICTIONS,
    WEIGHTS,
    Augmented,
    EngineSpec,
    ImageClassification,
    InferenceSpec,
    LayerSize,
    check_batches,
)
from eailab.metrics import CLASSIFICATION
from eailab.recipe.schema import MlpRecipe
from eailab.translation import COMMA, joined

if TYPE_CHECKING:
    from eailab.data.dataset import TrialData


def _build(recipe: MlpRecipe, setup: Setup) -> Engine:
    from eailab.engines.numpy_mlp.engine import MlpEngine

    return MlpEngine(recipe, setup.images, setup.block)


def check_fit(recipe: MlpRecipe, images: tuple[int, ...]) -> None:
    """Refuse batches that the training split cannot fill; see `ImageClassification.check_fit`."""

    def is_one_alone(size: int) -> bool:  # the engine passes over a last batch of one
        return recipe.model.norm == "batch" and size == 1

    check_batches(recipe.batch_size, images[0], is_one_alone, "model.norm none")


def layers(recipe: MlpRecipe, image: tuple[int, int, int], classes: int) -> tuple[LayerSize, ...]:
    """List the linear layers; see `ImageClassification.layers`.

    >>> from eailab.recipe.load import load
    >>> sum(layer.parameters for layer in layers(load("mnist-mlp").recipe, (28, 28, 1), 10))
    136074
    """
    model = recipe.model
    *hidden, last = pairwise([prod(image), *model.hidden, classes])
    found = []
    for number, ((inputs, outputs), activation) in enumerate(zip(hidden, model.activations, strict=True)):
        scales = 2 * outputs if model.norm == "batch" else 0
        kind = joined([LINEAR, *([BATCH_NORM] if scales else []), activation], COMMA)
        found.append(LayerSize(f"layers.{number}", kind, (outputs,), (inputs + 1) * outputs + scales, inputs * outputs))
    inputs, outputs = last
    name = f"layers.{len(found)}"
    return (*found, LayerSize(name, LINEAR, (outputs,), (inputs + 1) * outputs, inputs * outputs))


def _reporting_compilation(
    on_first: Callable[[], None], on_seconds: Callable[[float], None]
) -> AbstractContextManager[None]:
    from eailab.engines.numpy_mlp.compiling import reporting_compilation

    return reporting_compilation(on_first, on_seconds)


def _network() -> InferenceSpec:
    from eailab.engines.numpy_mlp import inference

    return InferenceSpec(inference.shapes, inference.logits, inference.module, inference.add_to_onnx)


def _augmented(recipe: MlpRecipe, data: TrialData, block: int, count: int) -> Augmented:
    from eailab.engines.numpy_mlp.augment import augmented

    return augmented(recipe.data.augment, data.train.pixels, block, count)


NUMPY_MLP = EngineSpec(
    name="numpy-mlp",
    version=3,
    recipe=MlpRecipe,
    command="train-mlp",
    packages=("numpy", "numba"),
    metrics=lambda _: CLASSIFICATION,
    build=_build,
    images=ImageClassification(
        check_fit=check_fit,
        layers=layers,
        checkpoint_copies=lambda recipe: 1 + recipe.optimizer.moments + (recipe.ema is not None),
        effective_model=lambda recipe: {"activation": recipe.model.activations},
        network=_network,
        augmented=_augmented,
    ),
    artifacts=(WEIGHTS, PREDICTIONS),
    reporting_compilation=_reporting_compilation,
)
