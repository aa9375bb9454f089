"""The reduced form, against the whole network."""

import copy

import pytest
import torch
from torch import nn

from eailab.engines.torch_resnet import dead_weights, models
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.recipe.parts import ResNet


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_live_taps_are_those_with_a_gradient(size, kernel, stride):
    padding = kernel // 2
    weight = torch.ones(1, 1, kernel, 1, requires_grad=True)
    torch.conv2d(torch.ones(1, 1, size, 1), weight, stride=(stride, 1), padding=(padding, 0)).sum().backward()
    live = weight.grad.flatten().nonzero().flatten().tolist()
    assert list(dead_weights.live_taps(size, kernel, stride, padding)) == live


def reduced_and_whole(settings, height, width):
    whole = models.build(settings, 10, block=0).double().train()
    reduced = copy.deepcopy(whole)
    return reduced, dead_weights.reduce(reduced, height, width), whole


@pytest.mark.parametrize(
    ("settings", "height", "width"),
    [
        (ResNet(width=0.25), 32, 32),
        (ResNet(width=0.25), 32, 96),
        (ResNet(width=0.25), 17, 20),
        (ResNet(width=0.25, stem="3x3-nopool"), 5, 8),
        (ResNet(name="resnet50", width=0.125), 32, 32),
    ],
    ids=str,
)
def test_outputs_gradients_and_statistics_equal_the_whole_networks(settings, height, width):
    reduced, cut, whole = reduced_and_whole(settings, height, width)
    assert cut
    images = torch.randn(6, 3, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.arange(6)
    for model in (reduced, whole):
        nn.functional.cross_entropy(model(images), labels).backward()
    for (name, mine), theirs in zip(reduced.named_parameters(), whole.parameters(), strict=True):
        expected = theirs.grad
        if name in cut:
            dead = expected.clone()
            dead[:, :, cut[name].rows, cut[name].columns] = 0.0
            assert dead.count_nonzero() == 0, name
            expected = expected[:, :, cut[name].rows, cut[name].columns]
        torch.testing.assert_close(mine.grad, expected, rtol=1e-6, atol=1e-9, msg=name)
    for (name, mine), theirs in zip(reduced.named_buffers(), whole.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=name)
    torch.testing.assert_close(reduced.eval()(images), whole.eval()(images), rtol=1e-6, atol=1e-9)


def test_the_full_network_at_32_pixels_has_the_live_weights_that_were_counted_by_hand():
    """ResNet-18 with ten classes: 11,181,642 weights, of which 4,234,826 ever meet data."""
    reduced, cut, whole = reduced_and_whole(ResNet(), 32, 32)
    assert sum(p.numel() for p in whole.parameters()) == 11_181_642
    assert sum(p.numel() for p in reduced.parameters()) == 4_234_826
    assert sorted(cut) == [f"layer4.{block}.conv{number}.weight" for block in (0, 1) for number in (1, 2)]


@pytest.mark.parametrize("stem", ["3x3", "3x3-pad1", "3x3-nopool"])
def test_networks_with_larger_maps_are_left_alone(stem):
    reduced, cut, whole = reduced_and_whole(ResNet(stem=stem, width=0.125), 32, 32)
    assert cut == {}
    assert [type(module) for module in reduced.modules()] == [type(module) for module in whole.modules()]


def test_an_engine_returns_whole_weights_with_torchvisions_shapes(make_recipe, make_data):
    """The dead taps are where they began, whatever the weight decay; the live ones have moved."""
    recipe = make_recipe(optimizer={"weight_decay": 0.5})
    engine = ResNetEngine(recipe, make_data(), 0, "cpu")
    engine.train_epoch(1, lambda step: None)
    began = models.build(recipe.model, 4, block=0).state_dict()
    weights = engine.weights()
    assert {name: value.shape for name, value in weights.items()} == {n: tuple(v.shape) for n, v in began.items()}
    moved = torch.from_numpy(weights["layer4.1.conv2.weight"]) != began["layer4.1.conv2.weight"]
    assert moved[:, :, 1, 1].all()
    assert moved.sum() == moved[:, :, 1, 1].numel()
    assert engine.parameters == sum(
        value.numel() for name, value in began.items() if "running" not in name and "num_" not in name
    )
