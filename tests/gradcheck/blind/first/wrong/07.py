import numpy as np


class BatchNorm1d:
    def __init__(self, num_features=5, eps=1e-5):
        self.eps = eps
        self.gamma = np.ones(num_features)
        self.beta = np.zeros(num_features)

    def forward(self, x):
        mu = x.mean(axis=0)
        var = x.var(axis=0)
        self.inv_std = 1.0 / np.sqrt(var + self.eps)
        self.x_hat = (x - mu) * self.inv_std
        return self.gamma * self.x_hat + self.beta

    def backward(self, dout):
        self.dgamma = np.sum(dout * self.x_hat, axis=0)
        self.dbeta = np.sum(dout, axis=0)

        dx_hat = dout * self.gamma
        # through (x - mu) / std
        dx = dx_hat * self.inv_std
        # through the mean
        dmu = -np.sum(dx_hat * self.inv_std, axis=0)
        dx += dmu / dout.shape[0]
        return dx
