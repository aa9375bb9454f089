import numpy as np


class L2Linear:
    def __init__(self, n_in=6, n_out=5):
        g = np.random.default_rng(0)
        self.W = g.normal(size=(n_in, n_out)) * 0.3
        self.b = np.zeros(n_out)
        self.weight_decay = 0.01
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(0)
        return dy @ self.W.T
