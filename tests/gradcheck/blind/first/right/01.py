import numpy as np


class FullyConnected:
    # weights stored as (out, in), one row per neuron

    def __init__(self, in_features=5, out_features=3):
        self.weight = np.random.normal(0, 1 / np.sqrt(in_features),
                                       (out_features, in_features))
        self.bias = np.zeros(out_features)

    def forward(self, x):
        self.last_input = x
        return np.dot(x, self.weight.T) + self.bias

    def backward(self, delta):
        self.grad_weight = np.zeros_like(self.weight)
        self.grad_bias = np.zeros_like(self.bias)
        for n in range(delta.shape[0]):
            for o in range(delta.shape[1]):
                self.grad_bias[o] += delta[n, o]
                for i in range(self.weight.shape[1]):
                    self.grad_weight[o, i] += delta[n, o] * self.last_input[n, i]
        return np.dot(delta, self.weight)
