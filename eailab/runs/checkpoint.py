"""Arrays in a file that tells when it is damaged: safetensors with a checksum. Nothing is ever unpickled."""

import hashlib
import json
from collections.abc import Mapping
from io import SEEK_END
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from eailab.engines.base import Arrays
from eailab.errors import DamagedError
from eailab.files import WEIGHTS, opened
from eailab.runs.atomic import write_bytes

LARGEST_HEADER = 100_000_000
"""Bytes; safetensors takes no more."""
_WRONG = (TypeError, AttributeError, RecursionError, OverflowError)
"""Raised where JSON holds other things than it should, beside `ValueError` and `LookupError`."""


def save(path: Path, arrays: Mapping[str, NDArray[np.generic]], **facts: str) -> None:
    """Write arrays, with facts about them in the file's metadata.

    Raises:
        StoreError: The file cannot be written; an older one is untouched.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    # One entry, since safetensors writes several in an order that changes from process to process.
    facts_text = json.dumps({**facts, "sha256": _sha256(contiguous, facts)}, sort_keys=True)
    write_bytes(path, serialise(contiguous, metadata={"eailab": facts_text}))


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Return the arrays of a file and the facts that were saved with them.

    Raises:
        DamagedError: The file is missing, no safetensors file, cut short, or differs from its checksum in any bit.
        StoreError: The system does not let us read it.
    """
    try:
        data, facts = _read(path)
        arrays: Arrays = parse(data)
    except (FileNotFoundError, SafetensorError, ValueError, LookupError, *_WRONG) as error:
        raise DamagedError(f"{path} is no readable safetensors file ({error}): move it away and run again.") from error
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
