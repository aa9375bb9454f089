import numpy as np


class MeanSquaredError:
    """0.5 * squared distance to the one-hot target, averaged over the batch"""

    def forward(self, logits, labels):
        self.onehot = np.eye(logits.shape[1])[labels]
        self.pred = logits
        return 0.5 * np.mean(np.sum((self.pred - self.onehot) ** 2, axis=1))

    def backward(self):
        return (self.pred - self.onehot) / self.pred.shape[0]
