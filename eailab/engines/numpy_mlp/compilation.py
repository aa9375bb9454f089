"""Notice that numba compiles the kernels, which it does once and then keeps their machine code."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event


class _Listener(event.Listener):  # type: ignore[misc]
    """Passes on the first compilation, and the seconds of each; one may start others, which are part of it."""

    def __init__(self, on_first: Callable[[], None], on_seconds: Callable[[float], None]) -> None:
        self.on_first: Callable[[], None] | None = on_first
        self.on_seconds = on_seconds
        self.depth, self.began = 0, 0.0

    def on_start(self, _: event.Event) -> None:
        if self.on_first is not None:
            self.on_first()
        self.on_first = None
        if self.depth == 0:
            self.began = time.perf_counter()
        self.depth += 1

    def on_end(self, _: event.Event) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.on_seconds(time.perf_counter() - self.began)


@contextmanager
def reporting(on_first: Callable[[], None], on_seconds: Callable[[float], None]) -> Iterator[None]:
    """Call a function when the first kernel is compiled in the block, and another with the seconds that each took."""
    with event.install_listener("numba:compile", _Listener(on_first, on_seconds)):
        yield
