"""Draw initial weights. Shapes: `I` inputs, `O` outputs."""

from collections.abc import Callable
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Parts = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weight `[I, O]` and bias `[O]` of one linear layer."""


def he(inputs: int, outputs: int, chance: np.random.Generator) -> Parts:
    """Normal with variance 2 / I, for rectified units (He et al., 2015, eq. 10); no bias."""
    return chance.normal(0.0, sqrt(2.0 / inputs), (inputs, outputs)), np.zeros(outputs)


def xavier(inputs: int, outputs: int, chance: np.random.Generator) -> Parts:
    """Uniform with variance 2 / (I + O) (Glorot & Bengio, 2010, eq. 16); no bias."""
    bound = sqrt(6.0 / (inputs + outputs))
    return chance.uniform(-bound, bound, (inputs, outputs)), np.zeros(outputs)


def torch(inputs: int, outputs: int, chance: np.random.Generator) -> Parts:
    """Uniform within 1 / sqrt(I), weight and bias alike: the distribution of torch's `Linear`."""
    bound = 1.0 / sqrt(inputs)
    return chance.uniform(-bound, bound, (inputs, outputs)), chance.uniform(-bound, bound, outputs)


INITIALISATIONS: dict[Literal["he", "xavier", "torch"], Callable[[int, int, np.random.Generator], Parts]] = {
    "he": he,
    "xavier": xavier,
    "torch": torch,
}
