import numpy as np

class MaxPool2d(object):

    def __init__(self, pool=3, stride=2):
        self.pool = pool
        self.stride = stride

    def forward(self, x):
        self.x = x
        N, C, H, W = x.shape
        oh = (H - self.pool) // self.stride + 1
        ow = (W - self.pool) // self.stride + 1
        y = np.empty((N, C, oh, ow))
        for i in range(oh):
            for j in range(ow):
                hs = i * self.stride
                ws = j * self.stride
                y[:, :, i, j] = x[:, :, hs:hs+self.pool, ws:ws+self.pool].max(axis=(2, 3))
        return y

    def backward(self, dy):
        N, C, oh, ow = dy.shape
        dx = np.zeros(self.x.shape)
        for n in range(N):
            for c in range(C):
                for i in range(oh):
                    for j in range(ow):
                        hs = i * self.stride
                        ws = j * self.stride
                        patch = self.x[n, c, hs:hs+self.pool, ws:ws+self.pool]
                        r, q = np.unravel_index(np.argmax(patch), patch.shape)
                        dx[n, c, hs + r, ws + q] = dy[n, c, i, j]
        return dx
