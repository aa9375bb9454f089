import numpy as np

class ReLU():
    def forward(self, x):
        self.x = x
        return np.maximum(0, x)

    def backward(self, dy):
        dx = dy.copy()
        dx[dy <= 0] = 0
        return dx
