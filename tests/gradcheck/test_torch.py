"""Modules and functions of torch."""

import pytest

from eailab.gradcheck.build import CheckRequest
from eailab.gradcheck.check import gradcheck
from eailab.own_code.reference import parse_reference

CODE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, in_channels, num_classes, p=0.3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(p), nn.Flatten(),
            nn.LazyLinear(num_classes),
        )

    def forward(self, x):
        return self.layers(x)


class Detached(Net):
    def forward(self, x):
        return self.layers[5](self.layers[:5](x).detach())


class Chosen(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.forward = self.scaled

    def scaled(self, x):
        return 2 * self.layer(x)


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * x
"""


@pytest.mark.parametrize(
    ("name", "shape", "wrong"),
    [("Net", (3, 2, 5, 5), 0), ("Detached", (3, 2, 5, 5), 4), ("Chosen", (3, 4), 0), ("Square", (3, 4), 1)],
)
def test_modules_and_functions_are_checked(tmp_path, name, shape, wrong):
    """A network with dropout is right, and what is detached has no gradient.

    Of a bias before a normalisation it is rightly 0; in the function a factor of 2 is missing.
    """
    (tmp_path / "net.py").write_text(CODE)
    report = gradcheck(CheckRequest(parse_reference(f"{tmp_path}/net.py:{name}"), ((None, shape),), entries=30))
    assert len([check for check in report.checks if check.state != "right"]) == wrong
    if name == "Square":
        assert report.checks[0].suspects == [
            "it is 0.5 times what is right, everywhere: a constant factor is missing or too many"
        ]
