"""Twelve layers and losses whose gradients are right, written in the ways that courses write them."""

import numpy as np


class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) * 0.01
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


class TorchOrder:
    """W is [out, in], and gradients are kept in a mapping."""

    def __init__(self, in_features, out_features):
        scale = 1 / np.sqrt(in_features)
        self.params = {
            "weight": np.random.uniform(-scale, scale, (out_features, in_features)),
            "bias": np.zeros((1, out_features)),
        }
        self.grads = {}

    def forward(self, x):
        self.cache = x
        return x @ self.params["weight"].T + self.params["bias"]

    def backward(self, dout):
        self.grads["weight"] = dout.T @ self.cache
        self.grads["bias"] = dout.sum(0, keepdims=True)
        return dout @ self.params["weight"]


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class Sigmoid:
    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dy):
        return dy * self.y * (1 - self.y)


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(1, keepdims=True))
        self.p = e / e.sum(1, keepdims=True)
        return self.p

    def backward(self, dy):
        return self.p * (dy - (dy * self.p).sum(1, keepdims=True))


class CrossEntropy:
    """The mean over images of logits' cross-entropy; backward takes nothing."""

    def forward(self, logits, labels):
        e = np.exp(logits - logits.max(1, keepdims=True))
        self.p, self.labels = e / e.sum(1, keepdims=True), labels
        return -np.log(self.p[np.arange(len(labels)), labels]).mean()

    def backward(self):
        d = self.p.copy()
        d[np.arange(len(d)), self.labels] -= 1
        return d / len(d)


class Dropout:
    def __init__(self, p=0.5):
        self.p = p
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) >= self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class BatchNorm:
    def __init__(self, num_features, momentum=0.9, eps=1e-5):
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.momentum, self.eps = momentum, eps

    def forward(self, x):
        mean, var = x.mean(0), x.var(0)
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        self.sd = np.sqrt(var + self.eps)
        self.unit = (x - mean) / self.sd
        return self.gamma * self.unit + self.beta

    def backward(self, dout):
        self.dgamma, self.dbeta = (dout * self.unit).sum(0), dout.sum(0)
        d = dout * self.gamma
        return (d - d.mean(0) - self.unit * (d * self.unit).mean(0)) / self.sd


class Conv2d:
    """Without padding, stride 1."""

    def __init__(self, in_channels, out_channels, kernel_size):
        self.W = np.random.randn(out_channels, in_channels, kernel_size, kernel_size) * 0.1
        self.b = np.zeros(out_channels)
        self.k = kernel_size

    def forward(self, x):
        self.x = x
        n, _, h, w = x.shape
        self.h, self.w = h - self.k + 1, w - self.k + 1
        y = np.zeros((n, len(self.W), self.h, self.w))
        for i in range(self.k):
            for j in range(self.k):
                y += np.einsum("nchw,oc->nohw", x[:, :, i : i + self.h, j : j + self.w], self.W[:, :, i, j])
        return y + self.b[:, None, None]

    def backward(self, dy):
        self.dW, dx = np.zeros_like(self.W), np.zeros_like(self.x)
        for i in range(self.k):
            for j in range(self.k):
                part = self.x[:, :, i : i + self.h, j : j + self.w]
                self.dW[:, :, i, j] = np.einsum("nohw,nchw->oc", dy, part)
                dx[:, :, i : i + self.h, j : j + self.w] += np.einsum("nohw,oc->nchw", dy, self.W[:, :, i, j])
        self.db = dy.sum((0, 2, 3))
        return dx


class MaxPool:
    """Windows of 2x2."""

    def forward(self, x):
        n, c, h, w = x.shape
        self.windows = x.reshape(n, c, h // 2, 2, w // 2, 2)
        y = self.windows.max((3, 5), keepdims=True)
        self.mask = self.windows == y
        return y[:, :, :, 0, :, 0]

    def backward(self, dy):
        spread = self.mask * dy[:, :, :, None, :, None]
        n, c, h, _, w, _ = spread.shape
        return spread.reshape(n, c, h * 2, w * 2)


class TwoLayers:
    """Layers within a layer, and gradients that are added up."""

    def __init__(self, n_in, hidden, n_out):
        self.layers = [Linear(n_in, hidden), Sigmoid(), Linear(hidden, n_out)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


def affine_forward(x, w, b):
    """Return the output and a cache, as CS231n does."""
    return x.reshape(len(x), -1) @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(0)
