import numpy as np


class Dropout:
    """Inverted dropout."""

    def __init__(self, p=0.4, seed=7):
        self.p = p                     # probability of dropping a unit
        self.rng = np.random.default_rng(seed)
        self.train = True

    def forward(self, x):
        if not self.train:
            self.mask = np.ones_like(x)
            return x
        self.mask = self.rng.random(x.shape) >= self.p
        return x * self.mask / (1.0 - self.p)

    def backward(self, dy):
        return dy * self.mask
