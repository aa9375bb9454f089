import numpy as np


class Attention:
    """Self-attention with x as queries, keys and values, and a matrix for the queries."""
    def __init__(self, dim=4):
        g = np.random.default_rng(0)
        self.Wq = g.normal(size=(dim, dim)) * 0.5
        self.Wv = g.normal(size=(dim, dim)) * 0.5
    def forward(self, x):
        self.x = x
        self.q = x @ self.Wq
        self.v = x @ self.Wv
        s = self.q @ x.transpose(0, 2, 1) / np.sqrt(x.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        self.p = e / e.sum(-1, keepdims=True)
        return self.p @ self.v
    def backward(self, dy):
        x = self.x
        dv = self.p.transpose(0, 2, 1) @ dy
        dp = dy @ self.v.transpose(0, 2, 1)
        ds = self.p * (dp - (dp * self.p).sum(-1, keepdims=True)) 
        dq = ds @ x
        dk = ds.transpose(0, 2, 1) @ self.q
        self.dWq = np.einsum("bti,btj->ij", x, dq)
        self.dWv = np.einsum("bti,btj->ij", x, dv)
        return dq @ self.Wq.T + dv @ self.Wv.T + dk
