"""Checks of a network before it is trained, and its layers in numbers."""

import pytest

from eailab.engines.torch_resnet.foreign_network import ForeignNetwork
from eailab.engines.torch_resnet.layers import summary
from eailab.engines.torch_resnet.sanity import sanity
from eailab.recipe.networks import Module, network_of

NET = """
import torch
from torch import nn


class Good(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 16, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Dropout(0.1))
        self.head = nn.LazyLinear(num_classes)
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x):
        return self.head(self.body(x)) * self.scale


class Loud(Good):
    def forward(self, x):
        return 100 * super().forward(x)


class Leaks(Good):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Draws(Good):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


class Hidden(Good):
    def __init__(self, **asked):
        super().__init__(**asked)
        self.body = self.body[:3]

    def forward(self, x):
        return super().forward(x if self.training else 2 * x)


class Stuck(Good):
    def forward(self, x):
        return super().forward(0 * x)
"""
IMAGE = (6, 5, 3)
NAMES = ["loss at the start", "evaluation and training", "images by themselves", "ten images by heart"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return lambda name: ForeignNetwork(Module.model_validate(network_of(f"net.py:{name}")), 4, IMAGE, block=0)


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("Good", []),
        ("Loud", NAMES[:1]),
        ("Leaks", NAMES[2:3]),
        ("Draws", NAMES[1:2]),
        ("Hidden", NAMES[1:2]),
        ("Stuck", NAMES[3:]),
    ],
)
def test_each_mistake_fails_its_check(made, monkeypatch, name, failed):
    monkeypatch.setattr("eailab.engines.torch_resnet.sanity.STEPS", 60)
    checks = sanity(lambda: made(name), 4)
    wanted = {one.name for one in checks if one.name in failed}
    assert wanted == set(failed)
    assert {one.name for one in checks if one.state == "failed"} >= wanted
    if name == "Good":
        assert [one.state for one in checks] == ["passed"] * 5


def test_layers_are_counted(made):
    """A 3x3 convolution of 3 channels into 16 on 4x3 places, and a matrix product of 192 by 4."""
    found = summary(made("Good"), "Good", 4)
    by_name = {one.name: one for one in found.layers}
    assert (by_name["body.0"].parameters, by_name["body.0"].multiply_adds) == (432, 432 * 12)
    assert by_name["body.0"].output == [16, 4, 3]
    assert (by_name["head"].parameters, by_name["head"].multiply_adds) == (192 * 4 + 4, 192 * 4)
    assert (found.parameters, found.trained_parameters) == (432 + 772 + 1, 432 + 772)
    assert found.multiply_adds == 432 * 12 + 192 * 4
