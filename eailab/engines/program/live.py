"""Follow what a program reports while it runs: its last values, and how far it is."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from io import SEEK_END
from pathlib import Path

from eailab import files
from eailab.engines.base import Reported
from eailab.engines.program.reading import ReportingRules, Sources, Way, last_values, readers_of
from eailab.errors import TrialFailedError

SECONDS = 0.5
"""Between two looks at what was reported."""
WINDOW = 2**14
"""Bytes at the end of an output, or of the lines at `$EAILAB_METRICS`, that are looked at."""
LARGEST_FILE = 2**20
"""Of a metrics file that is read again while it grows."""

_OF = re.compile(r"(?i)(?<![a-z\d])(epoch|step|iteration|iter)s?\b\W{0,4}(\d{1,12})\s*(?:/|of)\s*(\d{1,12})(?!\d)")
"""`Epoch 3/10`."""


class Live:
    """Hold what one running program has reported. It is for people to look at: no result comes from it."""

    def __init__(
        self, wanted: ReportingRules, sources: Sources, way: Way | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with nothing reported.

        `way` is how earlier trials reported the metrics, None for the first; `clock` gives seconds that never go back.
        """
        self.wanted, self.sources, self.way, self.clock = wanted, sources, way, clock
        self._ends = {sources.stdout: b"", sources.stderr: b""}
        self._readers = readers_of(wanted, sources, self._text)
        self._taken = 0
        """Bytes that the program has printed."""
        self._seen: tuple[object, ...] = ()
        """What `_state` was when it was looked last."""
        self._looked = -SECONDS
        self._last: Reported | None = None

    def take(self, output: Path, more: bytes) -> None:
        """Take what the program has printed."""
        self._ends[output] = (self._ends[output] + more)[-WINDOW:]
        self._taken += len(more)

    def last(self) -> Reported | None:
        """Return what was reported last; None before there is anything."""
        now = self.clock()
        if now - self._looked >= SECONDS:
            self._looked = now
            with suppress(TrialFailedError, ValueError, OSError):
                self._last = self._look() or self._last
        return self._last

    def _look(self) -> Reported | None:
        if (state := self._state()) == self._seen:
            return None
        self._seen = state
        for way, read in self._readers.items():
            if self.way in (None, way) and (rows := read()) and (values := last_values(self.wanted, rows)):
                steps = rows[-1].steps
                axis = next((one for one in ("epoch", "step") if one in steps), "")
                number = int(steps[axis]) if axis and 0 <= steps[axis] < 1e12 else None
                return Reported(values, axis, number, self._total(axis, number))
        return None

    def _state(self) -> tuple[object, ...]:
        """Return what is different once there is more to read."""
        return self._taken, *(_changed(file) for file in (self.sources.log, self.sources.file) if file is not None)

    def _text(self, file: Path) -> str:
        """Return what is looked at of a file, or of an output."""
        if file in self._ends:
            return self._printed(file)
        return _end_of(file) if file == self.sources.log else _whole(file)

    def _printed(self, output: Path) -> str:
        """Return the end of an output, without a last line that may not be whole."""
        text = self._ends[output].decode(errors="replace")
        return text[: max(text.rfind("\n"), text.rfind("\r")) + 1]

    def _total(self, axis: str, number: int | None) -> int | None:
        """Return how many epochs or steps there will be, where the program prints it as in `epoch 3/10`."""
        for output in self._ends:
            for word, at, of in reversed(_OF.findall(self._printed(output))):
                if word.lower().startswith(axis[:4] or "-") and number is not None and int(at) <= int(of) >= number:
                    return int(of)
        return None


def _changed(file: Path) -> tuple[int, int] | None:
    """Return when a file has changed, and its size; None where there is none."""
    with suppress(OSError):
        about = file.stat()
        return about.st_mtime_ns, about.st_size
    return None


def _end_of(file: Path) -> str:
    """Return the last lines of a file; nothing where there is none."""
    with suppress(FileNotFoundError), files.opened(file, files.OUTPUT) as opened:
        size = opened.seek(0, SEEK_END)
        opened.seek(max(0, size - WINDOW))
        text = opened.read(WINDOW).decode(errors="replace")
        return text if size <= WINDOW else text.partition("\n")[2]
    return ""


def _whole(file: Path) -> str:
    """Return what a file has; nothing where there is none, or it is large."""
    with suppress(FileNotFoundError), files.opened(file, files.OUTPUT) as opened:
        content = opened.read(LARGEST_FILE + 1)
        return content.decode(errors="replace") if len(content) <= LARGEST_FILE else ""
    return ""
