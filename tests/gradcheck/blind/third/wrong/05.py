import numpy as np


class PReLU:
    def __init__(self, channels=3):
        self.alpha = np.full((1, channels, 1, 1), 0.25)
    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.alpha * x)
    def backward(self, dy):
        self.dalpha = (dy * self.x).sum(axis=(0, 2, 3), keepdims=True)
        return dy * np.where(self.x > 0, 1.0, self.alpha)
