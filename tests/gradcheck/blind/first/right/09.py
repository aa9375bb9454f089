import numpy as np


class ConvLayer:
    def __init__(self, in_ch=2, out_ch=3, ksize=3, stride=2, pad=1):
        self.K = np.random.randn(out_ch, in_ch, ksize, ksize) * 0.2
        self.b = np.zeros(out_ch)
        self.stride, self.pad = stride, pad

    def forward(self, x):
        p, s, k = self.pad, self.stride, self.K.shape[2]
        self.shape = x.shape
        xp = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)], mode='constant')
        oh = (xp.shape[2] - k) // s + 1
        ow = (xp.shape[3] - k) // s + 1
        y = np.zeros((x.shape[0], self.K.shape[0], oh, ow))
        for i in range(oh):
            for j in range(ow):
                y[:, :, i, j] = np.einsum('ncab,fcab->nf',
                                          xp[:, :, i*s:i*s+k, j*s:j*s+k], self.K)
        self.xp = xp
        return y + self.b.reshape(1, -1, 1, 1)

    def backward(self, dy):
        p, s, k = self.pad, self.stride, self.K.shape[2]
        H, W = self.shape[2:]
        self.db = dy.sum(axis=(0, 2, 3))
        self.dK = np.zeros(self.K.shape)
        dxp = np.zeros(self.xp.shape)
        for i in range(dy.shape[2]):
            for j in range(dy.shape[3]):
                g = dy[:, :, i, j]
                win = self.xp[:, :, i*s:i*s+k, j*s:j*s+k]
                self.dK += np.einsum('nf,ncab->fcab', g, win)
                dxp[:, :, i*s:i*s+k, j*s:j*s+k] += np.einsum('nf,fcab->ncab', g, self.K)
        return dxp[:, :, p:p+H, p:p+W]
