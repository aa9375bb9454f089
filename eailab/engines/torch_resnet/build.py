"""Choose the engine that trains a trial in this process."""

from eailab.data.dataset import TrialData
from eailab.engines.base import DeviceName, Engine
from eailab.engines.torch_resnet import cuda_graphs, devices, distributed
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.rank0_engine import LeadingEngine
from eailab.recipe.schema import ResNetRecipe


def build(recipe: ResNetRecipe, data: TrialData, block: int, device: DeviceName) -> Engine:
    """Return an engine for one trial: of several processes if a launcher started them.

    Raises:
        DataError: The data do not fit the recipe.
        DeviceError: The device is not here, or has not the recipe's precision.
        UsageError: `cuda_graphs.SETTING` has an unknown value.
    """
    together = distributed.present()
    if together.size > 1:
        return LeadingEngine(recipe, data, block, device, together)
    queue = cuda_graphs.make_queue(devices.choose(device))
    if queue is None:
        return ResNetEngine(recipe, data, block, device)
    return cuda_graphs.CapturedEngine(recipe, data, block, device, queue=queue)
