import numpy as np


class Dropout:
    def __init__(self, keep_prob=0.7):
        self.keep_prob = keep_prob
        self.training = True

    def forward(self, x):
        if self.training:
            self.mask = (np.random.rand(*x.shape) < self.keep_prob) / self.keep_prob
        else:
            self.mask = 1.0
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask
