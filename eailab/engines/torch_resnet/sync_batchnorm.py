"""Normalise over the whole of a batch whose images are shared out among several processes (BatchNorm).

Shapes: `B` images of this process's share, `C` channels, `H` rows, `W` columns.
Torch's own `SyncBatchNorm` refuses CPUs. This one is plain torch and works wherever the process group does, so that
what the tests see on CPUs is what GPUs compute; fused kernels would be quicker there.
"""

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn


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


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Scale each channel by mean and variance over the images of all processes (Ioffe & Szegedy, 2015, algorithm 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to the same shape and type; sums are at least in float32, and `B` may be 0."""
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        here = wide.new_full((1,), x.numel() // x.shape[1])
        sums = total(torch.cat([wide.sum((0, 2, 3)), here]))
        count = sums[-1]
        mean = sums[:-1] / count
        centred = wide - mean[:, None, None]
        variance = total(centred.square().sum((0, 2, 3))) / count
        self._run(mean, variance * (count / (count - 1.0)))
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _run(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch."""
        momentum = cast(float, self.momentum)
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(variance, momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)


def convert(model: nn.Module) -> None:
    """Put a synchronised BatchNorm in each one's place, with the same parameters and running statistics."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            synchronised = SynchronisedBatchNorm(module.num_features, module.eps, module.momentum)
            synchronised.load_state_dict(module.state_dict())
            model.set_submodule(name, synchronised.train(module.training))
