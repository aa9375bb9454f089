"""Save a trial's state now and then, so that a later attempt goes on from there.

A file of state or weights is safetensors with a checksum, so that damage is found. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eailab.engines.base import Arrays
from eailab.errors import DamagedError, UsageError
from eailab.files import WEIGHTS, opened
from eailab.runs.atomic import write_bytes
from eailab.runs.records import Position
from eailab.units import parse_seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_HEADER = 100_000_000
"""Bytes; safetensors takes no more."""
_WRONG = (TypeError, AttributeError, RecursionError, OverflowError)
"""Raised where JSON holds other things than it should, besides `ValueError` and `LookupError`."""


def save(path: Path, arrays: Mapping[str, NDArray[np.generic]], **facts: str) -> None:
    """Write arrays, with facts about them in the file's metadata.

    Raises:
        StoreError: The file cannot be written; an older one is untouched.
    """
    write_bytes(path, packed(arrays, **facts))


def packed(arrays: Mapping[str, NDArray[np.generic]], **facts: str) -> bytes:
    """Return the content of a file of arrays, with facts about them in its metadata, as `load` reads it."""
    import numpy as np  # in the functions that need it: lists of trials do without it
    from safetensors.numpy import save as serialise

    contiguous = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    # One entry, since safetensors writes several in an order that changes from process to process.
    facts_text = json.dumps({**facts, "sha256": _sha256(contiguous, facts)}, sort_keys=True)
    return serialise(contiguous, metadata={"eailab": facts_text})


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Return the arrays of a file and the facts that were saved with them.

    Raises:
        DamagedError: The file is missing, no safetensors file, cut short, or differs from its checksum in any bit.
        StoreError: The system does not let us read it.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    try:
        data, facts = _read(path)
        arrays: Arrays = parse(data)
    except (FileNotFoundError, SafetensorError, ValueError, LookupError, *_WRONG) as error:
        raise DamagedError(
            f"{path} is not a readable safetensors file ({error}): move it away and run again."
        ) from error
    expected = facts.pop("sha256", None)
    if expected != _sha256(dict(sorted(arrays.items())), facts):
        raise DamagedError(f"{path} differs from its own checksum: it is damaged. Move it away and run again.")
    return arrays, facts


def _read(path: Path) -> tuple[bytes, dict[str, str]]:
    """Return a file of safetensors and the facts in its header, once its size is known to be what the header says.

    Eight bytes tell the header's length; the header is JSON, with the place of each array in what follows.
    """
    with opened(path, WEIGHTS) as file:
        size = file.seek(0, SEEK_END)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        if length > min(size, LARGEST_HEADER):
            raise ValueError(f"its header says that it is {length} bytes long")
        header: Any = json.loads(file.read(length))
        facts: Any = json.loads(header["__metadata__"]["eailab"])
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        if 8 + length + end != size:
            raise ValueError(f"it has {size} bytes, and {8 + length + end} by its header")
        if not all(isinstance(value, str) for value in facts.values()):
            raise ValueError("its facts are not texts")
        file.seek(0)
        return file.read(), dict(facts)


def _sha256(arrays: Mapping[str, NDArray[np.generic]], facts: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode())
    for name, array in arrays.items():
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


# --- how often --------------------------------------------------------------------------------------------------------


WRITING_SHARE = 0.01
"""Of the training's time, at most, that goes into writing where the cadence is a time."""


@dataclass(frozen=True)
class Cadence:
    """Write after a number of epochs, or after a time, within an epoch too; exactly one of the two is set."""

    epochs: int | None = None
    seconds: float | None = None

    def is_due(self, epochs: int, seconds: float, took: float = 0.0) -> bool:
        """Return whether to write now.

        A time is stretched where writing would take more than `WRITING_SHARE` of the training's.

        Args:
            epochs: Finished since the last checkpoint.
            seconds: Passed since then.
            took: Seconds that it took to write it.
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
    match = re.fullmatch(r"(\d{1,9})(?: ?epochs?)?", text.strip())
    if match and int(match[1]):
        return Cadence(epochs=int(match[1]))
    if (seconds := parse_seconds(text)) is not None:
        return Cadence(seconds=seconds)
    raise UsageError(
        f"--checkpoint-every {text}: give a number of epochs, such as 5, or a time, such as 90s, 10m or 1h."
    )


@dataclass(frozen=True)
class Checkpoint:
    """Hold where a trial's training goes on: at its beginning unless there is a usable state."""

    state: Arrays | None = None
    """The engine's."""
    position: Position = Position()  # noqa: RUF009 - frozen
    unused: str = ""
    """Why the checkpoint that is there is not used; empty where there is none, or it is used."""


class CheckpointWriter:
    """Writes checkpoints at the configured interval, and when training is stopped.

    `save` writes the state that training has at a position, and `done` is that of the checkpoint that there is.
    """

    def __init__(self, cadence: Cadence, save: Callable[[Position], None], done: Position) -> None:
        self._cadence, self._save = cadence, save
        self._epochs, self._written_at, self._took = done.epochs, time.perf_counter(), 0.0

    def is_due(self, epochs: int) -> bool:
        """Return whether to write now that this many epochs are finished."""
        return self._cadence.is_due(epochs - self._epochs, time.perf_counter() - self._written_at, self._took)

    def write(self, position: Position) -> None:
        """Write the state of this position."""
        began = time.perf_counter()
        self._save(position)
        self._epochs, self._written_at = position.epochs, time.perf_counter()
        self._took = self._written_at - began
