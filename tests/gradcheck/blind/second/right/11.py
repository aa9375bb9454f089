import numpy as np


class HingeLoss:
    """Multiclass SVM loss with margin 1, mean over the batch."""

    def __init__(self, delta=1.0):
        self.delta = delta

    def forward(self, logits, labels):
        self.n = logits.shape[0]
        self.labels = labels
        idx = np.arange(self.n)
        correct = logits[idx, labels][:, None]
        self.margins = np.maximum(0, logits - correct + self.delta)
        self.margins[idx, labels] = 0
        return float(self.margins.sum() / self.n)

    def backward(self):
        g = (self.margins > 0).astype(float)
        g[np.arange(self.n), self.labels] = -g.sum(axis=1)
        return g / self.n
