import numpy as np


class RNN:
    """x [B, T, I] to h [B, T, H]."""
    def __init__(self, n_in=5, n_hidden=4):
        g = np.random.default_rng(0)
        self.Wx = g.normal(size=(n_in, n_hidden)) * 0.4
        self.Wh = g.normal(size=(n_hidden, n_hidden)) * 0.4
        self.b = np.zeros(n_hidden)
    def forward(self, x):
        self.x = x
        B, T, _ = x.shape
        self.h = np.zeros((B, T + 1, self.Wh.shape[0]))
        for t in range(T):
            self.h[:, t + 1] = np.tanh(x[:, t] @ self.Wx + self.h[:, t] @ self.Wh + self.b)
        return self.h[:, 1:].copy()
    def backward(self, dy):
        B, T, _ = self.x.shape
        dx = np.zeros_like(self.x)
        self.dWx, self.dWh, self.db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros_like(self.b)
        dh = 0.0
        for t in reversed(range(T)):
            dz = dy[:, t] * (1 - self.h[:, t + 1] ** 2)
            self.dWx += self.x[:, t].T @ dz
            self.dWh += self.h[:, t].T @ dz
            self.db += dz.sum(axis=0)
            dx[:, t] = dz @ self.Wx.T
            dh = dz @ self.Wh.T
        return dx
