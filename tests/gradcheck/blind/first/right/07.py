import numpy as np


class BatchNorm:
    def __init__(self, D=4, momentum=0.9, eps=1e-5):
        self.gamma = np.ones((1, D))
        self.beta = np.zeros((1, D))
        self.running_mean = np.zeros((1, D))
        self.running_var = np.ones((1, D))
        self.momentum = momentum
        self.eps = eps
        self.training = True

    def forward(self, x):
        if not self.training:
            xn = (x - self.running_mean) / np.sqrt(self.running_var + self.eps)
            return self.gamma * xn + self.beta
        mean = np.mean(x, axis=0, keepdims=True)
        self.xmu = x - mean
        self.var = np.mean(self.xmu ** 2, axis=0, keepdims=True)
        self.std = np.sqrt(self.var + self.eps)
        self.xn = self.xmu / self.std
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * self.var
        return self.gamma * self.xn + self.beta

    def backward(self, dy):
        m = dy.shape[0]
        self.dbeta = np.sum(dy, axis=0, keepdims=True)
        self.dgamma = np.sum(dy * self.xn, axis=0, keepdims=True)

        dxn = dy * self.gamma
        dvar = np.sum(dxn * self.xmu, axis=0, keepdims=True) * -0.5 * self.std ** -3
        dmean = np.sum(dxn * -1 / self.std, axis=0, keepdims=True) \
            + dvar * np.mean(-2 * self.xmu, axis=0, keepdims=True)
        dx = dxn / self.std + dvar * 2 * self.xmu / m + dmean / m
        return dx
