"""Training functions whose values are known, in a module that other processes import."""

from random import Random

OFFSET = 0.5


def train(lr, seed, width=4):
    """Give a value that is known but for the seed's part, which all arms share."""
    return OFFSET + 10 * lr + Random(seed).gauss(0, 0.01)


def yields(lr, seed):
    for epoch in (1, 2, 3):
        yield {"epoch": epoch, "val_acc": 0.5 + epoch * lr + Random(seed).gauss(0, 0.01), "val_loss": 1.0 / epoch}
