"""Describe the torch engine: residual networks on CUDA or on the CPU. torch is imported only when it is used."""

from eailab.data.dataset import TrialData
from eailab.engines.base import DeviceName, Engine
from eailab.engines.spec import EngineSpec, Network
from eailab.engines.torch_resnet import geometry
from eailab.metrics import CLASSIFICATION
from eailab.recipe.schema import ResNetRecipe


def _build(recipe: ResNetRecipe, data: TrialData, block: int, device: DeviceName) -> Engine:
    from eailab.engines.torch_resnet.build import build

    return build(recipe, data, block, device)


def _checkpoint_copies(recipe: ResNetRecipe) -> int:
    return 2 + recipe.optimizer.moments + (recipe.ema is not None)


def _effective_model(recipe: ResNetRecipe) -> dict[str, object]:
    return {"width": geometry.scaled_channels(recipe.model.width)}


def _check_device(recipe: ResNetRecipe, device: DeviceName) -> None:
    from eailab.engines.torch_resnet import devices

    devices.check_precision(recipe, devices.choose(device))


def _use_threads(count: int) -> None:
    from eailab.engines.torch_resnet import devices

    devices.use_threads(count)


def _network() -> Network:
    from eailab.engines.torch_resnet import inference

    return Network(inference.shapes, inference.logits, inference.Classifier, inference.add_to_onnx)


TORCH_RESNET = EngineSpec(
    name="torch-resnet",
    version=1,
    recipe=ResNetRecipe,
    command="train-resnet",
    packages=("numpy", "torch", "torchvision"),
    uses_gpu=True,
    prefers_one_thread=True,
    metrics=lambda recipe: CLASSIFICATION,  # noqa: ARG005
    build=_build,
    check_fit=geometry.check_fit,
    check_device=_check_device,
    use_threads=_use_threads,
    parameters=geometry.parameters,
    checkpoint_copies=_checkpoint_copies,
    effective_model=_effective_model,
    network=_network,
)
