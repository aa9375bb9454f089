"""Networks of timm and torchvision by name: what they are given, who they are, and what is refused."""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torchvision import models

from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.spec import TORCH_RESNET
from eailab.errors import RecipeError, UsageError
from eailab.recipe import networks
from eailab.recipe.canonical import to_yaml
from eailab.recipe.load import parse_recipe
from eailab.recipe.override import vary
from eailab.runs.trial import Trial

SMALL = "torchvision:squeezenet1_1(dropout=0.2)"


@pytest.fixture
def library(make_recipe):
    """Return a maker of recipes with a network of a library."""
    return lambda text, **settings: vary(make_recipe(augment="none", **settings), "model.name", text).recipe


class Tiny(nn.Module):
    """What the stand-in for timm constructs."""

    def __init__(self, num_classes, in_chans, drop_rate=0.0, pretrained=True):
        super().__init__()
        self.asked = num_classes, in_chans, drop_rate, pretrained
        self.head = nn.Linear(in_chans, num_classes)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


@pytest.fixture
def timm(monkeypatch):
    """Put a stand-in in timm's place, which has three networks."""
    module = ModuleType("timm")
    module.__file__ = __file__
    module.list_models = lambda: ["resnet18", "resnet20", "tiny"]
    module.create_model = lambda model_name, **given: Tiny(**given)
    monkeypatch.setitem(sys.modules, "timm", module)
    monkeypatch.setattr(networks, "version", {"timm": "1.2.3+cpu", "torchvision": "0.99"}.__getitem__)


def test_torchvisions_network_sees_grey_images_as_three_channels(library, make_data):
    recipe = library(SMALL)
    data = make_data(side=40, channels=1)
    engine = ResNetEngine(recipe, data, block=0)
    theirs = models.squeezenet1_1(num_classes=4)
    assert engine.parameters == sum(one.numel() for one in theirs.parameters())
    assert TORCH_RESNET.images.try_network(recipe, (40, 40, 1), 4) == engine.parameters
    assert [one.p for one in engine._model.modules() if isinstance(one, nn.Dropout)] == [0.2]
    before, again = engine.state(), ResNetEngine(recipe, data, block=0)
    scores = [one.train_epoch(1, lambda _: None) for one in (engine, again)]
    assert scores[0] == scores[1]
    assert all(np.array_equal(one, again.state()[name]) for name, one in engine.state().items())
    assert any(not np.array_equal(one, before[name]) for name, one in engine.state().items())


def test_a_networks_identity_is_its_name_arguments_and_the_librarys_version(library, make_data, monkeypatch):
    recipe = library(SMALL)
    named = Trial(recipe, 0, "").fingerprint
    assert recipe.model.version == torchvision.__version__.partition("+")[0]
    assert parse_recipe(to_yaml(recipe).encode(), "recipe.yaml") == recipe
    others = [library("torchvision:squeezenet1_1"), library("torchvision:squeezenet1_0(dropout=0.2)")]
    monkeypatch.setattr(networks, "version", lambda name: "0.1")
    others.append(library(SMALL))
    assert len({named, *(Trial(one, 0, "").fingerprint for one in others)}) == 4
    with pytest.raises(UsageError, match=r"torchvision:squeezenet1_1 is of torchvision .*, and 0\.1 is installed"):
        ResNetEngine(recipe, make_data(side=40), block=0)


def test_timms_network_gets_the_datas_classes_and_channels_and_no_foreign_weights(timm, library, make_data):
    recipe = library("timm:tiny(drop_rate=0.5)")
    assert recipe.model.version == "1.2.3"  # without what tells builds apart
    engine = ResNetEngine(recipe, make_data(side=8, channels=1), block=0)
    assert engine._model.asked == (4, 1, 0.5, False)
    assert vary(recipe, "model.args.drop_rate", 0.1).recipe.model.args == {"drop_rate": 0.1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timm:resnet19", r"timm 1\.2\.3 has no network resnet19; did you mean 'resnet1[8]'"),
        ("timm:qqq", r"has no network qqq: it has 3, which timm\.list_models\(\) lists"),
        ("timm:tiny(dorp=1)", r"timm's tiny: constructing it raised TypeError: .*'dorp'.*img_size"),
        ("timm:tiny(name='a')", r"timm's tiny: constructing it raised TypeError: .*'name'"),
        ("timm:tiny(channels=3)", r"timm's tiny: constructing it raised TypeError: .*'channels'"),
        ("torchvision:resnet18(name=1)", r"torchvision's resnet18: constructing it raised TypeError: .*'name'"),
        ("torchvision:resnet18(classes=3)", r"torchvision's resnet18: constructing it raised TypeError: .*'classes'"),
    ],
)
def test_what_cannot_be_built_is_refused_with_what_would_be_right(timm, library, text, said):
    with pytest.raises(UsageError, match=said):
        TORCH_RESNET.images.try_network(library(text), (8, 8, 3), 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timm:resnet18.a1_in1k", "names weights that were trained elsewhere.*write resnet18"),
        ("timm:hf-hub:some/resnet18", "names weights that were trained elsewhere.*write resnet18"),
        ("timm:resnet18(pretrained=True)", "pretrained: weights that were trained elsewhere are not loaded"),
        ("torchvision:resnet18(weights='DEFAULT')", "weights: weights that were trained elsewhere are not loaded"),
        ("timm:resnet18(num_classes=3)", "num_classes is that of the data set"),
        ("timm:resnet18(model_name='tiny')", "model_name is what stands in front of the arguments"),
        ("timm:resnet18(3)", "name the arguments"),
        ("timm:resnet18(drop=", "is not a name, nor a call"),
        ("timm:resnet18(a={[1]: 2})", "is not a name, nor a call"),
        ("timm:resnet18(drop=1, drop=2)", "nor a call with plain values, each given once"),
        (f"timm:resnet18(drop={'-' * 4000}1)", "is not a name, nor a call"),
    ],
)
def test_a_recipe_asks_for_no_weights_from_elsewhere(timm, library, text, said):
    with pytest.raises(RecipeError, match=said):
        library(text)


def test_images_that_a_network_is_too_deep_for_are_named_with_their_shape(library):
    with pytest.raises(UsageError, match=r"torchvision's alexnet: its forward pass of images \[2, 3, 8, 8\] raised"):
        TORCH_RESNET.images.try_network(library("torchvision:alexnet"), (8, 8, 1), 4)
    with pytest.raises(UsageError, match=r"have 4 channels: torchvision's alexnet takes grey \(1\) or colour \(3\)"):
        TORCH_RESNET.images.try_network(library("torchvision:alexnet"), (64, 64, 4), 4)


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed here")
def test_a_missing_library_is_said_with_what_installs_it(library):
    with pytest.raises(RecipeError, match=r"timm is not installed: .* install .*timm[<>]"):
        library("timm:resnet18")


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed: it is an extra")
def test_a_real_network_of_timm_is_trained(library, make_data):
    engine = ResNetEngine(library("timm:test_resnet"), make_data(side=32, channels=1), block=0)
    losses = [engine.train_epoch(number, lambda _: None)["train_loss"] for number in (1, 2, 3)]
    assert losses[-1] < losses[0]
    assert torch.get_default_dtype() == torch.float32
