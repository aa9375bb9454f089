"""Queue a trial's steps on a lane, which runs programs (fixed pieces of device work, CUDA graphs) in order.

On the CPU a program is the Python function itself, and a launch returns when it is done. On CUDA it is a graph,
captured once and replayed without Python, on a stream of the lane's own; a launch returns at once. All logic above this
seam is the same for both, and is tested with the eager lane. **No GPU has run `CudaLane` yet**; `benchmarks/gpu.py`
checks it.
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
"""Environment variable: `captured` lets trials on CUDA take captured steps, several trials side by side in one process;
`plain`, the default, takes each step from Python."""

Program: TypeAlias = Callable[[], None]
"""A fixed piece of device work: the same tensors each time, no random numbers, nothing read on the host."""


class Lane(Protocol):
    """One trial's queue."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let what torch is told inside go to this lane, after what was launched before."""
        ...

    def program(self, work: Program, altered: Sequence[Tensor]) -> Program:
        """Prepare some work to be launched many times; to be called within `entered`.

        Args:
            work: What to do.
            altered: All tensors that outlast the work and are changed by it; they come out as they went in.
        """
        ...

    def launch(self, program: Program) -> None:
        """Queue a program."""
        ...

    def has_room(self) -> bool:
        """Whether another launch would not wait in vain behind too many others."""
        ...

    def is_drained(self) -> bool:
        """Whether all launches have ended."""
        ...

    def wait(self) -> None:
        """Wait until all launches have ended."""
        ...


class EagerLane:
    """Work is done when it is launched."""

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

    def has_room(self) -> bool:
        """Always."""
        return True

    def is_drained(self) -> bool:
        """Always."""
        return True

    def wait(self) -> None:
        """Return at once."""


class CudaLane:
    """Work is captured once in a CUDA graph and replayed on a stream of the lane's own. No GPU has run this yet.

    Each graph is captured and replayed on the same stream, since cuBLAS's scratch memory belongs to a stream (torch's
    default capture stream would be one for all lanes, whose replays could then overwrite each other's), and has a
    memory pool of its own. Torch has 32 streams of its own, one of which it may take for itself: `MOST` lanes at once.
    """

    WARM_UP = 3
    """Runs before a capture, in which cuBLAS and cuDNN allocate and choose what a capture must find ready."""
    QUEUED = 2
    """Launches that may wait: one runs, and the next is there when it ends."""
    MOST = 30

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._launched: deque[torch.cuda.Event] = deque()
        self._graphs: list[torch.cuda.CUDAGraph] = []
        """All that were captured here, kept to the end: one that is freed takes along scratch memory of its stream."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the lane's stream torch's current one."""
        with torch.cuda.stream(self._stream):
            yield

    def program(self, work: Program, altered: Sequence[Tensor]) -> Program:
        """Warm the work up, put back what that altered, and capture it."""
        kept = [tensor.detach().clone() for tensor in altered]
        for _ in range(self.WARM_UP):
            work()
            with torch.no_grad():
                for tensor, value in zip(altered, kept, strict=True):
                    tensor.copy_(value)
        torch.cuda.synchronize()  # no lane may allocate or free while another captures
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            work()
        self._graphs.append(graph)
        return graph.replay

    def launch(self, program: Program) -> None:
        """Queue a replay."""
        with torch.cuda.stream(self._stream):
            program()
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        self._launched.append(event)

    def has_room(self) -> bool:
        """Whether fewer than `QUEUED` launches have not ended."""
        self._forget_ended()
        return len(self._launched) < self.QUEUED

    def is_drained(self) -> bool:
        """Whether all launches have ended."""
        self._forget_ended()
        return not self._launched

    def wait(self) -> None:
        """Let the host wait for the lane's stream."""
        self._stream.synchronize()

    def _forget_ended(self) -> None:
        while self._launched and self._launched[0].query():  # type: ignore[no-untyped-call]
            self._launched.popleft()


def maker(device: torch.device) -> Callable[[], Lane] | None:
    """Return what makes the lanes of a device, or None where trials take each step from Python.

    This is the one place that decides it. On CUDA the default is plain steps, until the checks of `benchmarks/gpu.py`
    have passed on a GPU. On the CPU a lane has nothing to give.

    Raises:
        UsageError: `SETTING` has a value that it does not know.
    """
    asked = os.environ.get(SETTING) or "plain"
    if asked not in ("plain", "captured"):
        raise UsageError(f"{SETTING}={asked}: it is plain (the default) or captured.")
    return CudaLane if device.type == "cuda" and asked == "captured" else None
