import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    s = sigmoid(z)
    return s * (1 - s)


class Sigmoid:

    def forward(self, x):
        self.out = sigmoid(x)
        return self.out

    def backward(self, grad_output):
        return grad_output * sigmoid_prime(self.out)
