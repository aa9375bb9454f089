import numpy as np


class Conv2D:
    # naive convolution, loops over the output positions
    def __init__(self, in_ch=2, out_ch=3, k=3, stride=1, pad=1, seed=0):
        rng = np.random.default_rng(seed)
        self.k, self.stride, self.pad = k, stride, pad
        self.W = rng.normal(0, 0.3, size=(out_ch, in_ch, k, k))
        self.b = np.zeros(out_ch)

    def forward(self, x):
        N, C, H, W = x.shape
        k, s, p = self.k, self.stride, self.pad
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        Ho = (H + 2 * p - k) // s + 1
        Wo = (W + 2 * p - k) // s + 1
        out = np.zeros((N, self.W.shape[0], Ho, Wo))
        for i in range(Ho):
            for j in range(Wo):
                patch = xp[:, :, i * s:i * s + k, j * s:j * s + k]
                out[:, :, i, j] = np.tensordot(patch, self.W, axes=([1, 2, 3], [1, 2, 3])) + self.b
        self.xp = xp
        self.in_shape = x.shape
        return out

    def backward(self, dy):
        N, C, H, W = self.in_shape
        k, s, p = self.k, self.stride, self.pad
        _, F, Ho, Wo = dy.shape
        dxp = np.zeros_like(self.xp)
        self.dW = np.zeros_like(self.W)
        self.db = dy.sum(axis=(0, 2, 3))
        for i in range(Ho):
            for j in range(Wo):
                g = dy[:, :, i, j]
                patch = self.xp[:, :, i * s:i * s + k, j * s:j * s + k]
                self.dW += np.tensordot(g, patch, axes=([0], [0]))
                dxp[:, :, i * s:i * s + k, j * s:j * s + k] = np.tensordot(g, self.W, axes=([1], [0]))
        return dxp[:, :, p:p + H, p:p + W]
