import numpy as np


class BatchNorm:
    """Batch normalisation over the batch axis, inputs [N, D]."""

    def __init__(self, num_features=5, eps=1e-5, momentum=0.9):
        self.eps = eps
        self.momentum = momentum
        self.gamma = np.ones(num_features)
        self.beta = np.zeros(num_features)
        self.running_mean = np.zeros(num_features)
        self.running_var = np.ones(num_features)
        self.training = True

    def forward(self, x):
        if not self.training:
            xn = (x - self.running_mean) / np.sqrt(self.running_var + self.eps)
            return self.gamma * xn + self.beta
        self.N = x.shape[0]
        self.mu = x.mean(axis=0)
        self.xmu = x - self.mu
        self.var = np.mean(self.xmu ** 2, axis=0)
        self.istd = 1.0 / np.sqrt(self.var + self.eps)
        self.xhat = self.xmu * self.istd
        m = self.momentum
        self.running_mean = m * self.running_mean + (1 - m) * self.mu
        self.running_var = m * self.running_var + (1 - m) * self.var
        return self.gamma * self.xhat + self.beta

    def backward(self, dy):
        # parameters
        self.dgamma = np.sum(dy * self.xhat, axis=0)
        self.dbeta = np.sum(dy, axis=0)
        # input
        dxhat = dy * self.gamma
        dvar = np.sum(dxhat * self.xmu, axis=0) * -0.5 * self.istd ** 3
        dx = dxhat * self.istd
        dx = dx + dvar * 2.0 * self.xmu / self.N
        return dx
