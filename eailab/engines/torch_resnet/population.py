"""Train many trials side by side on one device, each with the bits it has when it is trained alone.

A slot is an engine on a lane of its own. A trial that ends leaves its slot to the next one of the same program, which
is put in its place by copying initial values: its steps are captured once for all of them. Nothing is shared between
slots but images, which nobody writes. One thread serves all slots in turn (`runs.executors.slots`); on CUDA their
launches overlap.

This is tested on the CPU with eager lanes. **No GPU has run several slots yet**; `benchmarks/gpu.py` checks that there,
too, a trial's bits do not depend on its neighbours.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from eailab.data.dataset import TrialData
from eailab.engines.base import DeviceName, Engine
from eailab.engines.torch_resnet import cuda_graphs, devices, distributed
from eailab.engines.torch_resnet.cuda_graphs import CudaLane, Lane
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.recipe.identity import canonical, digest
from eailab.recipe.schema import Recipe, ResNetRecipe

MOST_SLOTS = CudaLane.MOST
"""Of a process, whatever the device's memory."""

RATES_ONLY = ("schedule", "epochs")
"""Keys of a recipe that change nothing but the learning rates and how many there are."""


def program(recipe: ResNetRecipe, block: int) -> Hashable:
    """Return what two trials must share so that one can take the other's place: all but rates, length and block.

    Of blocks that are split anew, each has a program of its own.
    """
    shared = canonical(recipe)
    for key in RATES_ONLY:
        del shared[key]
    optimizer = shared["optimizer"]
    assert isinstance(optimizer, dict)  # noqa: S101 - every recipe's is one
    shared["optimizer"] = {key: value for key, value in optimizer.items() if key != "lr"}
    return digest(shared), block if recipe.data.split == "per-block" else None


class Slot:
    """A lane, and the engine on it, which trials of one program use one after the other."""

    def __init__(self, make_lane: Callable[[], Lane]) -> None:
        self._lane = make_lane()
        self._engine: ResNetEngine | None = None
        self.program: Hashable = None
        """Of the engine; None before the first."""

    def build(self, recipe: Recipe, data: TrialData, block: int, device: DeviceName) -> Engine:
        """Return an engine at a trial's beginning: the last trial's, if it has the same program; see `base.build`."""
        assert isinstance(recipe, ResNetRecipe)  # noqa: S101 - no other has a program
        wanted = program(recipe, block)
        if self._engine is not None and self.program == wanted:
            self._engine.begin(recipe, block)
        else:
            self._engine, self.program = None, None  # its memory first
            self._engine = ResNetEngine(recipe, data, block, device, lane=self._lane)
            self.program = wanted
        return self._engine


def slot_maker(device: DeviceName) -> Callable[[], Slot] | None:
    """Return what makes a device's slots, or None where trials side by side are processes.

    Raises:
        DeviceError: The device is not here.
        UsageError: `cuda_graphs.SETTING` has a value that it does not know.
    """
    make_lane = cuda_graphs.maker(devices.choose(device))
    if make_lane is None or distributed.present().size > 1:
        return None
    return lambda: Slot(make_lane)


def choose(own: Hashable, waiting: Sequence[Hashable], beside: Sequence[Hashable]) -> int:
    """Return the place of the waiting trial that a free slot takes: of its own program, else where most wait a slot.

    Args:
        own: The slot's program.
        waiting: The waiting trials' programs, in the order in which they were asked for; at least one.
        beside: The other slots' programs.
    """
    if own in waiting:
        return waiting.index(own)
    left, served = Counter(waiting), Counter(beside)
    return max(range(len(waiting)), key=lambda place: (left[waiting[place]] / (1 + served[waiting[place]]), -place))
