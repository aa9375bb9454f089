import numpy as np

class AvgPool2D:
    """non-overlapping average pooling"""

    def __init__(self, k=2):
        self.k = k

    def forward(self, x):
        N, C, H, W = x.shape
        k = self.k
        assert H % k == 0 and W % k == 0
        return x.reshape(N, C, H // k, k, W // k, k).mean(axis=(3, 5))

    def backward(self, dy):
        dx = np.repeat(np.repeat(dy, self.k, axis=2), self.k, axis=3)
        return dx / (self.k * self.k)
