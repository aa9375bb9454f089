"""The torch engine: one trial of a residual network on CUDA or on the CPU.

All chance is drawn on the host from the block's streams, so that CPU and CUDA see the same weights, order and crops.
Sums differ in their last bits between devices, and between numbers of threads.
"""

import copy
import time
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eailab.data.dataset import SplitName, TrialData
from eailab.engines.base import Arrays, DeviceName, Evaluation, OnStep, Scores, Step
from eailab.engines.schedules import learning_rates
from eailab.engines.torch_resnet import augment, devices, models, reduction
from eailab.engines.torch_resnet.augment import Normalisation
from eailab.engines.torch_resnet.batches import EvaluationBatches, TrainingBatches
from eailab.engines.torch_resnet.optimizers import OPTIMIZERS
from eailab.engines.torch_resnet.step import Average, TrainingStep, score
from eailab.errors import DataError, DivergedError
from eailab.recipe.schema import Resize224, ResNetRecipe

REPORT_SECONDS = 0.05
"""Least time between two calls of `on_step`."""
EVALUATION_IMAGES = 1000
"""Most images of an evaluation batch."""
EVALUATION_BYTES = 2**28
"""Most memory of an evaluation batch's first feature map."""


class ResNetEngine:
    """One trial of a residual network (see `eailab.engines.base.Engine`).

    The network is reduced to the weights that the images reach (`reduction`): `parameters` counts and `weights` returns
    all of them, `state` holds those that are trained.

    In bf16, images and weights lie channels last in memory, which is quicker there at every stem and batch size; in
    float32 it is not.

    A CUDA trial never waits for the GPU within an epoch: `on_step` then gets no loss, and a loss that is not finite,
    which stops the optimizer on the device at once, is raised when the epoch ends.

    Args:
        recipe: What to train.
        data: The block's splits.
        block: The seed bundle's number, 0 or more.
        device: Where it runs; `auto` is CUDA where there is one.

    Raises:
        DataError: The images do not fit the recipe.
        DeviceError: The device is not here, or has not the recipe's precision.
        RecipeError: The width leaves a layer without channels.
    """

    def __init__(self, recipe: ResNetRecipe, data: TrialData, block: int, device: DeviceName = "auto") -> None:
        check_data(recipe, data)
        self._device = devices.choose(device)
        devices.check_precision(recipe, self._device)
        self._recipe = recipe
        self._bf16 = recipe.precision == "bf16"
        self.device = devices.describe(self._device)

        height, width = data.train.pixels.shape[1:3]
        model = models.build(recipe.model, len(data.classes), block)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self._cut = reduction.reduce(model, *input_size(recipe, height, width))
        layout = torch.channels_last if self._bf16 else torch.contiguous_format
        models.arrange(model, layout)
        self._model = model.to(self._device).train()
        self._lr = torch.zeros((), device=self._device)
        parameters = dict(self._model.named_parameters())
        self._optimizer = OPTIMIZERS[type(recipe.optimizer)](recipe.optimizer, parameters, self._lr)
        self._evaluated = self._model if recipe.ema is None else copy.deepcopy(self._model)
        self._step = TrainingStep(
            self._model,
            self._optimizer,
            self._lr,
            average=None if recipe.ema is None else Average(self._evaluated, self._model, recipe.ema),
            smoothing=recipe.label_smoothing,
            bf16=self._bf16,
        )

        normalise = Normalisation(data, self._device, layout)
        augmentation = augment.build(recipe.data.augment, height, width, normalise.mean)
        self._training = TrainingBatches(
            data.train,
            augmentation,
            normalise,
            batch_size=recipe.batch_size,
            mixup=recipe.mixup,
            block=block,
            device=self._device,
        )
        self._data, self._augmentation, self._normalise = data, augmentation, normalise
        self._splits: dict[SplitName, EvaluationBatches] = {}
        self._rates = learning_rates(recipe.schedule, recipe.optimizer.lr, recipe.epochs, self._training.steps)

    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Train over the training split once; see `Engine.train_epoch`."""
        running, steps = self._step.running, self._training.steps
        rates = self._rates[(number - 1) * steps : number * steps].tolist()
        running.clear()
        reported = time.monotonic()
        with devices.arithmetic(self._recipe, self._device):
            for step, batch in enumerate(self._training.epoch(number), start=1):
                self._step(batch, rates[step - 1])
                if self._device.type == "cpu":
                    self._check(number)
                if (now := time.monotonic()) >= reported + REPORT_SECONDS or step == steps:
                    reported = now
                    on_step(self._progress(step, steps))
        self._check(number)
        images = running.images.item()
        return Scores(loss=running.loss.item() / images, accuracy=running.correct.item() / images)

    def _check(self, number: int) -> None:
        """Stop the trial if a step of this epoch found a loss that is not finite."""
        running = self._step.running
        if running.stopped.item() > 0.0:
            raise DivergedError(number, int(running.steps.item()) + 1, running.last_loss.item())

    def _progress(self, step: int, steps: int) -> Step:
        if self._device.type != "cpu":
            return Step(step, steps, loss=None, accuracy=None)
        running = self._step.running
        images = running.images.item()
        return Step(step, steps, loss=running.loss.item() / images, accuracy=running.correct.item() / images)

    def evaluate(self, split: SplitName) -> Evaluation:
        """Score the current weights, or their moving average, over one split; see `Engine.evaluate`."""
        if split not in self._splits:  # on the device from its first evaluation on
            self._splits[split] = self._evaluation(split)
        with devices.arithmetic(self._recipe, self._device):
            loss, predicted = score(self._evaluated, self._splits[split], self._bf16)
        predictions = predicted.cpu().numpy().astype(np.uint16)
        accuracy = float(np.mean(predictions == self._data.part(split).labels))
        return Evaluation(Scores(loss=loss.item(), accuracy=accuracy), predictions)

    def _evaluation(self, split: SplitName) -> EvaluationBatches:
        images = self._data.part(split)
        return EvaluationBatches(
            images,
            self._augmentation,
            self._normalise,
            batch_size=evaluation_batch(self._recipe, *images.pixels.shape[1:3]),
            device=self._device,
        )

    def _tensors(self) -> dict[str, Tensor]:
        """Return all tensors that training on needs, by name: they are the engine's own, not copies."""
        tensors = {f"model/{name}": tensor for name, tensor in self._model.state_dict().items()}
        if self._evaluated is not self._model:
            tensors |= {f"average/{name}": tensor for name, tensor in self._evaluated.state_dict().items()}
        for moment, by_name in self._optimizer.moments.items():
            tensors |= {f"{moment}/{name}": tensor for name, tensor in by_name.items()}
        return tensors

    def state(self) -> Arrays:
        """Return a copy of weights, running statistics, the optimizer's moments and the moving average."""
        return {name: copied(tensor) for name, tensor in self._tensors().items()}

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take up a state of an engine of the same recipe and data.

        Raises:
            DataError: The state is of another recipe: its names or shapes are others. Nothing has changed then.
        """
        tensors = self._tensors()
        here = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        there = {name: array.shape for name, array in state.items()}
        if here != there:
            different = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
            raise DataError(
                f"the state is of another recipe: {len(different)} of its arrays are missing, unknown or of another "
                f"shape, the first is {different[0]}. Resume with the recipe that it was written by"
            )
        for name, tensor in tensors.items():
            tensor.detach().copy_(torch.from_numpy(np.array(state[name])))

    def weights(self) -> Arrays:
        """Return a copy of the weights that `evaluate` uses, by torchvision's names."""
        return {
            name: copied(self._cut[name].restored(tensor) if name in self._cut else tensor)
            for name, tensor in self._evaluated.state_dict().items()
        }


def copied(tensor: Tensor) -> NDArray[np.generic]:
    """Return a tensor's values as an array of its own, row by row."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def input_size(recipe: ResNetRecipe, height: int, width: int) -> tuple[int, int]:
    """Return the rows and columns that the network sees of images with these."""
    return (224, 224) if isinstance(recipe.data.augment, Resize224) else (height, width)


def evaluation_batch(recipe: ResNetRecipe, height: int, width: int) -> int:
    """Return the images of an evaluation batch: many, but the first feature map of float32 fits `EVALUATION_BYTES`."""
    stem = models.STEMS[recipe.model.stem]
    rows, columns = (
        models.output_side(side, stem.kernel, stem.stride, stem.padding) for side in input_size(recipe, height, width)
    )
    image_bytes = 4 * models.scaled_channels(recipe.model.width)[0] * rows * columns
    return max(1, min(EVALUATION_IMAGES, EVALUATION_BYTES // image_bytes))


def check_data(recipe: ResNetRecipe, data: TrialData) -> None:
    """Refuse data that the recipe cannot train on.

    Raises:
        DataError: The images have neither one nor three channels, are too small for the stem, are fewer than a batch,
            or leave a batch of one image for BatchNorm on maps of one pixel, which has no variance to divide by.
    """
    count, height, width, channels = data.train.pixels.shape
    if channels not in (1, 3):
        raise DataError(f"the images have {channels} channels: a residual network takes grey (1) or colour (3) images")
    if recipe.batch_size > count:
        raise DataError(
            f"batch_size {recipe.batch_size} is larger than the training split of {count} images: "
            f"take {count} or fewer, or a larger data.limit or smaller data.val_fraction"
        )
    rows, columns = input_size(recipe, height, width)
    models.check_image_size(recipe.model, rows, columns)
    stem = models.STEMS[recipe.model.stem]
    one_pixel = models.stage_sides(stem, rows)[-1] == models.stage_sides(stem, columns)[-1] == 1
    if one_pixel and count % recipe.batch_size == (1 if recipe.batch_size > 1 else 0):
        sizes = sorted(range(2, count + 1), key=lambda size: (abs(size - recipe.batch_size), size))
        fitting = [size for size in sizes if count % size != 1][:2]
        raise DataError(
            f"batch_size {recipe.batch_size} leaves a batch of one of the {count} training images, and this network "
            f"ends in maps of one pixel, where BatchNorm needs two images: take batch_size "
            f"{' or '.join(map(str, fitting))}, or another data.limit"
        )
