"""Take training steps that read all they need from tables on the device, so that they can be captured.

An epoch's chance and learning rates are written into the tables before it starts, and each step takes the rows at a
position that it then moves on by one. Shapes: `S` steps of an epoch, `B` images of a full batch.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eailab.engines.torch_resnet.batches import Epoch, Rows, TrainingBatches
from eailab.engines.torch_resnet.cuda_graphs import LaunchQueue, Program
from eailab.engines.torch_resnet.step import TrainingStep

STEPS_A_PROGRAM = 8
"""Steps of a long program: a launch costs the host some ten microseconds, and a captured step takes hundreds."""


class EpochTables:
    """One epoch's chance and learning rates, in tables that are rewritten each epoch.

    Args:
        chance: Any epoch's, for its shapes.
        steps: Batches of an epoch.
        batch_size: Images of a full batch.
    """

    def __init__(self, chance: Epoch, steps: int, batch_size: int) -> None:
        def images(values: Tensor) -> Tensor:
            return values.new_zeros(steps, batch_size)

        self._order = images(chance.order)
        self._drawn = {name: images(values) for name, values in chance.drawn.items()}
        self._shares = None if chance.shares is None else torch.zeros_like(chance.shares)
        self._partners = None if chance.partners is None else images(chance.partners)
        self._rates = torch.zeros(steps, device=chance.order.device)
        self.position = torch.zeros(1, dtype=torch.int64, device=chance.order.device)
        """Of the next step, from 0."""

    def write(self, chance: Epoch, rates: NDArray[np.float64], position: int) -> None:
        """Write an epoch's chance, its learning rates `[S]`, and the position of its next step."""
        pairs = [(self._order, chance.order), *((table, chance.drawn[name]) for name, table in self._drawn.items())]
        if self._partners is not None and chance.partners is not None:
            pairs.append((self._partners, chance.partners))
        for table, values in pairs:
            table.view(-1)[: len(values)].copy_(values)
        if self._shares is not None and chance.shares is not None:
            self._shares.copy_(chance.shares)
        self._rates.copy_(torch.from_numpy(rates))
        self.position.fill_(position)

    def rows(self, size: int) -> Rows:
        """Return the chance of the batch at the position, which has `size` images."""

        def images(table: Tensor) -> Tensor:
            return table.index_select(0, self.position)[0, :size]

        return Rows(
            images(self._order),
            {name: images(table) for name, table in self._drawn.items()},
            None if self._shares is None else self._shares.index_select(0, self.position)[0],
            None if self._partners is None else images(self._partners),
        )

    def rate(self) -> Tensor:
        """Return the learning rate at the position, a scalar."""
        return self._rates.index_select(0, self.position)[0]


class CapturedSteps:
    """The epochs of one trial, launched on a queue in programs of several steps.

    Args:
        batches: Where the images come from.
        step: What is done with each batch.
        queue: Where it is launched.
        altered: All that a step changes beside its running sums: weights, statistics, moments, the average.
    """

    def __init__(
        self, batches: TrainingBatches, step: TrainingStep, queue: LaunchQueue, altered: Sequence[Tensor]
    ) -> None:
        self._batches, self._step, self._queue = batches, step, queue
        self._tables = EpochTables(batches.draw(1), batches.steps, batches.batch_size)
        running = [getattr(step.running, name) for name in vars(step.running)]
        self._altered = [*altered, *running, self._tables.position]
        self._programs: dict[tuple[int, int], Program] = {}
        """By how many images a batch has, and how many steps the program."""

    def begin(self, number: int, rates: NDArray[np.float64], done: int) -> None:
        """Write the tables of an epoch (its number from 1), of which so many steps are done."""
        self._tables.write(self._batches.draw(number), rates, done)

    def launch(self, done: int) -> Iterator[int]:
        """Launch the epoch after the first `done` steps, a program each time the iterator is asked.

        A program has many full batches, or a single one, or the last, smaller batch. It is prepared where it first
        runs, since the tables there fit its batches.

        Yields:
            The steps that are done or launched.
        """
        full, left = divmod(len(self._batches), self._batches.batch_size)
        while done < self._batches.steps:
            images = self._batches.batch_size if done < full else left
            steps = STEPS_A_PROGRAM if done + STEPS_A_PROGRAM <= full else 1
            if (images, steps) not in self._programs:
                self._programs[images, steps] = self._queue.program(self._work(images, steps), self._altered)
            self._queue.launch(self._programs[images, steps])
            done += steps
            yield done

    def _work(self, images: int, steps: int) -> Callable[[], None]:
        def work() -> None:
            for _ in range(steps):
                batch = self._batches.make(self._tables.rows(images))
                self._step.at_rate(batch, self._tables.rate())
                self._tables.position.add_(1)

        return work
