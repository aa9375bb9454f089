"""Noticing that numba compiles the kernels, which it does once and then keeps their machine code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event


class _Listener(event.Listener):  # type: ignore[misc]
    """Passes on the first compilation."""

    def __init__(self, on_first: Callable[[], None]) -> None:
        self.on_first: Callable[[], None] | None = on_first

    def on_start(self, _: event.Event) -> None:
        if self.on_first is not None:
            self.on_first()
        self.on_first = None

    def on_end(self, _: event.Event) -> None:
        pass


@contextmanager
def reporting(on_first: Callable[[], None]) -> Iterator[None]:
    """Call a function when the first kernel is compiled in the block."""
    with event.install_listener("numba:compile", _Listener(on_first)):
        yield
