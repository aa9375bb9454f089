"""Arrays in a file that tells when it is damaged: safetensors with a checksum. Nothing is ever unpickled."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from eailab.engines.base import Arrays
from eailab.errors import StoreError
from eailab.runs.atomic import write_bytes


def save(path: Path, arrays: Mapping[str, NDArray[np.generic]], **facts: str) -> None:
    """Write arrays, with facts about them in the file's metadata.

    Raises:
        StoreError: The file cannot be written; an older one is untouched.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    # One entry, since safetensors writes several in an order that changes from process to process.
    facts_text = json.dumps({**facts, "sha256": _sha256(contiguous)}, sort_keys=True)
    write_bytes(path, serialise(contiguous, metadata={"eailab": facts_text}))


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Return the arrays of a file and the facts that were saved with them.

    Raises:
        StoreError: The file is missing, no safetensors file, cut short, or differs from its checksum in any bit.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            facts: dict[str, str] = json.loads((file.metadata() or {})["eailab"])
        arrays: Arrays = parse(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise StoreError(f"{path} is no readable safetensors file ({error}): move it away and run again.") from error
    expected = facts.pop("sha256", None)
    if expected != _sha256(dict(sorted(arrays.items()))):
        raise StoreError(f"{path} differs from its own checksum: it is damaged. Move it away and run again.")
    return arrays, facts


def _sha256(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
