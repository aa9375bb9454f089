import numpy as np


class Linear:
    """Weights stored [out, in] as in PyTorch; gradients in preallocated buffers."""

    def __init__(self, in_features=5, out_features=3):
        bound = 1 / np.sqrt(in_features)
        self.weight = np.random.uniform(-bound, bound, (out_features, in_features))
        self.bias = np.random.uniform(-bound, bound, out_features)
        self.dweight = np.zeros_like(self.weight)
        self.dbias = np.zeros_like(self.bias)

    def forward(self, x):
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, dy):
        self.dweight[...] = dy.T @ self.x
        self.dbias[...] = dy.sum(axis=0)
        return dy @ self.weight
