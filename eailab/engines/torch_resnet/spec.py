"""Describe the torch engine: networks on CUDA or on the CPU. torch is imported only when it is used."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from eailab.engines.base import DeviceName, Engine, Setup
from eailab.engines.spec import PREDICTIONS, WEIGHTS, Augmented, EngineSpec, ImageClassification, InferenceSpec
from eailab.engines.torch_resnet import CODE_FOLDER, geometry
from eailab.errors import UsageError
from eailab.metrics import CLASSIFICATION
from eailab.recipe.networks import Module
from eailab.recipe.parts import ResNet
from eailab.recipe.schema import ResNetRecipe

if TYPE_CHECKING:
    from eailab.data.dataset import TrialData
    from eailab.engines.summary import NetworkSummary


def _build(recipe: ResNetRecipe, setup: Setup) -> Engine:
    """Return an engine for one trial: of several processes if a launcher started them; see `EngineSpec.build`."""
    from eailab.engines.summary import MOST_LAYERS
    from eailab.engines.torch_resnet import cuda_graphs, devices, distributed
    from eailab.engines.torch_resnet.engine import ResNetEngine
    from eailab.engines.torch_resnet.rank0_engine import LeadingEngine
    from eailab.own_code.load import printing_together

    trial = (recipe, setup.images, setup.block, setup.device)
    if isinstance(recipe.model, Module):
        from eailab.engines.torch_resnet.own_network import keep_code

        keep_code(recipe.model, setup.folder)
    team = distributed.present()
    if isinstance(recipe.model, ResNet):
        queue = cuda_graphs.make_queue(devices.choose(setup.device)) if team.size == 1 else None
        if queue is not None:
            return cuda_graphs.CapturedEngine(*trial, queue=queue)
    with printing_together():
        engine = LeadingEngine(*trial, team) if team.size > 1 else ResNetEngine(*trial)
        with suppress(UsageError):  # it has run on two images, and may not run on one
            found = _run_network(recipe, setup.images.train.pixels.shape[1:], len(setup.images.classes))
            if found is not None and len(found.layers) <= MOST_LAYERS:
                engine.summary = found
    return engine


def _effective_model(recipe: ResNetRecipe) -> dict[str, object]:
    if not isinstance(recipe.model, ResNet):
        return {}
    return {"width": geometry.scaled_channels(recipe.model.width)}


def _try_network(recipe: ResNetRecipe, image: tuple[int, int, int], classes: int) -> int | None:
    if isinstance(recipe.model, ResNet):
        return None
    from eailab.engines.torch_resnet.foreign_network import counted

    height, width, channels = image
    seen = (*geometry.input_size(recipe, height, width), channels)
    return counted(recipe.model.model_dump_json(), classes, seen)


def _run_network(recipe: ResNetRecipe, image: tuple[int, int, int], classes: int) -> NetworkSummary | None:
    if isinstance(recipe.model, ResNet):
        return None
    from eailab.engines.torch_resnet.layers import summary_of

    return summary_of(recipe, image, classes)


def _check_device(recipe: ResNetRecipe, device: DeviceName) -> None:
    from eailab.engines.torch_resnet import devices

    devices.check_precision(recipe, devices.choose(device))


def _gpu_is_here() -> bool:
    from eailab.engines.torch_resnet import devices

    return devices.cuda_is_here()


def _gpu_memory() -> tuple[int, int] | None:
    from eailab.engines.torch_resnet import devices

    return devices.memory_held()


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def _network() -> InferenceSpec:
    from eailab.engines.torch_resnet import inference

    return InferenceSpec(inference.shapes, inference.logits, inference.Classifier, inference.add_to_onnx)


def _augmented(recipe: ResNetRecipe, data: TrialData, block: int, count: int) -> Augmented:
    from eailab.engines.torch_resnet.batches import augmented

    return augmented(recipe, data, block, count)


TORCH_RESNET = EngineSpec(
    name="torch-resnet",
    version=1,
    recipe=ResNetRecipe,
    command="train-resnet",
    packages=("numpy", "torch", "torchvision"),
    uses_gpu=True,
    gpu_is_here=_gpu_is_here,
    gpu_memory=_gpu_memory,
    prefers_one_thread=True,
    metrics=lambda _: CLASSIFICATION,
    build=_build,
    images=ImageClassification(
        check_fit=geometry.check_fit,
        layers=geometry.layers,
        checkpoint_copies=lambda recipe: 2 + recipe.optimizer.moments + (recipe.ema is not None),
        effective_model=_effective_model,
        network=_network,
        augmented=_augmented,
        try_network=_try_network,
        run_network=_run_network,
    ),
    own_folder=CODE_FOLDER,
    artifacts=(WEIGHTS, PREDICTIONS),
    check_device=_check_device,
    use_threads=_use_threads,
)


@contextmanager
def joined(device: DeviceName) -> Iterator[bool]:
    """Join the other processes that torchrun started, if it started this one, and leave them at the end.

    torch is not imported where it did not.

    Yields:
        Whether this process is to do what the command says: always, but for the second and later processes of a
        launch, which have then done their part.

    Raises:
        DeviceError: The device is not here, or there are fewer GPUs than processes.
        TrialFailedError: Another process has ended.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() or os.environ["WORLD_SIZE"] == "1":
        yield True
        return
    import torch.distributed as dist

    from eailab.engines.torch_resnet.distributed import join
    from eailab.engines.torch_resnet.rank0_engine import Leave, follow, tell

    team = join(device)
    if team.rank == 0:
        yield True
        tell(Leave())  # after an error it is not said: the launcher sees this process fail, and ends the others
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all; the first process decides
        follow(device, team)
        yield False
    gc.collect()  # engines hold on to the group, whose threads must end while torch is still whole
    dist.destroy_process_group()
