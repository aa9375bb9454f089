"""Train one trial of a network on CUDA or on the CPU: the torch engine.

All chance of its own is drawn on the host from the block's streams, so that CPU and CUDA see the same weights, order
and crops. Sums differ in their last bits between devices, and between numbers of threads.
"""

import copy
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eailab.data.dataset import TrialData
from eailab.engines.base import Arrays, DeviceName, Engine, Evaluation, OnStep, Scores, Step
from eailab.engines.schedules import learning_rates
from eailab.engines.torch_resnet import augment, devices, models
from eailab.engines.torch_resnet.augment import Normalisation
from eailab.engines.torch_resnet.batches import EvaluationBatches, TrainingBatches
from eailab.engines.torch_resnet.distributed import ALONE, Team, synchronise_batchnorm
from eailab.engines.torch_resnet.foreign_network import ForeignNetwork, trained_parameters
from eailab.engines.torch_resnet.geometry import STEMS, input_size, output_side, scaled_channels
from eailab.engines.torch_resnet.optimizers import optimizer
from eailab.engines.torch_resnet.step import Average, TrainingStep, score
from eailab.errors import DataError, DivergedError
from eailab.metrics import SplitName
from eailab.recipe.parts import ResNet
from eailab.recipe.schema import ResNetRecipe

REPORT_SECONDS = 0.05
"""Least time between two calls of `on_step`."""
DONE = "done"
"""Name in a state of how many steps of an epoch are done."""
EVALUATION_IMAGES = 1000
"""Most images of an evaluation batch."""
EVALUATION_BYTES = 2**28
"""Most memory of an evaluation batch's first feature map."""
FOREIGN_CHANNELS = 64
"""Channels that the first feature map of a network that is not eailab's is taken to have, at the images' size."""


class ResNetEngine(Engine):
    """One trial of a residual network, or of one whose code is not eailab's (see `eailab.engines.base.Engine`).

    A residual network is reduced to the weights that the images reach (`models.cut_dead_weights`): `parameters` counts
    and `weights` returns all of them, `state` holds those that are trained.

    In bf16, images and weights lie channels last in memory, which is quicker there at every stem and batch size; in
    float32 it is not.

    A trial on CUDA never waits for the device within an epoch: `on_step` then gets no loss, and a loss that is not
    finite, which stops the optimizer on the device at once, is raised when the epoch ends.

    The team is the processes that train this trial together.

    Raises:
        DeviceError: The device is not here, or has not the recipe's precision.
    """

    def __init__(
        self, recipe: ResNetRecipe, data: TrialData, block: int, device: DeviceName = "auto", *, team: Team = ALONE
    ) -> None:
        self._device = devices.choose(device)
        devices.check_precision(recipe, self._device)
        self._recipe, self._data, self._team = recipe, data, team
        self._bf16 = recipe.precision == "bf16"
        self.device = devices.describe(self._device)

        # The network, without the weights that no image reaches.
        height, width, channels = data.train.pixels.shape[1:]
        seen = input_size(recipe, height, width)
        self._foreign: ForeignNetwork | None = None
        self._cut: dict[str, models.Reduced] = {}
        if isinstance(recipe.model, ResNet):
            model: nn.Module = models.build(recipe.model, len(data.classes), block)
            self.parameters = trained_parameters(model)
            self._cut = models.cut_dead_weights(model, *seen)
            channels = models.CHANNELS
        else:
            self._foreign = ForeignNetwork(recipe.model, len(data.classes), (*seen, channels), block)
            model, channels = self._foreign.module, self._foreign.image[2]
            if 0 < len(data.train) % recipe.batch_size < team.size or recipe.batch_size < team.size:
                self._foreign.try_without_images(team.size)
            if recipe.ema is not None:
                self._foreign.try_copy()
            self.parameters = trained_parameters(model)
        layout = torch.channels_last if self._bf16 else torch.contiguous_format
        models.arrange(model, layout)
        if team.size > 1:
            synchronise_batchnorm(model)
        self._model = model.to(self._device).train()

        # The step: optimizer, and the moving average that is evaluated in the network's place.
        self._lr = torch.zeros((), device=self._device)
        parameters = {name: one for name, one in self._model.named_parameters() if one.requires_grad}
        self._optimizer = optimizer(recipe.optimizer, parameters, self._lr)
        self._evaluated = self._model if recipe.ema is None else copy.deepcopy(self._model)
        self._step = TrainingStep(
            team.wrap(self._model, may_leave_some=self._foreign is not None),
            self._optimizer,
            self._lr,
            average=None if recipe.ema is None else Average(self._evaluated, self._model, recipe.ema),
            smoothing=recipe.label_smoothing,
            bf16=self._bf16,
            team=team,
        )

        # The batches, in training and evaluation, and the learning rate of each step.
        normalise = Normalisation(data, self._device, layout, channels)
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
        self._augmentation, self._normalise = augmentation, normalise
        self._splits: dict[SplitName, EvaluationBatches] = {}
        self._rates = learning_rates(recipe.schedule, recipe.optimizer.lr, recipe.epochs, self._training.steps)
        self._done = 0
        """Steps of the epoch in progress."""
        self._reported = 0.0
        """When `on_step` was last called."""

    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Train over what is left of the training split; see `Engine.train_epoch`."""
        self._reported = time.monotonic()
        rates = self._epoch_rates(number).tolist()
        with devices.arithmetic(self._recipe, self._device):
            for step, batch in enumerate(self._training.epoch(number, self._done), start=self._done + 1):
                with nullcontext() if self._foreign is None else self._foreign.step(number, step, self._team.rank):
                    self._step(batch, rates[step - 1])
                if self._device.type == "cpu":
                    self._check(number)
                self._report(step, on_step)
        return self._finish_epoch(number)

    def _report(self, step: int, on_step: OnStep) -> None:
        """Count the steps of the epoch that are done, and report them now and then."""
        self._done, steps, now = step, self._training.steps, time.monotonic()
        if now >= self._reported + REPORT_SECONDS or step == steps:
            self._reported = now
            on_step(self._progress(step, steps))

    def _finish_epoch(self, number: int) -> Scores:
        """Return the scores of an epoch whose last step is taken, and forget its sums."""
        with self._entered():
            self._check(number)
            scores = self._running_scores()
            self._clear_epoch()
        return scores

    def _clear_epoch(self) -> None:
        """Forget the epoch in progress, or the one that has ended."""
        self._done = 0
        self._step.running.clear()

    def _entered(self) -> AbstractContextManager[None]:
        """Compute within the block with the recipe's arithmetic."""
        return devices.arithmetic(self._recipe, self._device)

    def _epoch_rates(self, number: int) -> NDArray[np.float64]:
        steps = self._training.steps
        return self._rates[(number - 1) * steps : number * steps]

    def _check(self, number: int) -> None:
        """Stop the trial if a step of this epoch found a loss that is not finite."""
        running = self._step.running
        if running.stopped.item() > 0.0:
            raise DivergedError(number, int(running.steps.item()) + 1, running.last_loss.item())

    def _progress(self, step: int, steps: int) -> Step:
        if self._device.type != "cpu":
            return Step(step, steps, loss=None)
        return Step(step, steps, self._running_scores()["train_loss"])

    def _running_scores(self) -> Scores:
        running = self._step.running
        images = running.images.item()
        return {"train_loss": running.loss.item() / images, "train_accuracy": running.correct.item() / images}

    def evaluate(self, split: SplitName) -> Evaluation:
        """Score the current weights, or their moving average, over one split; see `Engine.evaluate`."""
        with self._entered():
            images = self._data.part(split)
            if split not in self._splits:  # on the device from its first evaluation on
                size = evaluation_batch(self._recipe, *images.pixels.shape[1:3])
                self._splits[split] = EvaluationBatches(
                    images, self._augmentation, self._normalise, batch_size=size, device=self._device
                )
            with nullcontext() if self._foreign is None else self._foreign.evaluating(split):
                loss, predicted = score(self._evaluated, self._splits[split], self._bf16)
            predictions = predicted.cpu().numpy().astype(np.uint16)
        accuracy = float(np.mean(predictions == images.labels))
        return Evaluation({f"{split}_loss": loss.item(), f"{split}_accuracy": accuracy}, predictions)

    def _tensors(self, done: int = 0) -> dict[str, Tensor]:
        """Return the engine's own tensors that training on needs after this many steps of an epoch, by name."""
        tensors = {f"model/{name}": tensor for name, tensor in self._model.state_dict().items()}
        if self._evaluated is not self._model:
            tensors |= {f"average/{name}": tensor for name, tensor in self._evaluated.state_dict().items()}
        for moment, by_name in self._optimizer.moments.items():
            tensors |= {f"{moment}/{name}": tensor for name, tensor in by_name.items()}
        if done:
            tensors |= {f"running/{name}": tensor for name, tensor in vars(self._step.running).items()}
        return tensors

    def joules(self) -> float | None:
        """Return the GPU's energy up to now; see `engines.base.Engine`."""
        return devices.joules(self._device)

    def state(self) -> Arrays:
        """Return a copy of weights, running statistics, the optimizer's moments, the moving average and the sums."""
        with self._entered():
            arrays = {name: copied(tensor) for name, tensor in self._tensors(self._done).items()}
        return arrays | ({DONE: np.array(self._done)} if self._done else {})

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take up a state of an engine of the same recipe and data.

        Raises:
            DataError: The state is of another recipe: its names or shapes are others. Nothing has changed then.
        """
        done = int(state.get(DONE, np.array(0)))
        tensors = self._tensors(done)
        here = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        there = {name: array.shape for name, array in state.items() if name != DONE}
        if here != there:
            different = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
            raise DataError(
                f"the state is of another recipe: {len(different)} of its arrays are missing, unknown or of another "
                f"shape, the first is {different[0]}. Resume with the recipe that it was written by"
            )
        with self._entered():
            self._clear_epoch()
            for name, tensor in tensors.items():
                tensor.detach().copy_(torch.from_numpy(np.array(state[name])))
        self._done = done

    def weights(self) -> Arrays:
        """Return a copy of the weights that `evaluate` uses, by torchvision's names."""
        with self._entered():
            return {
                name: copied(self._cut[name].restored(tensor) if name in self._cut else tensor)
                for name, tensor in self._evaluated.state_dict().items()
            }


def copied(tensor: Tensor) -> NDArray[np.generic]:
    """Return a tensor's values as an array of its own, row by row."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def evaluation_batch(recipe: ResNetRecipe, height: int, width: int) -> int:
    """Return the images of an evaluation batch: many, but the first feature map of float32 fits `EVALUATION_BYTES`."""
    rows, columns = input_size(recipe, height, width)
    if not isinstance(recipe.model, ResNet):
        return max(1, min(EVALUATION_IMAGES, EVALUATION_BYTES // (4 * FOREIGN_CHANNELS * rows * columns)))
    stem = STEMS[recipe.model.stem]
    rows, columns = (output_side(side, stem.kernel, stem.stride, stem.padding) for side in (rows, columns))
    image_bytes = 4 * scaled_channels(recipe.model.width)[0] * rows * columns
    return max(1, min(EVALUATION_IMAGES, EVALUATION_BYTES // image_bytes))
