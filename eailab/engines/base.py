"""Define the protocol that every engine follows."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

from eailab.metrics import SplitName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eailab.data.dataset import TrialData
    from eailab.engines.summary import NetworkSummary

Arrays: TypeAlias = dict[str, "NDArray[np.generic]"]
Scores: TypeAlias = Mapping[str, float]
"""Values of the metrics that the engine declares, by `Metric.key`."""


@dataclass(frozen=True)
class Evaluation:
    """Scores over a whole split, and what was predicted for each image."""

    scores: Scores
    predictions: NDArray[np.uint16]
    """`[N]`, the predicted class of each image, in the split's order."""


@dataclass(frozen=True)
class Expected:
    """The images that a trained network expects, and what it calls their classes."""

    image: tuple[int, int, int]
    """Rows `H`, columns `W` and channels `C` that it was trained on, before any resizing of its own."""
    mean: NDArray[np.float32]
    """`[C]`, of the training split, as in `TrialData`."""
    std: NDArray[np.float32]
    """`[C]`, as above."""
    classes: tuple[str, ...]

    @classmethod
    def by(cls, data: TrialData) -> Self:
        """Return what a network trained on these data expects."""
        height, width, channels = data.train.pixels.shape[1:]
        return cls((height, width, channels), data.mean, data.std, data.classes)

    def facts(self) -> dict[str, str]:
        """Return what the metadata of a file of weights tell of it, as JSON."""
        return {
            "image": json.dumps(self.image),
            "mean": json.dumps(self.mean.tolist()),
            "std": json.dumps(self.std.tolist()),
            "classes": json.dumps(self.classes),
        }

    @classmethod
    def read(cls, facts: Mapping[str, str]) -> Self:
        """Read what `facts` returned.

        Raises:
            KeyError: One is missing.
            ValueError: One is not what it should be.
        """
        import numpy as np  # only here and below: lists of trials do without it

        image, mean, std, classes = (json.loads(facts[name]) for name in ("image", "mean", "std", "classes"))
        if not isinstance(image, list) or len(image) != 3 or any(type(size) is not int or size < 1 for size in image):
            raise ValueError(f"{image!r:.60} is not the size of an image")
        for numbers, least in ((mean, 0.0), (std, 1e-9)):
            known = isinstance(numbers, list) and len(numbers) == image[2]
            if not known or any(type(one) not in (int, float) or not least <= one < 1e9 for one in numbers):
                raise ValueError(f"{numbers!r:.60} is not the mean or spread of {image[2]} channels")
        if not isinstance(classes, list) or len(classes) < 2 or any(not isinstance(name, str) for name in classes):
            raise ValueError(f"{classes!r:.60} are not the names of classes")
        height, width, channels = image
        return cls((height, width, channels), np.array(mean, np.float32), np.array(std, np.float32), tuple(classes))


def check_weights(weights: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that are not those of a network, before one of another shape is stretched to fit.

    Raises:
        ValueError: An array is missing, foreign or of another shape, or holds a number that is not finite.
    """
    import numpy as np

    if other := sorted(weights.keys() ^ shapes.keys()):
        raise ValueError(f"{other[0]} is {'missing' if other[0] in shapes else 'not a part of its network'}")
    for name, array in weights.items():
        if array.shape != shapes[name]:
            raise ValueError(f"{name} has the shape {array.shape}, and its network {shapes[name]}")
        if array.dtype.kind not in "fi" or not np.isfinite(array).all():
            raise ValueError(f"{name} contains numbers that are not finite, or of a kind that no weights have")


@dataclass(frozen=True)
class Reported:
    """Hold what a person's own training has reported last, for people to look at while it runs."""

    values: Scores
    axis: str = ""
    """What it counts: "epoch" or "step"; empty where it counts nothing."""
    number: int | None = None
    """Of the last epoch or step."""
    total: int | None = None
    """How many there will be; None where that is not known."""


@dataclass(frozen=True)
class Step:
    """Describe how far an epoch has come; sent now and then while it runs."""

    step: int
    """Steps done in this epoch."""
    steps: int
    """Steps of the epoch."""
    loss: float | None
    """Mean training loss of the epoch so far; None where reading it would stall the device."""
    reported: Reported | None = None
    """Of a person's own training, which is one epoch: what it has said of itself."""

    @classmethod
    def own(cls, reported: Reported | None) -> Self:
        """Return how far a person's own training is, as it says itself."""
        if reported is None or not reported.total or reported.number is None:
            return cls(0, 1, None, reported)
        return cls(min(reported.number, reported.total), reported.total, None, reported)


OnStep: TypeAlias = Callable[[Step], None]
"""Called by an engine between two steps; what it raises ends the epoch, and the engine is not used again."""


class Engine(Protocol):
    """One trial in training. An engine may inherit from this class for what it does not need to do itself.

    All chance comes from `eailab.seeding.stream` with the trial's block and the epoch's number, so that the state after
    a step is all that a resumed trial needs.
    """

    device: str = "cpu"
    """What it runs on, in words: "cpu" or the GPU's name."""
    parameters: int | None = None
    """Number of trained parameters; None where it has no such number."""
    summary: NetworkSummary | None = None
    """Layers of a network whose code is not eailab's; None of others, which follow from the recipe."""

    @abstractmethod
    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Train one epoch and return its scores; of image engines the running ones of its (augmented) batches.

        After `load_state` of a state within this epoch, train over what is left; the scores are the whole epoch's.

        Args:
            number: The epoch's number, from 1.
            on_step: Called between steps, a few times a second, and after the last.

        Raises:
            DivergedError: The loss is not finite; the optimizer has not acted on it.
        """

    def joules(self) -> float | None:
        """Return the energy that the device has used up to now, by a counter that never goes back; None without one."""
        return None

    def state(self) -> Arrays | None:
        """Return a copy of all that training on needs, by name; a file of it and `load_state` give the same bits.

        It may be asked for between two epochs, and by `on_step`. None where a trial can only start from its beginning.
        """
        return None

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take up a state that an engine of the same recipe and data returned."""
        raise NotImplementedError

    def artifacts(self) -> Mapping[str, bytes]:
        """Return the content of the files that `EngineSpec.artifacts` declares, once, after the last epoch.

        Those that the engine has written into the trial's folder itself are left out; weights and predictions of an
        engine with a data set are asked for by `weights` and `evaluate`.
        """
        return {}

    # --- asked of an engine with a data set only ---

    def evaluate(self, split: SplitName) -> Evaluation:
        """Score the current weights (their moving average, if the recipe asks for one) over one split, unaugmented."""
        raise NotImplementedError

    def weights(self) -> Arrays:
        """Return a copy of the weights that `evaluate` uses, by the names that other software knows them by."""
        raise NotImplementedError


DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Setup:
    """Hold what an engine is built from besides its recipe."""

    block: int
    """The seed bundle's number, 0 or more."""
    device: DeviceName = "auto"
    data: TrialData | None = None
    """The block's splits; None for an engine without a data set."""
    folder: Path = Path()
    """The trial's own, which is locked: an engine may write the artifacts that it declares there, and read what an
    earlier attempt has left."""

    @property
    def images(self) -> TrialData:
        """Return the splits, of an engine that has a data set."""
        assert self.data is not None  # noqa: S101 - `EngineSpec.images` says so
        return self.data


@dataclass
class Compilation:
    """Hold what this process has compiled within `EngineSpec.reporting_compilation`."""

    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one compilation."""
        self.seconds += seconds

    def clock(self) -> float:
        """Return the seconds of a clock that stands still during compilations."""
        return time.perf_counter() - self.seconds


COMPILATION = Compilation()
"""It is not training: the times of epochs leave it out."""
