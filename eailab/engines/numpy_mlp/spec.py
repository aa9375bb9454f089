"""Describe the numpy engine: MLPs on the CPU, with hand-written gradients."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from eailab.data.dataset import TrialData
from eailab.engines.base import Arrays, DeviceName, Engine, Expected
from eailab.engines.numpy_mlp.sizes import check_fit, parameters
from eailab.engines.spec import EngineSpec, Network
from eailab.metrics import CLASSIFICATION
from eailab.recipe.schema import MlpRecipe

if TYPE_CHECKING:
    from torch import nn


def _build(recipe: MlpRecipe, data: TrialData, block: int, _: DeviceName) -> Engine:
    from eailab.engines.numpy_mlp.engine import MlpEngine

    return MlpEngine(recipe, data, block)


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
    check_fit=check_fit,
    parameters=parameters,
    checkpoint_copies=_checkpoint_copies,
    effective_model=_effective_model,
    reporting_compilation=_reporting_compilation,
    network=_network,
)
