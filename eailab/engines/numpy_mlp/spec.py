"""Describe the numpy engine: MLPs on the CPU, with hand-written gradients."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from eailab.engines.base import Arrays, Engine, Expected, Setup
from eailab.engines.numpy_mlp.sizes import check_fit, parameters
from eailab.engines.spec import PREDICTIONS, WEIGHTS, EngineSpec, ImageClassification, Network
from eailab.metrics import CLASSIFICATION
from eailab.recipe.schema import MlpRecipe

if TYPE_CHECKING:
    from torch import nn


def _build(recipe: MlpRecipe, setup: Setup) -> Engine:
    from eailab.engines.numpy_mlp.engine import MlpEngine

    return MlpEngine(recipe, setup.images, setup.block)


def _checkpoint_copies(recipe: MlpRecipe) -> int:
    return 1 + recipe.optimizer.moments + (recipe.ema is not None)


def _effective_model(recipe: MlpRecipe) -> dict[str, object]:
    return {"activation": recipe.model.activations}


def _reporting_compilation(
    on_first: Callable[[], None], on_seconds: Callable[[float], None]
) -> AbstractContextManager[None]:
    from eailab.engines.numpy_mlp.compiling import reporting_compilation

    return reporting_compilation(on_first, on_seconds)


def _module(recipe: MlpRecipe, weights: Arrays, expected: Expected) -> "nn.Module":
    from eailab.engines.numpy_mlp.torch_module import Perceptron  # the other functions need no torch

    return Perceptron(recipe, weights, expected)


def _network() -> Network:
    from eailab.engines.numpy_mlp import inference

    return Network(inference.shapes, inference.logits, _module, inference.add_to_onnx)


NUMPY_MLP = EngineSpec(
    name="numpy-mlp",
    version=3,
    recipe=MlpRecipe,
    command="train-mlp",
    packages=("numpy", "numba"),
    metrics=lambda recipe: CLASSIFICATION,  # noqa: ARG005
    build=_build,
    images=ImageClassification(check_fit, parameters, _checkpoint_copies, _effective_model, _network),
    artifacts=(WEIGHTS, PREDICTIONS),
    reporting_compilation=_reporting_compilation,
)
