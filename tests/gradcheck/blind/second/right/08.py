import numpy as np


class MaxPool:
    def __init__(self, k=2, stride=2):
        self.k = k
        self.stride = stride

    def forward(self, x):
        N, C, H, W = x.shape
        k, s = self.k, self.stride
        Ho, Wo = (H - k) // s + 1, (W - k) // s + 1
        out = np.empty((N, C, Ho, Wo))
        self.arg = np.empty((N, C, Ho, Wo), dtype=int)
        self.x_shape = x.shape
        for i in range(Ho):
            for j in range(Wo):
                win = x[:, :, i * s:i * s + k, j * s:j * s + k].reshape(N, C, -1)
                self.arg[:, :, i, j] = win.argmax(axis=2)
                out[:, :, i, j] = win.max(axis=2)
        return out

    def backward(self, dy):
        k, s = self.k, self.stride
        dx = np.zeros(self.x_shape)
        N, C, Ho, Wo = dy.shape
        for n in range(N):
            for c in range(C):
                for i in range(Ho):
                    for j in range(Wo):
                        r, q = divmod(self.arg[n, c, i, j], k)
                        dx[n, c, i * s + r, j * s + q] += dy[n, c, i, j]
        return dx
