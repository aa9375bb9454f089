"""Weights for other programs: safetensors, whose arrays have the names that torch gives them."""

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from safetensors import __version__ as version
from safetensors.numpy import load, save

from eailab.engines.base import Expected
from eailab.inference.format import Runner
from eailab.inference.trained import Trained


def make(trained: Trained, facts: Mapping[str, str]) -> bytes:
    """Return the content of a file with the network's weights, and the facts as its metadata."""
    weights = {name: np.asarray(array, order="C") for name, array in sorted(trained.weights.items())}
    return _in_order(save(weights, metadata={"format": "pt", **facts}))


def opened(data: bytes, trained: Trained) -> Runner:
    """Return our own network, made of what the file holds: its arrays, and its metadata for what they expect."""
    facts = json.loads(_header(data))["__metadata__"]
    again = replace(trained, weights=load(data), expected=Expected.read(facts))
    return Runner(f"eailab's own network with the file's weights (safetensors {version})", again.logits)


def holds(trained: Trained) -> str:
    """Say what a file holds."""
    return f"{len(trained.weights)} arrays; the metadata tell image, mean, std, classes and recipe"


def _in_order(data: bytes) -> bytes:
    """Return the file with its metadata sorted: the library writes them in an order that changes between processes."""
    header = json.loads(_header(data))
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the arrays start at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + data[8 + len(_header(data)) :]


def _header(data: bytes) -> bytes:
    """Return the JSON before the arrays; its length stands in the first eight bytes."""
    return data[8 : 8 + int.from_bytes(data[:8], "little")]
