"""Twelve planted errors, each in a class named after it; every other gradient of the class is right."""

import numpy as np
from right_layers import BatchNorm, Conv2d, CrossEntropy, Dropout, Linear, MaxPool, Sigmoid, Softmax


class MissingTranspose(Linear):
    """With as many outputs as inputs, W in place of W.T has the right shape."""

    def backward(self, dy):
        super().backward(dy)
        return dy @ self.W


class MeanForSum(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.x.T @ dy / len(dy)
        return dx


class BiasOverTheWrongAxis(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.sum(axis=1)
        return dx


class ForgottenBias(Linear):
    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


class NoMask:
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy


class DerivativeOfTheInput(Sigmoid):
    def forward(self, x):
        self.x = x
        return super().forward(x)

    def backward(self, dy):
        return dy * self.x * (1 - self.x)


class SumForMean(CrossEntropy):
    def backward(self):
        return super().backward() * len(self.labels)


class NoScale(Dropout):
    """The mask without 1 / (1 - p)."""

    def backward(self, dy):
        return dy * (self.mask > 0)


class MeanIsConstant(BatchNorm):
    """The batch's mean depends on the input too."""

    def backward(self, dout):
        super().backward(dout)
        d = dout * self.gamma
        return (d - self.unit * (d * self.unit).mean(0)) / self.sd


class FlippedKernel(Conv2d):
    def backward(self, dy):
        super().backward(dy)
        kernel, dw = self.W, self.dW
        self.W = self.W[:, :, ::-1, ::-1]
        dx = super().backward(dy)
        self.W, self.dW = kernel, dw
        return dx


class EveryPixelOfAWindow(MaxPool):
    def backward(self, dy):
        self.mask = np.ones_like(self.mask)
        return super().backward(dy)


class DiagonalOnly(Softmax):
    def backward(self, dy):
        return dy * self.p * (1 - self.p)


class RoundedSumForMean:
    def forward(self, x):
        self.x = x.astype(np.float32)
        return np.tanh(self.x).mean(0)

    def backward(self, dy):
        return dy * (1 - np.tanh(self.x) ** 2)


class EpsilonTooMany:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y**2 + 1e-5)
