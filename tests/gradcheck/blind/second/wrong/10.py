import numpy as np


class TwoLayerNet:
    """x -> affine -> relu -> affine -> scores"""

    def __init__(self, D=6, H=8, C=3, seed=1):
        r = np.random.RandomState(seed)
        self.W1 = r.randn(D, H) * np.sqrt(2 / D)
        self.b1 = np.zeros(H)
        self.W2 = r.randn(H, C) * np.sqrt(2 / H)
        self.b2 = np.zeros(C)

    def forward(self, x):
        self.x = x
        self.z1 = x.dot(self.W1) + self.b1
        self.h1 = np.maximum(self.z1, 0)
        return self.h1.dot(self.W2) + self.b2

    def backward(self, dy):
        # second layer
        self.dW2 = self.h1.T.dot(dy)
        self.db2 = dy.sum(axis=0)
        dh1 = dy.dot(self.W2.T)
        # first layer
        self.dW1 = self.x.T.dot(dh1)
        self.db1 = dh1.sum(axis=0)
        return dh1.dot(self.W1.T)
