"""Train one trial by captured steps (CUDA graphs); off by default, since no GPU has run them yet.

On CUDA a graph of steps is captured once and replayed without Python. Steps therefore read all they need from tables on
the device: an epoch's chance and learning rates are written into the tables before it starts, and each step takes the
rows at a position that it then moves on by one. Nothing else of eailab but the choice of an engine imports this module.

Shapes: `S` steps of an epoch, `B` images of a full batch.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eailab.data.dataset import TrialData
from eailab.engines.base import DeviceName, OnStep, Scores, Step
from eailab.engines.torch_resnet.batches import EpochDraws, Rows, TrainingBatches
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.step import TrainingStep
from eailab.errors import UsageError
from eailab.recipe.schema import ResNetRecipe

SETTING = "EAILAB_CUDA_STEPS"
"""Environment variable: `captured` lets trials on CUDA take captured steps; `plain`, the default, takes each step from
Python."""

Program: TypeAlias = Callable[[], None]
"""A fixed piece of device work: the same tensors each time, no random numbers, nothing read on the host."""


class LaunchQueue(Protocol):
    """Runs programs in the order in which they are launched."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Send torch's work within the block to this queue, after what was launched before."""
        ...

    def program(self, work: Program, altered: Sequence[Tensor]) -> Program:
        """Prepare work to be launched many times; to be called within `entered`.

        Args:
            work: What to do.
            altered: All tensors that outlast the work and are changed by it; their values are the same afterwards.
        """
        ...

    def launch(self, program: Program) -> None:
        """Queue a program, once few enough others wait."""
        ...

    def wait(self) -> None:
        """Wait until all launches have ended."""
        ...


class CudaQueue:
    """Captures work once in a CUDA graph and replays it on a stream of its own. No GPU has run this yet.

    Each graph is captured and replayed on the same stream, since cuBLAS's scratch memory belongs to a stream, and has a
    memory pool of its own.
    """

    WARM_UP = 3
    """Runs before a capture, in which cuBLAS and cuDNN allocate and choose what a capture must find ready."""
    QUEUED = 2
    """Launches that may wait: one runs, and the next is there when it ends."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._launched: deque[torch.cuda.Event] = deque()
        self._graphs: list[torch.cuda.CUDAGraph] = []
        """All captured graphs, kept to the end: freeing one can free scratch memory of its stream with it."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the queue's stream torch's current one."""
        with torch.cuda.stream(self._stream):
            yield

    def program(self, work: Program, altered: Sequence[Tensor]) -> Program:
        """Warm the work up, restore what that altered, and capture it."""
        kept = [tensor.detach().clone() for tensor in altered]
        for _ in range(self.WARM_UP):
            work()
            with torch.no_grad():
                for tensor, value in zip(altered, kept, strict=True):
                    tensor.copy_(value)
        torch.cuda.synchronize()  # a capture finds nothing under way
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            work()
        self._graphs.append(graph)
        return graph.replay

    def launch(self, program: Program) -> None:
        """Queue a replay; wait for the oldest while `QUEUED` have not ended."""
        while len(self._launched) >= self.QUEUED:
            self._launched.popleft().synchronize()
        with torch.cuda.stream(self._stream):
            program()
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        self._launched.append(event)

    def wait(self) -> None:
        """Let the host wait for the queue's stream."""
        self._stream.synchronize()


def make_queue(device: torch.device) -> LaunchQueue | None:
    """Return a queue for captured steps, or None where each step is taken from Python.

    This is the one place that decides it. On CUDA the default is plain steps, until the checks of `benchmarks/gpu.py`
    have passed on a GPU. On the CPU nothing is gained by a queue.

    Raises:
        UsageError: `SETTING` has an unknown value.
    """
    asked = os.environ.get(SETTING) or "plain"
    if asked not in ("plain", "captured"):
        raise UsageError(f"{SETTING}={asked}: it is plain (the default) or captured.")
    return CudaQueue() if device.type == "cuda" and asked == "captured" else None


# --- steps from tables -----------------------------------------------------------------------------------------------


STEPS_A_PROGRAM = 8
"""Steps of a long program: a launch costs the host some ten microseconds, and a captured step takes hundreds."""


class EpochTables:
    """One epoch's chance and learning rates, in tables that are rewritten each epoch; made of any epoch's chance."""

    def __init__(self, chance: EpochDraws, steps: int, batch_size: int) -> None:
        def images(values: Tensor) -> Tensor:
            return values.new_zeros(steps, batch_size)

        self._order = images(chance.order)
        self._drawn = {name: images(values) for name, values in chance.drawn.items()}
        self._shares = None if chance.shares is None else torch.zeros_like(chance.shares)
        self._partners = None if chance.partners is None else images(chance.partners)
        self._rates = torch.zeros(steps, device=chance.order.device)
        self.position = torch.zeros(1, dtype=torch.int64, device=chance.order.device)
        """Of the next step, from 0."""

    def write(self, chance: EpochDraws, rates: NDArray[np.float64], position: int) -> None:
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

    `altered` is all that a step changes except its running sums: weights, statistics, moments, the average.
    """

    def __init__(
        self, batches: TrainingBatches, step: TrainingStep, queue: LaunchQueue, altered: Sequence[Tensor]
    ) -> None:
        self._batches, self._step, self._queue = batches, step, queue
        self._tables = EpochTables(batches.draw(1), batches.steps, batches.batch_size)
        self._altered = [*altered, *vars(step.running).values(), self._tables.position]
        self._programs: dict[tuple[int, int], Program] = {}
        """By how many images a batch has, and how many steps the program."""

    def begin(self, number: int, rates: NDArray[np.float64], done: int) -> None:
        """Write the tables of an epoch (its number from 1), of which this many steps are done."""
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


# --- the engine ------------------------------------------------------------------------------------------------------


class CapturedEngine(ResNetEngine):
    """One trial whose steps are launched on a queue, with the bits of `ResNetEngine`.

    It never waits for the device's values within an epoch: `on_step` gets no loss, and a loss that is not finite, which
    stops the optimizer on the device at once, is raised when the epoch ends.
    """

    def __init__(
        self, recipe: ResNetRecipe, data: TrialData, block: int, device: DeviceName = "auto", *, queue: LaunchQueue
    ) -> None:
        super().__init__(recipe, data, block, device)
        self._queue = queue
        self._captured = CapturedSteps(self._training, self._step, queue, list(self._tensors().values()))
        if self._device.type == "cuda":
            torch.cuda.synchronize()  # the queue's stream does not wait for the one that all this was made on

    @contextmanager
    def _entered(self) -> Iterator[None]:
        with super()._entered(), self._queue.entered():
            yield

    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Launch what is left of an epoch, program by program; see `Engine.train_epoch`."""
        self._reported = time.monotonic()
        try:
            with self._entered():
                self._captured.begin(number, self._epoch_rates(number), self._done)
            launched = self._captured.launch(self._done)
            while True:
                with self._entered():
                    step = next(launched, None)
                if step is None:
                    break
                self._report(step, on_step)
        finally:
            self._queue.wait()  # an epoch that is given up has launches running, on memory that others may have next
        return self._finish_epoch(number)

    def _progress(self, step: int, steps: int) -> Step:
        return Step(step, steps, loss=None)
