import numpy as np


class SoftmaxLoss(object):

    def __init__(self):
        self.cache = None

    def forward(self, logits, labels):
        N = logits.shape[0]
        z = logits - np.max(logits, axis=1, keepdims=True)
        p = np.exp(z)
        p /= np.sum(p, axis=1, keepdims=True)
        self.cache = (p, labels)
        return -np.sum(np.log(p[np.arange(N), labels])) / N

    def backward(self):
        p, y = self.cache
        N = p.shape[0]
        dlogits = p.copy()
        dlogits[:, y] -= 1
        dlogits /= N
        return dlogits
