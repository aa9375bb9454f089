import numpy as np


class Conv2D:
    """Naive convolution, stride 1, zero padding."""

    def __init__(self, in_channels=2, out_channels=3, kernel_size=3, padding=1):
        self.k = kernel_size
        self.pad = padding
        scale = np.sqrt(2.0 / (in_channels * kernel_size ** 2))
        self.weight = scale * np.random.randn(out_channels, in_channels,
                                              kernel_size, kernel_size)
        self.bias = np.zeros(out_channels)

    def forward(self, x):
        N, C, H, W = x.shape
        k, p = self.k, self.pad
        self.x_shape = x.shape
        self.x_pad = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        H_out = H + 2 * p - k + 1
        W_out = W + 2 * p - k + 1
        F = self.weight.shape[0]
        out = np.zeros((N, F, H_out, W_out))
        for n in range(N):
            for f in range(F):
                for i in range(H_out):
                    for j in range(W_out):
                        window = self.x_pad[n, :, i:i + k, j:j + k]
                        out[n, f, i, j] = np.sum(window * self.weight[f]) + self.bias[f]
        return out

    def backward(self, dout):
        N, F, H_out, W_out = dout.shape
        _, _, H, W = self.x_shape
        k = self.k
        dx_pad = np.zeros_like(self.x_pad)
        self.dweight = np.zeros_like(self.weight)
        self.dbias = np.zeros_like(self.bias)
        for n in range(N):
            for f in range(F):
                for i in range(H_out):
                    for j in range(W_out):
                        g = dout[n, f, i, j]
                        self.dweight[f] += g * self.x_pad[n, :, i:i + k, j:j + k]
                        dx_pad[n, :, i:i + k, j:j + k] += g * self.weight[f]
                        self.dbias[f] += g
        # remove the padding
        dx = dx_pad[:, :, :H, :W]
        return dx
