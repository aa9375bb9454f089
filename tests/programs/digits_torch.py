"""Train a small network of torch on digits and report its accuracy on the test split after each epoch."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

import eailab


def train(digits: str, lr: float, seed: int, epochs: int = 3) -> Iterator[dict[str, float]]:
    torch.manual_seed(seed)
    with np.load(digits) as arrays:
        images, tests = (torch.from_numpy(arrays[name]).flatten(1).float() / 16 for name in ("x_train", "x_test"))
        labels, answers = (torch.from_numpy(arrays[name]).long() for name in ("y_train", "y_test"))
    network = nn.Sequential(nn.Linear(images.shape[1], 32), nn.ReLU(), nn.Linear(32, 10))
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(images)).split(64):
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            weights = list(network.parameters())
            with torch.no_grad():  # by hand: the first use of `torch.optim` takes as long as importing torch
                for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                    weight.sub_(lr * gradient)
        with torch.no_grad():
            yield {"epoch": epoch, "val_acc": (network(tests).argmax(1) == answers).float().mean().item()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--digits", required=True)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    history = []
    for metrics in train(**vars(parser.parse_args())):
        eailab.log(metrics)
        history.append((metrics["epoch"], metrics["val_acc"]))
    Path("history.json").write_text(json.dumps(history))
