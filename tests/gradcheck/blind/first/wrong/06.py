import numpy as np


class MSELoss:
    """
    Mean squared error against one-hot targets.
    L = 1/N * sum_n sum_c (y_nc - t_nc)^2
    """

    def forward(self, logits, labels):
        n, c = logits.shape
        t = np.zeros((n, c))
        t[np.arange(n), labels] = 1
        self.diff = logits - t
        self.n = n
        return np.sum(self.diff ** 2) / n

    def backward(self):
        return self.diff / self.n
