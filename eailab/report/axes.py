"""Choose axes that hold values, and where their ticks stand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 5.0, 10.0)
LARGE = 1e5
"""Numbers from here on are written as powers of ten on an axis, as those of a loss that diverged."""


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic range; positions are shares of it, 0 at `low` and 1 at `high`."""

    low: float
    high: float
    is_log: bool = False

    def position(self, value: float) -> float:
        """Return where a value stands; outside of 0 to 1 when it is out of range."""
        if not self.is_log:
            return (value - self.low) / (self.high - self.low)
        return math.log(max(value, self.low * 1e-3) / self.low) / math.log(self.high / self.low)

    def ticks(self, about: int) -> list[float]:
        """Return round values within the range, about as many as wanted."""
        if self.is_log:
            return self._log_ticks()
        step = _round_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def labelled(self, about: int) -> list[tuple[float, str]]:
        """Return the ticks with their labels, which have as many decimals as tell them apart.

        >>> Axis(0.0, 3e8).labelled(3)
        [(0.0, '0'), (100000000.0, '1e+08'), (200000000.0, '2e+08'), (300000000.0, '3e+08')]
        """
        ticks = self.ticks(about)
        if self.is_log or len(ticks) < 2 or max(map(abs, ticks)) >= LARGE:
            return [(tick, f"{tick:g}") for tick in ticks]
        decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
        return [(tick, f"{tick:z.{decimals}f}") for tick in ticks]

    def _log_ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        factors = (1.0, 2.0, 5.0) if math.log10(self.high / self.low) < 2.5 else (1.0,)
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        return [tick for tick in ticks if self.low * 0.999 <= tick <= self.high * 1.001]


def spanning(values: Sequence[float], room: float = 0.06) -> Axis:
    """Return a linear axis that holds all values, with some room at both ends.

    >>> spanning([0.0, 10.0], room=0.1)
    Axis(low=-1.0, high=11.0, is_log=False)
    """
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) * 0.1 or 1.0
    return Axis(low - room * spread, high + room * spread)


LOG_ROOM = 1.15
"""Factor by which a logarithmic axis goes beyond its values at both ends."""


def spanning_log(values: Sequence[float]) -> Axis | None:
    """Return a logarithmic axis that holds all values, with some room at both ends; None unless all are above 0.

    >>> spanning_log([1.0, 10.0]), spanning_log([0.0, 1.0])
    (Axis(low=0.8695652173913044, high=11.5, is_log=True), None)
    """
    low, high = min(values), max(values)
    return Axis(low / LOG_ROOM, high * LOG_ROOM, is_log=True) if low > 0.0 else None


def _round_step(raw: float) -> float:
    """Return the next round number: 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(raw))
    return next(power * step for step in STEPS if power * step >= raw * (1.0 - 1e-9))
