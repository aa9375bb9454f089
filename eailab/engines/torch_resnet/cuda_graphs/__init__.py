"""Train one trial by captured steps (CUDA graphs); off by default, since no GPU has run them yet.

`steps` takes training steps from tables on the device, `engine` is the torch engine that launches them, and this module
has the queue that they are launched on: on CUDA a graph is captured once and replayed without Python; on the CPU the
same work is done at once, for the tests and the rehearsal of `benchmarks/gpu.py`, which checks the capture itself.
Nothing else of eailab but `torch_resnet/build.py` imports it.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from eailab.errors import UsageError

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


class EagerQueue:
    """Does the work when it is launched."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Change nothing."""
        yield

    def program(self, work: Program, altered: Sequence[Tensor]) -> Program:  # noqa: ARG002 - one signature for both
        """Return the work itself."""
        return work

    def launch(self, program: Program) -> None:
        """Do the work."""
        program()

    def wait(self) -> None:
        """Return at once."""


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
