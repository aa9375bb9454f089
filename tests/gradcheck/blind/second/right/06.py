import numpy as np


class Convolution:
    """Convolution written with every loop spelled out."""

    def __init__(self, c_in=2, c_out=2, size=3, stride=2, padding=1):
        self.stride = stride
        self.padding = padding
        self.size = size
        self.K = np.random.randn(c_out, c_in, size, size) * 0.2
        self.b = np.random.randn(c_out) * 0.1

    def forward(self, x):
        n, c, h, w = x.shape
        p, s, k = self.padding, self.stride, self.size
        self.shape = x.shape
        self.padded = np.zeros((n, c, h + 2 * p, w + 2 * p))
        self.padded[:, :, p:p + h, p:p + w] = x
        ho = (h + 2 * p - k) // s + 1
        wo = (w + 2 * p - k) // s + 1
        y = np.zeros((n, self.K.shape[0], ho, wo))
        for a in range(n):
            for f in range(self.K.shape[0]):
                for i in range(ho):
                    for j in range(wo):
                        win = self.padded[a, :, i * s:i * s + k, j * s:j * s + k]
                        y[a, f, i, j] = np.sum(win * self.K[f]) + self.b[f]
        return y

    def backward(self, dy):
        n, c, h, w = self.shape
        p, s, k = self.padding, self.stride, self.size
        dpad = np.zeros_like(self.padded)
        self.dK = np.zeros_like(self.K)
        self.db = np.zeros_like(self.b)
        for a in range(n):
            for f in range(dy.shape[1]):
                for i in range(dy.shape[2]):
                    for j in range(dy.shape[3]):
                        g = dy[a, f, i, j]
                        rows = slice(i * s, i * s + k)
                        cols = slice(j * s, j * s + k)
                        self.dK[f] += g * self.padded[a, :, rows, cols]
                        self.db[f] += g
                        dpad[a, :, rows, cols] += g * self.K[f]
        return dpad[:, :, p:p + h, p:p + w]
