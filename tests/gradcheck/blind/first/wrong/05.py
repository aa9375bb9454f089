import numpy as np

class SoftmaxCrossEntropyLoss:

    def forward(self, logits, labels):
        shifted = logits - np.max(logits, axis=1, keepdims=True)
        exp = np.exp(shifted)
        self.probs = exp / np.sum(exp, axis=1, keepdims=True)
        self.labels = labels
        N = logits.shape[0]
        correct = self.probs[np.arange(N), labels]
        return -np.mean(np.log(correct + 1e-15))

    def backward(self, dy=1.0):
        N = self.probs.shape[0]
        grad = self.probs.copy()
        grad[:, self.labels] -= 1
        grad /= N
        return dy * grad
