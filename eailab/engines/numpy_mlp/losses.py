"""Softmax and cross-entropy in one, with label smoothing (Szegedy et al., 2016).

With logits `z` `[B, K]`, log-probabilities `log p = z - log sum exp z` (the row's largest logit is taken off first, so
that logits of ±10,000 neither overflow nor lose the loss) and targets `t = (1 - s) onehot + s / K`, the loss of a row
is `-sum t log p`, and the gradient of the batch's mean loss is `(p - t) / B`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.layout import Floats


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """The loss of a batch, and its gradient in place of the logits."""

    smoothing: float = 0.0
    """Share of the target's probability that is spread evenly over all classes."""

    def __call__(self, logits: Floats, labels: NDArray[np.int64], gradient: Floats) -> tuple[float, int]:
        """Score a batch and write the gradient of its mean loss.

        Args:
            logits: `[B, K]`.
            labels: `[B]`, from 0 to `K` - 1.
            gradient: `[B, K]`, written; may be `logits` itself.

        Returns:
            The sum of the rows' losses in nats, not finite where a logit is not; and how many rows have their (first)
            largest logit at their label.
        """
        targets = np.empty(len(labels), logits.dtype)
        correct = kernels.shift_logits(logits, labels, self.smoothing, gradient, targets)
        np.exp(gradient, out=gradient)
        return kernels.cross_entropy(labels, self.smoothing, targets, gradient), correct
