"""Make the batches of an epoch and of an evaluation on the device.

Shapes: `N` images of the split, `B` of a batch, `C` channels, `H` rows, `W` columns.
The split lies on the device once, in whole pixel values. Order, augmentation and mixup of an epoch are drawn on the
host from the block's streams, sent over once, and applied batch by batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eailab.data.dataset import Images, TrialData
from eailab.engines.spec import Augmented
from eailab.engines.torch_resnet.augment import Augmentation, Drawn, Normalisation, build, pixel_table
from eailab.recipe.schema import ResNetRecipe
from eailab.seeding import stream


@dataclass(frozen=True)
class Mix:
    """The second labels of a batch of mixtures (Zhang et al., 2018)."""

    labels: Tensor
    """`[B]`, int64."""
    share: Tensor
    """A scalar: the weight of the first labels, from 0 to 1."""


@dataclass(frozen=True)
class Batch:
    """Hold what one step learns from."""

    images: Tensor
    """`[B, 3, H, W]`, float32, normalised."""
    labels: Tensor
    """`[B]`, int64."""
    mix: Mix | None = None
    whole: int | None = None
    """Images of the whole batch, where these are one process's share of it; None where they are the batch."""

    @property
    def counted(self) -> int:
        """Count the images of the whole batch."""
        return len(self.labels) if self.whole is None else self.whole


@dataclass(frozen=True)
class Rows:
    """One batch's chance: which images, and what varies them."""

    chosen: Tensor
    """`[B]`, int64, numbers of images of the split."""
    drawn: Drawn
    share: Tensor | None
    """Mixup's, a scalar; None without mixup."""
    partners: Tensor | None
    """`[B]`, the place within the batch of the image that each is mixed with."""


@dataclass(frozen=True)
class EpochDraws:
    """One epoch's chance: the order of the images and what varies them, all in that order."""

    order: Tensor
    """`[N]`, int64."""
    drawn: dict[str, Tensor]
    shares: Tensor | None
    """`[steps]`, mixup's shares; None without mixup."""
    partners: Tensor | None
    """`[N]`, the place within its batch of the image that each image is mixed with."""

    def rows(self, step: int, batch_size: int) -> Rows:
        """Return the chance of one batch (its number from 0)."""
        part = slice(step * batch_size, (step + 1) * batch_size)
        return Rows(
            self.order[part],
            {name: values[part] for name, values in self.drawn.items()},
            None if self.shares is None else self.shares[step],
            None if self.partners is None else self.partners[part],
        )


class TrainingBatches:
    """The training split, varied differently each epoch.

    Args:
        images: The training split.
        augmentation: How its images are varied.
        normalise: How pixel values are scaled.
        batch_size: Images a batch; the last of an epoch has what is left.
        mixup: Parameter of mixup's Beta distribution, or None.
        block: The seed bundle's number.
        device: Where the batches are made.
    """

    def __init__(
        self,
        images: Images,
        augmentation: Augmentation,
        normalise: Normalisation,
        *,
        batch_size: int,
        mixup: float | None,
        block: int,
        device: torch.device,
    ) -> None:
        self._table = pixel_table(images.pixels, device)
        self._labels = torch.tensor(images.labels, device=device)
        self._augmentation, self._normalise = augmentation, normalise
        self.batch_size, self._mixup, self._block, self._device = batch_size, mixup, block, device

    def __len__(self) -> int:
        """Return the images of an epoch."""
        return len(self._labels)

    @property
    def steps(self) -> int:
        """Return the batches of an epoch."""
        return -(-len(self._labels) // self.batch_size)

    def draw(self, number: int) -> EpochDraws:
        """Draw all chance of one epoch (its number from 1) and send it to the device."""
        count = len(self._labels)
        order = stream(self._block, "order", number).permutation(count)
        drawn = self._augmentation.draw(stream(self._block, "augment", number), count)
        shares = partners = None
        if self._mixup is not None:
            random = stream(self._block, "mixup", number)
            drawn_shares = random.beta(self._mixup, self._mixup, self.steps).astype(np.float32)
            shares = self._sent(drawn_shares).to(torch.get_default_dtype())
            sizes = [min(self.batch_size, count - start) for start in range(0, count, self.batch_size)]
            partners = self._sent(np.concatenate([random.permutation(size) for size in sizes]))
        return EpochDraws(self._sent(order), {name: self._sent(rows) for name, rows in drawn.items()}, shares, partners)

    def _sent(self, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def make(self, rows: Rows) -> Batch:
        """Return the batch of these rows."""
        images = self._normalise(self._augmentation.train(self._table, rows.chosen, rows.drawn))
        labels = self._labels.index_select(0, rows.chosen)
        if rows.share is None or rows.partners is None:
            return Batch(images, labels)
        mixed = torch.lerp(images.index_select(0, rows.partners), images, rows.share)
        return Batch(mixed, labels, Mix(labels.index_select(0, rows.partners), rows.share))

    def epoch(self, number: int, done: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch (its number from 1) after the first `done`, in order."""
        chance = self.draw(number)
        for step in range(done, self.steps):
            yield self.make(chance.rows(step, self.batch_size))


def augmented(recipe: ResNetRecipe, data: TrialData, block: int, count: int) -> Augmented:
    """Return the first images of a block as its first epoch has them; see `ImageClassification.augmented`."""
    cpu, pixels = torch.device("cpu"), data.train.pixels
    normalise = Normalisation(data, cpu, torch.contiguous_format)
    height, width = pixels.shape[1:3]
    augmentation = build(recipe.data.augment, height, width, normalise.mean)
    batches = TrainingBatches(
        data.train, augmentation, normalise, batch_size=recipe.batch_size, mixup=recipe.mixup, block=block, device=cpu
    )
    epoch, places = batches.draw(1), torch.arange(min(count, len(batches)))

    def varied(places: Tensor) -> Tensor:
        drawn = {name: values[places] for name, values in epoch.drawn.items()}
        return augmentation.train(pixel_table(pixels, cpu), epoch.order[places], drawn).float()

    images, mixed = varied(places), tuple[tuple[int, float], ...]()
    if epoch.shares is not None and epoch.partners is not None:
        steps = places // recipe.batch_size
        partners, shares = steps * recipe.batch_size + epoch.partners[places], epoch.shares[steps].float()
        images = torch.lerp(varied(partners), images, shares[:, None, None, None])  # as whole pixels: scaling is linear
        mixed = tuple(zip(epoch.order[partners].tolist(), (1.0 - shares).tolist(), strict=True))
    whole = images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Augmented(epoch.order[places].numpy(), whole, mixed)


class EvaluationBatches:
    """One split as evaluation sees it, in order; its arguments are as those of `TrainingBatches`."""

    def __init__(
        self,
        images: Images,
        augmentation: Augmentation,
        normalise: Normalisation,
        *,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._table = pixel_table(images.pixels, device)
        self._labels = torch.tensor(images.labels, device=device)
        self._augmentation, self._normalise, self._batch_size = augmentation, normalise, batch_size

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches."""
        numbers = torch.arange(len(self._labels), device=self._labels.device)
        for chosen in torch.split(numbers, self._batch_size):
            images = self._normalise(self._augmentation.evaluate(self._table.whole(chosen)))
            yield Batch(images, self._labels.index_select(0, chosen))
