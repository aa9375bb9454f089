import numpy as np

class LayerNorm:
    def __init__(self, dim=7, epsilon=1e-5):
        self.g = np.ones(dim)
        self.b = np.zeros(dim)
        self.epsilon = epsilon

    def forward(self, x):
        m = x.mean(-1, keepdims=True)
        xc = x - m
        v = (xc * xc).mean(-1, keepdims=True)
        rstd = (v + self.epsilon) ** -0.5
        xhat = xc * rstd
        self.cache = (xc, xhat, rstd)
        return xhat * self.g + self.b

    def backward(self, dy):
        xc, xhat, rstd = self.cache
        self.grad_g = (dy * xc).sum(0)
        self.grad_b = dy.sum(0)
        d = dy * self.g
        dx = rstd * (d - d.mean(-1, keepdims=True)
                     - xhat * (d * xhat).mean(-1, keepdims=True))
        return dx
