"""A step asks nothing of the host that the capture of a CUDA graph forbids, as far as a machine without a GPU can tell.

Torch's meta device has shapes and no values: what would read one there raises, and so does what has a shape that
depends on values. A tensor of the host among an operation's inputs would be copied over, which a capture forbids too.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eailab.engines.torch_resnet import augment, models
from eailab.engines.torch_resnet.augment import Normalisation
from eailab.engines.torch_resnet.batches import TrainingBatches
from eailab.engines.torch_resnet.cuda_graphs import EpochTables
from eailab.engines.torch_resnet.step import Average, Running, batch_loss, count_correct

META = torch.device("meta")


class OnTheDevice(TorchDispatchMode):
    """Refuses operations with a tensor of the host among what they take or give."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        found = operation(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, found)) if isinstance(leaf, torch.Tensor)]
        assert all(tensor.device == META for tensor in tensors), f"{operation} has a tensor of the host"
        return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("way", ["none", "crop-flip", "cutout", "trivial-augment", "resize-224"])
def test_a_planned_step_reads_and_sends_nothing(make_recipe, make_data, way, channels):
    """From the plan's rows to the gradients and the average; torch's fused optimizers have no meta form."""
    recipe, data = make_recipe(augment=way, mixup=0.2), make_data(channels=channels)
    normalise = Normalisation(data, META, torch.channels_last)
    variation = augment.build(recipe.data.augment, 32, 32, normalise.mean)
    batches = TrainingBatches(data.train, variation, normalise, batch_size=16, mixup=0.2, block=0, device=META)
    plan = EpochTables(batches.draw(1), batches.steps, batches.batch_size)
    model, average = (models.build(recipe.model, 4, block=0).to(META).train() for _ in range(2))
    running = Running(META)
    with OnTheDevice():
        batch = batches.make(plan.rows(16))
        logits = model(batch.images)
        loss = batch_loss(logits, batch, smoothing=0.1)
        with torch.no_grad():
            running.add(loss, count_correct(logits, batch), batch.counted)
        loss.backward()
        Average(average, model, 0.9).update()
        plan.position.add_(1)
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_what_is_read_or_sent_is_noticed(make_data):
    values = torch.zeros(3, device=META)
    with OnTheDevice():
        with pytest.raises(AssertionError, match="a tensor of the host"):
            values.add_(torch.ones(3))
        with pytest.raises(RuntimeError):
            values.sum().item()
        with pytest.raises(NotImplementedError):
            values[values > 0.0]
