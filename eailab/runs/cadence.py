"""How often a trial in training writes its state, so that a later attempt goes on from there."""

import re
from dataclasses import dataclass

from eailab.errors import UsageError

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


WRITING_SHARE = 0.01
"""Of a thread's time, at most, where the cadence is a time."""


@dataclass(frozen=True)
class Cadence:
    """After so many epochs, or after so much time, within an epoch too; exactly one of the two is set."""

    epochs: int | None = None
    seconds: float | None = None

    def is_due(self, epochs: int, seconds: float, took: float = 0.0) -> bool:
        """Whether to write, so many epochs and seconds after the last time, which took so many seconds itself.

        A time is stretched where writing would take more than `WRITING_SHARE` of the thread's.
        """
        if self.epochs is not None:
            return epochs >= self.epochs
        return self.seconds is not None and seconds >= max(self.seconds, took / WRITING_SHARE)


EVERY_TEN_SECONDS = Cadence(seconds=10.0)
"""The default: at most this much work is lost when a trial is killed, unless the disk takes more than a tenth of a
second to write its state."""


def parse_cadence(text: str) -> Cadence:
    """Read `--checkpoint-every`: a number of epochs, or a time with its unit.

    >>> parse_cadence("5").epochs, parse_cadence("10m").seconds
    (5, 600.0)

    Raises:
        UsageError: It is neither, or not above 0.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?(epochs?|s|min|m|h)?", text.strip())
    if match and float(match[1]) > 0.0:
        number, unit = match[1], match[2] or "epochs"
        if unit in _UNITS:
            return Cadence(seconds=float(number) * _UNITS[unit])
        if "." not in number:
            return Cadence(epochs=int(number))
    raise UsageError(
        f"--checkpoint-every {text}: give a number of epochs, such as 5, or a time, such as 90s, 10m or 1h."
    )
