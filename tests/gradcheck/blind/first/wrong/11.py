import numpy as np


class TwoLayerNet:
    """affine - relu - affine"""

    def __init__(self, input_dim=6, hidden_dim=6, output_dim=4):
        self.W1 = np.random.randn(input_dim, hidden_dim) / np.sqrt(input_dim)
        self.b1 = np.zeros(hidden_dim)
        self.W2 = np.random.randn(hidden_dim, output_dim) / np.sqrt(hidden_dim)
        self.b2 = np.zeros(output_dim)

    def forward(self, X):
        self.X = X
        self.z1 = np.dot(X, self.W1) + self.b1
        self.a1 = np.maximum(self.z1, 0)
        z2 = np.dot(self.a1, self.W2) + self.b2
        return z2

    def backward(self, dz2):
        self.dW2 = np.dot(self.a1.T, dz2)
        self.db2 = np.sum(dz2, axis=0)

        da1 = np.dot(dz2, self.W2.T)
        dz1 = da1 * (self.z1 > 0)

        self.dW1 = np.dot(dz1.T, self.X)
        self.db1 = np.sum(dz1, axis=0)
        return np.dot(dz1, self.W1.T)
