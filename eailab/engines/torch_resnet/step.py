"""Take one training step: forward, backward, optimizer, average; nothing in it waits for the device.

What a step finds out stays on the device in `Running`, to be read when an epoch ends. A step whose loss is not finite
sets a flag there, and from then on the optimizer leaves the weights alone: on the CPU the flag is read after each step,
on CUDA at the end of the epoch.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from eailab.engines.torch_resnet.batches import Batch
from eailab.engines.torch_resnet.distributed import ALONE, Team
from eailab.engines.torch_resnet.optimizers import Optimizer


class Running:
    """Sums over the steps of an epoch, on the device."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        """Of all images so far, in nats."""
        self.correct = torch.zeros((), dtype=torch.float64, device=device)
        """Images predicted as labelled; a mixture counts by the shares of its labels."""
        self.images = torch.zeros((), dtype=torch.float64, device=device)
        self.stopped = torch.zeros((), dtype=torch.float32, device=device)
        """1 once a step's loss was not finite, until the next epoch."""
        self.steps = torch.zeros((), dtype=torch.int64, device=device)
        """Steps whose loss was finite, before the first that was not."""
        self.last_loss = torch.zeros((), device=device)
        """Mean loss of the last step; of the first that was not finite, once there is one."""

    def clear(self) -> None:
        """Start an epoch."""
        for value in vars(self).values():
            value.zero_()

    def add(self, loss: Tensor, correct: Tensor, images: int) -> None:
        """Count one step: the mean loss of its images, and those predicted as labelled, a scalar each."""
        self.last_loss.copy_(torch.where(self.stopped > 0.0, self.last_loss, loss))
        torch.maximum(self.stopped, (~torch.isfinite(loss)).float(), out=self.stopped)
        self.steps.add_((self.stopped == 0.0).long())
        self.loss.add_(loss, alpha=images)
        self.correct.add_(correct)
        self.images.add_(images)


def batch_loss(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """Return the mean cross-entropy of a batch, in nats; of mixtures, weighted by the shares of their labels.

    Args:
        logits: `[B, K]`, float32.
        batch: The labels, and what is mixed in.
        smoothing: Share of each label's probability that is spread over all classes (Szegedy et al., 2016).

    Returns:
        A scalar; of a share of a batch, its addend in the whole batch's mean.
    """

    def mean(labels: Tensor) -> Tensor:
        if batch.whole is None:
            return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum") / batch.whole

    if batch.mix is None:
        return mean(batch.labels)
    return torch.lerp(mean(batch.mix.labels), mean(batch.labels), batch.mix.share)


def count_correct(logits: Tensor, batch: Batch) -> Tensor:
    """Return how many images are predicted as labelled, a scalar; mixtures count by the shares of their labels."""
    predicted = logits.argmax(1)
    first = (predicted == batch.labels).sum()
    if batch.mix is None:
        return first.float()
    share = batch.mix.share
    return torch.lerp((predicted == batch.mix.labels).sum().to(share), first.to(share), share)


class Average:
    """An exponential moving average of a model, a step at a time, starting at its initial values.

    Running statistics of BatchNorm are averaged with the same decay as the weights; whole numbers are copied.
    """

    def __init__(self, average: nn.Module, model: nn.Module, decay: float) -> None:
        self._decay = decay
        pairs = list(zip(average.state_dict().values(), model.state_dict().values(), strict=True))
        self._floating = [(mine, theirs) for mine, theirs in pairs if mine.is_floating_point()]
        self._counts = [(mine, theirs) for mine, theirs in pairs if not mine.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the model: `average = decay average + (1 - decay) model`."""
        mine, theirs = ([pair[side] for pair in self._floating] for side in (0, 1))
        torch._foreach_lerp_(mine, theirs, 1.0 - self._decay)
        for count, new in self._counts:
            count.copy_(new)


class TrainingStep:
    """One update of a model by one batch.

    Args:
        model: In training mode, on the device.
        optimizer: Of the model's parameters, with `lr` as its learning rate.
        lr: The learning rate's scalar on the device.
        average: The model's moving average, or None.
        smoothing: Label smoothing.
        bf16: Whether convolutions and products are in bfloat16 (autocast); weights, BatchNorm and loss are not.
        team: The processes that train this model together.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        lr: Tensor,
        *,
        average: Average | None,
        smoothing: float,
        bf16: bool,
        team: Team = ALONE,
    ) -> None:
        self._model, self._optimizer, self._lr, self._average = model, optimizer, lr, average
        self._smoothing, self._bf16, self._team = smoothing, bf16, team
        self.running = Running(lr.device)

    def __call__(self, batch: Batch, lr: float) -> None:
        """Learn from one batch at one learning rate."""
        self._lr.fill_(lr)
        self._learn(batch)

    def at_rate(self, batch: Batch, lr: Tensor) -> None:
        """Learn from one batch at a learning rate that lies on the device, a scalar."""
        self._lr.copy_(lr)
        self._learn(batch)

    def _learn(self, batch: Batch) -> None:
        batch = self._team.share(batch)
        logits = forward(self._model, batch.images, self._bf16)
        loss = batch_loss(logits, batch, self._smoothing)
        with torch.no_grad():
            self.running.add(*self._team.total(loss, count_correct(logits, batch)), batch.counted)
        self._team.backward(loss)
        self._optimizer.step(self.running.stopped)
        self._model.zero_grad(set_to_none=True)  # a captured step must find none, and leaves none behind
        if self._average is not None:
            self._average.update()


def forward(model: nn.Module, images: Tensor, bf16: bool) -> Tensor:
    """Return the logits `[B, K]` in float32, or in float64 of a network in float64."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
        logits = model(images)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))  # type: ignore[no-any-return]


@torch.inference_mode()
def score(model: nn.Module, batches: Iterable[Batch], bf16: bool) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy over all images (nats, a float64 scalar) and each one's predicted class `[N]`."""
    was_training = model.training
    model.eval()
    losses, predictions = [], []
    for batch in batches:
        logits = forward(model, batch.images, bf16)
        losses.append(functional.cross_entropy(logits, batch.labels, reduction="none"))
        predictions.append(logits.argmax(1))
    model.train(was_training)
    return torch.cat(losses).double().mean(), torch.cat(predictions)
