import numpy as np


class Linear:
    """Fully connected layer: y = x W + b"""

    def __init__(self, n_in=6, n_out=3):
        self.W = np.random.randn(n_in, n_out) * np.sqrt(2.0 / n_in)
        self.b = np.zeros(n_out)
        self.x = None
        self.dW = None
        self.db = None

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        batch_size = self.x.shape[0]
        self.dW = self.x.T @ dy / batch_size
        self.db = np.sum(dy, axis=0)
        return dy @ self.W.T
