"""Residual networks against torchvision's, and their reduced form against the whole network."""

import copy
from math import sqrt

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from eailab.engines.torch_resnet import geometry, models
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.errors import DataError, RecipeError
from eailab.recipe.load import load
from eailab.recipe.parts import ResNet
from eailab.recipe.validate import recipe_from

STEMS = list(geometry.STEMS)


@pytest.mark.parametrize("name", list(models.BLOCK_CLASSES))
def test_weights_have_torchvisions_names_and_shapes(name):
    """A file of weights can be read by torchvision, and the other way round."""
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(num_classes=10)
        ours = models.ResNet(ResNet(name=name), 10)
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == [
        (key, value.shape) for key, value in theirs.state_dict().items()
    ]


@pytest.mark.parametrize("name", list(models.BLOCK_CLASSES))
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("width", [1.0, 0.3])
def test_parameters_are_counted_without_torch(name, stem, width):
    settings = ResNet(name=name, stem=stem, width=width)
    recipe = load("resnet18-digits").recipe.model_copy(update={"model": settings})
    with torch.device("meta"):
        made = models.ResNet(settings, 10)
    layers = geometry.layers(recipe, (32, 32, 3), 10)
    assert sum(layer.parameters for layer in layers) == sum(parameter.numel() for parameter in made.parameters())


@pytest.mark.parametrize("name", list(models.BLOCK_CLASSES))
def test_outputs_equal_torchvisions_with_the_same_weights(name):
    theirs = getattr(torchvision.models, name)(num_classes=10)
    ours = models.build(ResNet(name=name), 10, block=0)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(images), theirs.train(mode)(images), rtol=1e-4, atol=1e-4)
    for (name_, mine), yours in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, yours, msg=name_)


@pytest.mark.parametrize(
    ("stem", "sides"),
    [("7x7", (8, 4, 2, 1)), ("3x3", (18, 9, 5, 3)), ("3x3-pad1", (16, 8, 4, 2)), ("3x3-nopool", (32, 16, 8, 4))],
)
def test_stems_give_the_maps_that_the_lab_report_names(stem, sides):
    model = models.build(ResNet(stem=stem, width=0.125), 10, block=0)
    found = []
    for number in range(1, 5):
        model.get_submodule(f"layer{number}").register_forward_hook(lambda *call: found.append(call[2].shape[-1]))
    model(torch.zeros(2, 3, 32, 32))
    assert tuple(found) == sides == geometry.stage_sides(geometry.STEMS[stem], 32)


def test_initial_weights_have_torchvisions_distributions():
    """Convolutions are normal with variance 2 / fan-out, the linear layer uniform, BatchNorm one and zero."""
    model = models.build(ResNet(), 100, block=3)
    theirs = torchvision.models.resnet18(num_classes=100)
    for name, module in model.named_modules():
        other = theirs.get_submodule(name)
        if isinstance(module, torch.nn.Conv2d):
            deviation = sqrt(2.0 / (module.out_channels * module.kernel_size[0] ** 2))
            for weight in (module.weight.detach(), other.weight.detach()):
                assert weight.std().item() == pytest.approx(deviation, rel=5.0 / sqrt(weight.numel()))
                assert abs(weight.mean().item()) < 5.0 * deviation / sqrt(weight.numel())
            kurtosis = (model.layer4[0].conv2.weight / model.layer4[0].conv2.weight.std()).pow(4).mean().item()
            assert kurtosis == pytest.approx(3.0, abs=0.05)
        elif isinstance(module, torch.nn.BatchNorm2d):
            for key, value in module.state_dict().items():
                assert torch.equal(value, other.state_dict()[key])
    for values in (model.fc.weight, model.fc.bias):
        assert values.abs().max().item() == pytest.approx(1 / sqrt(512), rel=0.05)
        assert values.std().item() == pytest.approx(1 / sqrt(3 * 512), rel=0.15)


def test_arms_of_a_block_share_the_initial_weights_of_equal_layers():
    """A stem is compared with nothing else changed, so its arms start alike in all other layers."""
    first, second = (models.build(ResNet(stem=stem, width=0.125), 10, block=1) for stem in ("7x7", "3x3"))
    different = [
        name
        for (name, mine), other in zip(first.named_parameters(), second.parameters(), strict=True)
        if mine.shape != other.shape or not torch.equal(mine, other)
    ]
    assert different == ["conv1.weight"]
    assert not torch.equal(models.build(ResNet(width=0.125), 10, block=2).fc.weight, first.fc.weight)


def test_building_leaves_torchs_global_generator_alone():
    before = torch.get_rng_state()
    models.build(ResNet(width=0.125), 10, block=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_width_scales_every_layer():
    model = models.build(ResNet(width=0.5), 10, block=0)
    assert [model.get_submodule(f"layer{n}")[0].conv1.out_channels for n in range(1, 5)] == [32, 64, 128, 256]


def test_a_width_without_channels_is_refused():
    with pytest.raises(RecipeError, match=r"model\.width 0\.001"):
        models.build(ResNet(width=0.001), 10, block=0)


@pytest.mark.parametrize("stem", STEMS)
def test_the_smallest_allowed_image_keeps_two_pixels_for_each_halving(stem):
    sides = range(1, 64)
    smallest = next(side for side in sides if geometry.fits(geometry.STEMS[stem], side))
    assert smallest == {"7x7": 17, "3x3": 5, "3x3-pad1": 9, "3x3-nopool": 5}[stem]
    geometry.check_image_size(ResNet(stem=stem), smallest, smallest)
    with pytest.raises(
        DataError, match=rf"{smallest - 1}x40 are too small for model\.stem {stem}, .*needs {smallest}x"
    ):
        geometry.check_image_size(ResNet(stem=stem), smallest - 1, 40)


def test_the_message_names_the_stems_that_fit():
    with pytest.raises(DataError, match=r"needs 17x17: model\.stem 3x3 or 3x3-nopool fits these"):
        geometry.check_image_size(ResNet(stem="7x7"), 8, 8)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_live_taps_are_those_with_a_gradient(size, kernel, stride):
    padding = kernel // 2
    weight = torch.ones(1, 1, kernel, 1, requires_grad=True)
    torch.conv2d(torch.ones(1, 1, size, 1), weight, stride=(stride, 1), padding=(padding, 0)).sum().backward()
    live = weight.grad.flatten().nonzero().flatten().tolist()
    assert list(models.live_taps(size, kernel, stride, padding)) == live


def reduced_and_whole(settings, height, width):
    whole = models.build(settings, 10, block=0).double().train()
    reduced = copy.deepcopy(whole)
    return reduced, models.cut_dead_weights(reduced, height, width), whole


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


@pytest.mark.parametrize(
    ("name", "stem", "width", "sides"),
    [
        ("resnet18", "7x7", 0.25, (32, 32)),
        ("resnet34", "3x3", 0.125, (30, 40)),
        ("resnet50", "3x3-nopool", 0.25, (9, 8)),
    ],
)
def test_layers_are_counted_as_torch_counts_them(name, stem, width, sides):
    """Shapes, parameters and multiply-adds of each layer, against a network that torch runs."""
    model = {"name": name, "stem": stem, "width": width}
    plain = {"name": "t", "engine": "torch-resnet", "epochs": 1, "batch_size": 4, "optimizer": {"name": "sgd"}}
    recipe = recipe_from(plain | {"data": {"name": "cifar10"}, "model": model})
    network = models.build(recipe.model, 7, block=0).eval()
    shapes = {}
    for place, module in network.named_modules():
        module.register_forward_hook(lambda _, __, out, place=place: shapes.update({place: tuple(out.shape[1:])}))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, *sides))
    by_place = {place: sum(kinds.values()) // 2 for place, kinds in counter.get_flop_counts().items()}

    found = geometry.layers(recipe, (*sides, 3), 7)
    for layer in found:
        place = f"{layer.name}.0" if layer.name.endswith("downsample") else layer.name
        assert layer.output == shapes[place]
        assert layer.multiply_adds == by_place[f"ResNet.{place}"]
    assert sum(layer.multiply_adds for layer in found) == counter.get_total_flops() // 2
    assert sum(layer.parameters for layer in found) == sum(one.numel() for one in network.parameters())
