import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    s = sigmoid(z)
    return s * (1 - s)


class Sigmoid:
    def forward(self, x):
        self.a = sigmoid(x)
        return self.a

    def backward(self, dy):
        return dy * sigmoid_prime(self.a)
