import numpy as np


class DenseLayer:
    """Fully connected layer that does its own SGD step."""

    def __init__(self, in_features=5, out_features=4, learning_rate=0.1):
        limit = np.sqrt(6.0 / (in_features + out_features))
        self.weights = np.random.uniform(-limit, limit, (in_features, out_features))
        self.bias = np.zeros((1, out_features))
        self.learning_rate = learning_rate

    def forward(self, x):
        self.inputs = x
        return np.dot(x, self.weights) + self.bias

    def backward(self, dy):
        self.grad_weights = np.dot(self.inputs.T, dy)
        self.grad_bias = np.sum(dy, axis=0, keepdims=True)

        # gradient descent
        self.weights -= self.learning_rate * self.grad_weights
        self.bias -= self.learning_rate * self.grad_bias

        grad_input = np.dot(dy, self.weights.T)
        return grad_input
