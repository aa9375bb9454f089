import numpy as np


class Softmax:
    """softmax over the last axis"""

    def __init__(self):
        self.s = None

    def forward(self, x):
        z = x - x.max(axis=1, keepdims=True)   # for stability
        e = np.exp(z)
        self.s = e / e.sum(axis=1, keepdims=True)
        return self.s

    def backward(self, dy):
        # ds/dx = s (1 - s)
        return self.s * (1.0 - self.s) * dy
