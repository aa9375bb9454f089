import numpy as np


class Linear:
    def __init__(self, n_in=6, n_out=3):
        self.W = np.random.randn(n_in, n_out) * np.sqrt(2.0 / n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = np.mean(dy, axis=0)
        return dy @ self.W.T
