import numpy as np

class MaxPooling:
    def __init__(self, size=3, stride=2):
        self.size = size
        self.stride = stride

    def forward(self, images):
        b, c, h, w = images.shape
        self.in_shape = images.shape
        oh = 1 + (h - self.size) // self.stride
        ow = 1 + (w - self.size) // self.stride
        out = np.zeros((b, c, oh, ow))
        self.argmax = np.zeros((b, c, oh, ow), dtype=int)
        for i in range(oh):
            for j in range(ow):
                top, left = i * self.stride, j * self.stride
                win = images[:, :, top:top+self.size, left:left+self.size].reshape(b, c, -1)
                self.argmax[:, :, i, j] = win.argmax(axis=2)
                out[:, :, i, j] = win.max(axis=2)
        return out

    def backward(self, grad):
        b, c, oh, ow = grad.shape
        dimg = np.zeros(self.in_shape)
        for n in range(b):
            for ch in range(c):
                for i in range(oh):
                    for j in range(ow):
                        r, q = divmod(self.argmax[n, ch, i, j], self.size)
                        dimg[n, ch, i*self.stride + r, j*self.stride + q] += grad[n, ch, i, j]
        return dimg
