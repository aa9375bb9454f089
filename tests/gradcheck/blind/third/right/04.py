import numpy as np


class TanhNet:
    def __init__(self, n_in=6, n_hidden=7, n_out=3):
        g = np.random.default_rng(0)
        self.W1 = g.normal(size=(n_in, n_hidden)) * 0.4
        self.b1 = np.zeros(n_hidden)
        self.W2 = g.normal(size=(n_hidden, n_out)) * 0.4
        self.b2 = np.zeros(n_out)
    def forward(self, x):
        self.x = x
        self.z = x @ self.W1 + self.b1
        self.a = np.tanh(self.z)
        return self.a @ self.W2 + self.b2
    def backward(self, dy):
        self.dW2 = self.a.T @ dy
        self.db2 = dy.sum(axis=0)
        dz = (dy @ self.W2.T) * (1 - self.a ** 2)
        self.dW1 = self.x.T @ dz
        self.db1 = dz.sum(axis=0)
        return dz @ self.W1.T
