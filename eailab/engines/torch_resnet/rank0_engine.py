"""Lead a trial that several processes train: rank 0 follows the loop, and sends the others their work.

Only the first process knows the recipe's file, the data set and the store; the others are sent the recipe and the
splits, take part in its epochs, and neither write nor print. Messages go through gloo, between CPUs.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from eailab.data.dataset import TrialData
from eailab.engines.base import Arrays, DeviceName, Engine, Evaluation, OnStep, Scores
from eailab.engines.torch_resnet.distributed import Team, is_of_others
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.errors import DivergedError, TrialFailedError
from eailab.metrics import SplitName
from eailab.recipe.schema import ResNetRecipe


@dataclass(frozen=True)
class Begin:
    """Get ready for a trial."""

    recipe: ResNetRecipe
    data: TrialData
    block: int


@dataclass(frozen=True)
class TakeUp:
    """Go on from a state."""

    state: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class TrainEpoch:
    """Take part in an epoch."""

    number: int


@dataclass(frozen=True)
class Leave:
    """There is nothing more to do."""


Message = Begin | TakeUp | TrainEpoch | Leave


def tell(message: Message) -> None:
    """Send a message from the first process to all others."""
    with others_needed():
        dist.broadcast_object_list([message], src=0, device=torch.device("cpu"))


def hear() -> Message:
    """Wait for the first process's next message."""
    box: list[Message | None] = [None]
    with others_needed():
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    message = box[0]
    assert message is not None  # noqa: S101 - `tell` sends no other
    return message


@contextmanager
def others_needed() -> Iterator[None]:
    """Turn what torch raises when another process has gone into an error of the family.

    Raises:
        TrialFailedError: Another process has ended; what ended it stands in its own output.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_of_others(error):
            raise
        raise TrialFailedError(
            "another process of this run has ended, and the trial cannot continue without it: its message says why. "
            "The same command continues from the last checkpoint."
        ) from error


class LeadingEngine(Engine):
    """The engine of the first process (see `eailab.engines.base.Engine`): what it trains, the others train with it.

    Evaluation is its own work, for which the others wait. It counts no joules, since it sees its own GPU only.

    Raises:
        DeviceError: See `ResNetEngine`.
    """

    def __init__(self, recipe: ResNetRecipe, data: TrialData, block: int, device: DeviceName, team: Team) -> None:
        tell(Begin(recipe, data, block))
        with others_needed():
            self._engine = ResNetEngine(recipe, data, block, device, team=team)
        self.device = f"{team.size} processes on {self._engine.device}"
        self.parameters = self._engine.parameters

    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Train over the training split once, all processes together; see `Engine.train_epoch`."""
        tell(TrainEpoch(number))
        with others_needed():
            return self._engine.train_epoch(number, on_step)

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Let all processes take up a state; see `Engine.load_state`."""
        self._engine.load_state(state)
        tell(TakeUp(state))

    def evaluate(self, split: SplitName) -> Evaluation:
        """See `Engine.evaluate`."""
        return self._engine.evaluate(split)

    def state(self) -> Arrays:
        """See `Engine.state`; it is the same in all processes."""
        return self._engine.state()

    def weights(self) -> Arrays:
        """See `Engine.weights`."""
        return self._engine.weights()


def follow(device: DeviceName, team: Team) -> None:
    """Do what the first process says until it says to leave.

    Raises:
        TrialFailedError: Another process has ended.
    """
    engine: ResNetEngine | None = None
    while not isinstance(message := hear(), Leave):
        with others_needed():
            match message:
                case Begin():
                    torch.set_num_threads(message.recipe.threads)
                    engine = ResNetEngine(message.recipe, message.data, message.block, device, team=team)
                case TakeUp() if engine is not None:
                    engine.load_state(message.state)
                case TrainEpoch() if engine is not None:
                    with suppress(DivergedError):  # the first process finds it in the same step, and records it
                        engine.train_epoch(message.number, lambda _: None)
