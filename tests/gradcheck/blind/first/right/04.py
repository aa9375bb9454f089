import numpy as np


class SoftmaxLayer:

    def forward(self, x):
        ex = np.exp(x - np.max(x, axis=-1, keepdims=True))
        self.p = ex / np.sum(ex, axis=-1, keepdims=True)
        return self.p

    def backward(self, dp):
        p = self.p
        C = p.shape[1]
        # full jacobian for every sample: J = diag(p) - p p^T
        J = np.einsum('ni,ij->nij', p, np.eye(C)) - np.einsum('ni,nj->nij', p, p)
        return np.einsum('nij,ni->nj', J, dp)
