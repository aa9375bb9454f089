import numpy as np


class RMSNorm:
    def __init__(self, dim=6):
        self.g = np.ones(dim)
    def forward(self, x):
        self.x = x
        self.r = np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-5)
        self.n = x / self.r
        return self.n * self.g
    def backward(self, dy):
        self.dg = (dy * self.n).sum(0)
        dn = dy * self.g
        return (dn - self.n * (dn * self.n).mean(-1, keepdims=True)) / self.r
