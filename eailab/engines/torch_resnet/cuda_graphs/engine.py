"""The torch engine with captured steps."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

from eailab.data.dataset import TrialData
from eailab.engines.base import DeviceName, Step
from eailab.engines.torch_resnet.cuda_graphs import LaunchQueue
from eailab.engines.torch_resnet.cuda_graphs.steps import CapturedSteps
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.recipe.schema import ResNetRecipe


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

    def _steps(self, number: int) -> Generator[int, None, None]:
        """Launch an epoch, a program each time it is asked for one, and yield the steps launched so far."""
        try:
            with self._entered():
                self._captured.begin(number, self._epoch_rates(number), self._done)
            launched = self._captured.launch(self._done)
            while True:
                with self._entered():
                    step = next(launched, None)
                if step is None:
                    return
                yield step
        finally:
            self._queue.wait()  # an epoch that is given up has launches running, on memory that others may have next

    def _progress(self, step: int, steps: int) -> Step:
        return Step(step, steps, loss=None)
