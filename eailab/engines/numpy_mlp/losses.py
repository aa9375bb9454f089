"""Compute softmax and cross-entropy together, with label smoothing (Szegedy et al., 2016).

With logits `z` `[B, K]`, log-probabilities `log p = z - log sum exp z` (the row's largest logit is taken off first, so
that logits of ±10,000 neither overflow nor lose the loss) and targets `t = (1 - s) onehot + s / K`, the loss of a row
is `-sum t log p`, and the gradient of the batch's mean loss is `(p - t) / B`.
"""

import numpy as np
from numpy.typing import NDArray

from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.flat_params import buffer
from eailab.engines.numpy_mlp.layers import Signal


class SoftmaxCrossEntropy:
    """The loss at work on batches of one size, like the stages of the layers before it.

    Args:
        logits: Those of the last layer; the gradient is written into theirs.
        smoothing: Share of the target's probability that is spread evenly over all classes.
    """

    def __init__(self, logits: Signal, smoothing: float = 0.0) -> None:
        rows, classes = logits.value.shape
        dtype = logits.value.dtype
        self.smoothing = smoothing
        self.logits = logits
        self._by_class = buffer((classes, rows), dtype)
        self._targets, self._normalisers = buffer((rows,), dtype), buffer((rows,), dtype)

    def score(self, labels: NDArray[np.int64]) -> tuple[float, int]:
        """Score the batch and write the gradient of its mean loss.

        Args:
            labels: `[B]`, from 0 to `K` - 1.

        Returns:
            The sum of the rows' losses in nats, not finite where a logit is not; and how many rows have their (first)
            largest logit at their label.
        """
        turned, targets = self._by_class, self._targets
        correct = kernels.shift_logits(self.logits.value, labels, self.smoothing, turned, targets)
        np.exp(turned, out=turned)
        loss = kernels.cross_entropy(labels, self.smoothing, targets, turned, self._normalisers, self.logits.gradient)
        return loss, correct
