"""What a format of exported networks can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.data.dataset import Pixels
from eailab.inference.trained import Trained


@dataclass(frozen=True)
class Runner:
    """An exported file at work."""

    by: str
    """The software that runs it, in words."""
    logits: Callable[[Pixels], NDArray[np.floating[Any]]]
    """From images `[N, H, W, C]` to the scores of each class, `[N, K]`."""


@dataclass(frozen=True)
class Format:
    """One kind of file that a network can be exported to."""

    suffix: str
    """How its files' names end."""
    make: Callable[[Trained, Mapping[str, str]], bytes]
    """From a network, and facts about it for the file's metadata, to the file's content."""
    opened: Callable[[bytes, Trained], Runner]
    """From a file's content, and the network that it is of, to that file at work."""
    holds: Callable[[Trained], str]
    """What a file of the network holds, in words."""


def whole_network(trained: Trained) -> str:
    """Say what a file takes and gives that does all that evaluation does."""
    shape = ", ".join(map(str, trained.expected.image))
    return f"from images, uint8 [N, {shape}], to logits, float32 [N, {len(trained.expected.classes)}]"
