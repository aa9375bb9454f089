import numpy as np


class MLP:
    def __init__(self, sizes=(6, 7, 3), seed=5):
        rng = np.random.default_rng(seed)
        d, h, c = sizes
        self.W1 = rng.normal(size=(d, h)) / np.sqrt(d)
        self.b1 = np.zeros((1, h))
        self.W2 = rng.normal(size=(h, c)) / np.sqrt(h)
        self.b2 = np.zeros((1, c))

    def forward(self, X):
        self.X = X
        self.A1 = np.tanh(X @ self.W1 + self.b1)
        return self.A1 @ self.W2 + self.b2

    def backward(self, dZ2):
        self.dW2 = self.A1.T @ dZ2
        self.db2 = dZ2.sum(axis=0, keepdims=True)
        dA1 = dZ2 @ self.W2.T
        dZ1 = dA1 * (1 - self.A1 ** 2)
        self.dW1 = self.X.T @ dZ1
        self.db1 = dZ1.sum(axis=0, keepdims=True)
        return dZ1 @ self.W1.T
