import numpy as np


class LeakyReLU:
    def __init__(self, alpha=0.1):
        self.alpha = alpha

    def forward(self, x):
        self.positive = x > 0
        return np.where(self.positive, x, self.alpha * x)

    def backward(self, dy):
        dx = np.array(dy, copy=True)
        dx[~self.positive] *= self.alpha
        return dx
