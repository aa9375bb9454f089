import numpy as np


class MLP:
    def __init__(self, n_in=5, n_hidden=8, n_out=3):
        rng = np.random.RandomState(42)
        self.W_h = rng.randn(n_in, n_hidden) * 0.5
        self.b_h = np.zeros((1, n_hidden))
        self.W_o = rng.randn(n_hidden, n_out) * 0.5
        self.b_o = np.zeros((1, n_out))

    def forward(self, x):
        h = np.tanh(x @ self.W_h + self.b_h)
        self.cache = x, h
        return h @ self.W_o + self.b_o

    def backward(self, dy):
        x, h = self.cache
        self.grad_W_o = h.T @ dy
        self.grad_b_o = dy.sum(axis=0, keepdims=True)
        dpre = (dy @ self.W_o.T) * (1 - h * h)
        self.grad_W_h = x.T @ dpre
        self.grad_b_h = dpre.sum(axis=0, keepdims=True)
        return dpre @ self.W_h.T
