"""Train one trial of an MLP on the CPU: the numpy engine."""

from collections.abc import Mapping
from math import ceil, isfinite
from time import perf_counter

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eailab.data.dataset import Pixels, TrialData
from eailab.engines.base import Arrays, Engine, Evaluation, OnStep, Scores, Step
from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.arrays import Call, Floats, plan_for
from eailab.engines.numpy_mlp.augment import deform
from eailab.engines.numpy_mlp.input_layer import SplitImages
from eailab.engines.numpy_mlp.network import Design, Network, SoftmaxCrossEntropy, Work
from eailab.engines.numpy_mlp.optimizers import moves, rule
from eailab.engines.schedules import learning_rates
from eailab.errors import DivergedError
from eailab.metrics import SplitName
from eailab.recipe.parts import Deform
from eailab.recipe.schema import MlpRecipe
from eailab.seeding import stream

REPORT_SECONDS = 0.05
"""Shortest time between two reports of an epoch's progress."""

EVALUATION_ROWS = 1000
"""Images evaluated at once."""

quietly = np.errstate(over="ignore", invalid="ignore", divide="ignore")
"""Diverging numbers are found by the loss, and reported by `DivergedError`; numpy need not warn of them as well."""


class MlpEngine(Engine):
    """An MLP in training, as `engines.base.Engine` describes.

    The same recipe, data and block give the same bits on one machine with one number of BLAS threads, which the caller
    sets. Bits may differ between kinds of CPU, and between versions of BLAS and numba.
    """

    def __init__(self, recipe: MlpRecipe, data: TrialData, block: int, dtype: DTypeLike = np.float32) -> None:
        """Initialise the network of one block, for arithmetic in 32 bits, or in 64 where a reference is compared."""
        self.recipe, self.data, self.block = recipe, data, block
        self.dtype = np.dtype(dtype)
        self.steps_per_epoch = ceil(len(data.train) / recipe.batch_size)
        self.rates = learning_rates(recipe.schedule, recipe.optimizer.lr, recipe.epochs, self.steps_per_epoch)
        self.steps = 0
        """Taken in all."""
        self.done, self.loss, self.correct = 0, 0.0, 0
        """Of the epoch in progress: steps, sum of the images' losses, images predicted as labelled."""

        self.design = Design(recipe.model, int(np.prod(data.train.pixels.shape[1:])), len(data.classes))
        self.parameters = self.design.trained.count
        self.trained, self.running = self.design.initial(stream(block, "init"), self.dtype)
        self.gradient = self.design.trained.zeros(self.dtype)
        self.average = self.trained.copy() if recipe.ema is not None else self.trained
        self.rule = rule(recipe.optimizer, self.design.trained, self.dtype)

        self.deformed = data.train.pixels.copy() if isinstance(recipe.data.augment, Deform) else None
        self.source = self._source(data.train.pixels if self.deformed is None else self.deformed)
        self._sources: dict[SplitName, SplitImages] = {}

        plan = plan_for(recipe.threads)
        self.network = Network(self.design, self.trained, self.running, self.gradient, plan)
        self.evaluated = Network(self.design, self.average, self.running, self.gradient, plan)
        self._works: dict[int, tuple[Work, SoftmaxCrossEntropy, list[Call]]] = {}

    # --- training ---------------------------------------------------------------------------------------------------

    @quietly
    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Train over what is left of the training split; see `engines.base.Engine`."""
        images = self.data.train
        count, size = len(images), self.recipe.batch_size
        order = stream(self.block, "order", number).permutation(count)
        labels = images.labels[order]
        self._deform(number)
        seen = min(self.done * size, count)
        self.network.use_chance(stream(self.block, "dropout", number), seen)

        reported = perf_counter()
        for step in range(self.done + 1, self.steps_per_epoch + 1):
            rows = slice(seen, min(seen + size, count))
            seen = rows.stop
            work, objective, update = self._work(rows.stop - rows.start)
            work.take(order[rows])
            work.forward()
            batch_loss, batch_correct = objective.score(labels[rows])
            if not isfinite(batch_loss):
                raise DivergedError(number, step, batch_loss / (rows.stop - rows.start))
            work.backward()
            self._update(update)
            self.done, self.loss, self.correct = step, self.loss + batch_loss, self.correct + batch_correct
            if step == self.steps_per_epoch or perf_counter() - reported > REPORT_SECONDS:
                on_step(Step(step, self.steps_per_epoch, self.loss / seen))
                reported = perf_counter()
        scores = {"train_loss": self.loss / count, "train_accuracy": self.correct / count}
        self.done, self.loss, self.correct = 0, 0.0, 0
        return scores

    def _deform(self, number: int) -> None:
        """Make the epoch's images, where the recipe asks for it."""
        augment = self.recipe.data.augment
        if self.deformed is not None and isinstance(augment, Deform):
            deform(self.data.train.pixels, augment, stream(self.block, "augment", number), out=self.deformed)
            self.source.changed()

    def _source(self, pixels: Pixels) -> SplitImages:
        return SplitImages(pixels, self.data.mean, self.data.std, self.dtype)

    def _work(self, rows: int) -> tuple[Work, SoftmaxCrossEntropy, list[Call]]:
        """Return network, loss and optimizer at work on batches of this many rows; there are two sizes at most."""
        if rows not in self._works:
            work = Work(self.network, self.source, rows, training=True)
            update = moves(self.rule, self.design.trained, self.trained, self.gradient, work.outer)
            self._works[rows] = (work, SoftmaxCrossEntropy(work.logits, self.recipe.label_smoothing), update)
        return self._works[rows]

    def _update(self, update: list[Call]) -> None:
        """Let the optimizer act on the gradient, and the moving average follow."""
        lr = float(self.rates[self.steps])
        self.steps += 1
        self.rule.aim(lr, self.steps)
        for move in update:
            move()
        if self.recipe.ema is not None:
            # the average starts at the weights after the first step, as in torch's AveragedModel
            share = 1.0 - self.recipe.ema if self.steps > 1 else 1.0
            kernels.average(self.average, self.trained, share)

    # --- evaluation -------------------------------------------------------------------------------------------------

    @quietly
    def evaluate(self, split: SplitName) -> Evaluation:
        """Score the weights over one split; see `engines.base.Engine`."""
        images = self.data.part(split)
        if split not in self._sources:
            self._sources[split] = self._source(images.pixels)
        source = self._sources[split]
        predictions = np.empty(len(images), np.uint16)
        loss, correct = 0.0, 0
        work: Work | None = None
        for start in range(0, len(images), EVALUATION_ROWS):
            rows = np.arange(start, min(start + EVALUATION_ROWS, len(images)))
            if work is None or len(work.logits.value) != len(rows):
                work = Work(self.evaluated, source, len(rows), training=False)
                objective = SoftmaxCrossEntropy(work.logits)
            work.take(rows)
            work.forward()
            predictions[rows] = np.argmax(work.logits.value, axis=1)
            part_loss, part_correct = objective.score(images.labels[rows])
            loss += part_loss
            correct += part_correct
        scores = {f"{split}_loss": loss / len(images), f"{split}_accuracy": correct / len(images)}
        return Evaluation(scores, predictions)

    # --- state ------------------------------------------------------------------------------------------------------

    def state(self) -> Arrays:
        """Return a copy of all that training on needs."""
        arrays: Arrays = {name: array.copy() for name, array in self._numbers().items()}
        arrays["steps"] = np.array([self.steps], np.int64)
        if self.done:  # within an epoch
            arrays["epoch"] = np.array([self.done, self.loss, self.correct], np.float64)
        return arrays

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take up a state that an engine of the same recipe and data returned."""
        for name, array in self._numbers().items():
            array[...] = state[name]
        self.steps = int(state["steps"][0])
        done, loss, correct = state.get("epoch", np.zeros(3)).tolist()
        self.done, self.loss, self.correct = int(done), loss, int(correct)

    def _numbers(self) -> dict[str, Floats]:
        """Return the flat arrays that change in training, by name."""
        numbers = {"trained": self.trained, "running": self.running}
        if self.recipe.ema is not None:
            numbers["average"] = self.average
        return numbers | {f"moment.{name}": array for name, array in self.rule.moments.items()}

    def weights(self) -> Arrays:
        """Return a copy of the evaluated weights.

        `layers.N.weight` `[O, I]` and `layers.N.bias` `[O]` are as torch's `Linear` has them, with `N` from 0 over the
        linear layers; with batch normalisation, `norms.N.weight`, `.bias`, `.running_mean` and `.running_var` belong
        to the one after linear layer `N`.
        """
        arrays: Arrays = {}
        for layout, numbers in ((self.design.trained, self.average), (self.design.running, self.running)):
            for name in layout.parts:
                arrays[name] = np.ascontiguousarray(layout.view(numbers, name).T).copy()
        return arrays
