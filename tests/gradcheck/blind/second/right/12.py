import numpy as np


class Sigmoid:
    def __init__(self):
        self.y = None

    def forward(self, x):
        # stable for large negative inputs
        self.y = np.where(x >= 0,
                          1 / (1 + np.exp(-np.abs(x))),
                          np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))
        return self.y

    def backward(self, dy):
        return dy * self.y * (1.0 - self.y)
