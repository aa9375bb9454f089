import numpy as np


class Residual:
    def __init__(self, dim=6):
        g = np.random.default_rng(0)
        self.W = g.normal(size=(dim, dim)) * 0.3
        self.b = np.zeros(dim)
    def forward(self, x):
        self.x = x
        self.h = np.maximum(x @ self.W + self.b, 0)
        return x + self.h
    def backward(self, dy):
        dh = dy * (self.h > 0)
        self.dW = self.x.T @ dh
        self.db = dh.sum(axis=0)
        return dh @ self.W.T
