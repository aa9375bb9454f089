"""Train one trial in several processes: share batches out, and add up losses and gradients.

Every process draws the same chance, makes the same whole batch and takes each `size`-th image of it. Losses are divided
by the images of the whole batch, gradients are summed, and BatchNorm's statistics are those of the whole batch
(`SynchronisedBatchNorm`): the trial is the same experiment with any number of processes, and its sums differ in their
last bits only, as they do between devices. What is summed decides what all do next, so that all find a divergence in
the same step.

Tested with gloo on CPUs. With NCCL on several GPUs it has never run.
"""

import os
import warnings
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from eailab.engines.base import DeviceName
from eailab.engines.torch_resnet import devices
from eailab.engines.torch_resnet.batches import Batch, Mix
from eailab.errors import DeviceError, UsageError

PATIENCE = timedelta(days=7)
"""How long a process waits for the others; one that has died is noticed by the launcher, which ends them all."""


@dataclass(frozen=True)
class Team:
    """Some processes, seen from one of them."""

    rank: int
    """Number of this process, from 0."""
    size: int

    def share(self, batch: Batch) -> Batch:
        """Return this process's images of a batch; there may be none in an epoch's last."""
        if self.size == 1:
            return batch
        mine = slice(self.rank, None, self.size)
        mix = None if batch.mix is None else Mix(batch.mix.labels[mine], batch.mix.share)
        return replace(batch, images=batch.images[mine], labels=batch.labels[mine], mix=mix, whole=len(batch.labels))

    def wrap(self, model: nn.Module, *, may_leave_some: bool) -> nn.Module:
        """Return a module that computes what `model` does, and whose gradients are the means over the processes.

        Args:
            model: On the device.
            may_leave_some: Whether a step's loss may not depend on some parameters, which takes a search in each step.
        """
        if self.size == 1:
            return model
        here = [torch.cuda.current_device()] if next(model.parameters()).is_cuda else None
        with warnings.catch_warnings():  # torch 2.15 renames the argument; 2.11 knows the old name only
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(
                model, device_ids=here, broadcast_buffers=False, find_unused_parameters=may_leave_some
            )

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of the whole batch's loss, of which `loss` is this process's addend."""
        whole = loss if self.size == 1 else loss * self.size  # `wrap` takes means, and this is a sum
        whole.backward()  # type: ignore[no-untyped-call]

    def total(self, loss: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over the processes of two scalars."""
        if self.size == 1:
            return loss, correct
        both = torch.stack([loss.detach(), correct])
        dist.all_reduce(both)
        return both[0], both[1]


ALONE = Team(rank=0, size=1)


def present() -> Team:
    """Return the team that this process belongs to."""
    return Team(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else ALONE


def join(name: DeviceName) -> Team:
    """Meet the other processes that torch's launcher has started, each with a GPU of its own where there are GPUs.

    Raises:
        DeviceError: CUDA was asked for and is not here, or this machine has more processes than GPUs.
    """
    backend = "gloo"
    if devices.choose(name).type == "cuda":
        backend = "cpu:gloo,cuda:nccl"
        place, present_gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if place >= present_gpus:
            raise DeviceError(
                f"this is process {place + 1} of this machine, which has {present_gpus} GPU"
                f"{'s' * (present_gpus != 1)}: start torchrun with --nproc-per-node {present_gpus}, or use --device cpu"
            )
        torch.cuda.set_device(place)
    dist.init_process_group(backend, timeout=PATIENCE)
    return present()


def is_of_others(error: RuntimeError) -> bool:
    """Return whether an error says that another process has gone."""
    return isinstance(error, dist.DistError) or any(name in str(error) for name in ("gloo", "NCCL"))


# --- BatchNorm over the whole batch ----------------------------------------------------------------------------------


class Total(torch.autograd.Function):
    """The sum of a tensor over the processes; since each output holds every input, gradients are summed likewise."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        """Return the sum, the same in all processes."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        """Return the sum of the processes' gradients."""
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def total(values: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes."""
    return cast(Tensor, Total.apply(values))


class SynchronisedBatchNorm(_BatchNorm):
    """Scale each channel by mean and variance over the images of all processes (Ioffe & Szegedy, 2015, algorithm 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, …]` to the same shape and type; sums are at least in float32, and `B` may be 0."""
        if not self.training:
            return super().forward(x)
        over, places = [0, *range(2, x.dim())], (-1, *[1] * (x.dim() - 2))
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        here = wide.new_full((1,), x.numel() // x.shape[1])
        sums = total(torch.cat([wide.sum(over), here]))
        count = sums[-1]
        if count.device.type == "cpu" and count.item() < 2:  # a GPU is not waited for
            raise ValueError("Expected more than 1 value per channel when training")
        mean = sums[:-1] / count
        centred = wide - mean.view(places)
        variance = total(centred.square().sum(over)) / count
        if self.running_mean is not None:
            self._run(mean, variance * (count / (count - 1.0)))
        scale = (variance + self.eps).rsqrt()
        if not self.affine:
            return (centred * scale.view(places)).to(x.dtype)
        return torch.addcmul(self.bias.view(places), centred, (self.weight * scale).view(places)).to(x.dtype)

    @torch.no_grad()
    def _run(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch; without a momentum they are means over the batches."""
        counted = cast(Tensor, self.num_batches_tracked).add_(1)
        momentum = 1.0 / counted.item() if self.momentum is None else self.momentum
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(variance, momentum)

    def _check_input_dim(self, _: Tensor) -> None:
        """Take any shape: the layer in whose place it is has taken the network's when it was tried."""


PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def synchronise_batchnorm(model: nn.Module) -> None:
    """Make each BatchNorm a synchronised one: the same object, in all places that have it, with all that hangs on it.

    Raises:
        UsageError: A layer is a batch normalisation of another kind, whose code may do more.
    """
    for name, module in model.named_modules():
        if not isinstance(module, _BatchNorm):
            continue
        if type(module) not in PLAIN or "forward" in vars(module):
            changed = " with a forward of its own" if type(module) in PLAIN else ""
            raise UsageError(
                f"the layer {name} is a {type(module).__name__}{changed}, which would normalise each process's images "
                "by themselves: train this network in one process, or build it of torch's BatchNorm1d, 2d or 3d."
            )
        module.__class__ = SynchronisedBatchNorm  # as torch does with its lazy layers
