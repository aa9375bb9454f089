import numpy as np


class HuberLoss:
    def forward(self, y, target):
        self.d = y - target
        a = np.abs(self.d)
        return np.where(a <= 1, 0.5 * a ** 2, a - 0.5).mean()
    def backward(self):
        return np.where(np.abs(self.d) <= 1, self.d, np.sign(self.d)) / self.d.size
