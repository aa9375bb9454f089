import numpy as np


class Conv1d:
    """x [B, C, T], W [O, C, K], stride 2."""
    def __init__(self, c_in=4, c_out=3, kernel=3, stride=2):
        g = np.random.default_rng(0)
        self.W = g.normal(size=(c_out, c_in, kernel)) * 0.3
        self.b = np.zeros(c_out)
        self.stride = stride
    def forward(self, x):
        self.x = x
        K, s = self.W.shape[2], self.stride
        n = (x.shape[2] - K) // s + 1
        return np.stack([np.einsum("bck,ock->bo", x[:, :, t*s:t*s+K], self.W) + self.b for t in range(n)], axis=2)
    def backward(self, dy):
        K, s = self.W.shape[2], self.stride
        self.dW, dx = np.zeros_like(self.W), np.zeros_like(self.x)
        for t in range(dy.shape[2]):
            self.dW += np.einsum("bo,bck->ock", dy[:, :, t], self.x[:, :, t:t+K])
            dx[:, :, t*s:t*s+K] += np.einsum("bo,ock->bck", dy[:, :, t], self.W)
        self.db = dy.sum(axis=(0, 2))
        return dx
