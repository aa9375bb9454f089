"""A network of a person's own in the torch engine: what it is given, its chance, its code, and its mistakes."""

import random
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from eailab.engines.torch_resnet import models
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.engines.torch_resnet.foreign_network import ForeignNetwork
from eailab.engines.torch_resnet.spec import TORCH_RESNET
from eailab.errors import RecipeError, StoppedError, TrialFailedError, UsageError
from eailab.own_code.load import OwnModule
from eailab.recipe.override import vary
from eailab.recipe.parts import ResNet

NET = """
import torch
from torch import nn
import beside


class Net(nn.Module):
    def __init__(self, num_classes, in_channels, image_size, width=4, dropout=0.3):
        super().__init__()
        self.asked = num_classes, in_channels, image_size
        self.body = nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.drop, self.head = nn.Dropout(dropout), nn.LazyLinear(num_classes)

    def forward(self, x):
        return self.head(self.drop(beside.pooled(self.body(x))))


class Tuple(Net):
    def forward(self, x):
        return super().forward(x), x


class Maps(Net):
    def forward(self, x):
        return self.body(x)


class InPlace(Net):
    def forward(self, x):
        return super().forward(x.mul_(2))


class Double(Net):
    def __init__(self, **asked):
        super().__init__(**asked)
        self.double()

    def forward(self, x):
        return super().forward(x.double())


class Empty(nn.Module):
    def forward(self, x):
        return x


class Wants(Net):
    def __init__(self, rho):
        pass


class Elsewhere(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3, device="meta")

    def forward(self, x):
        return self.layer(x)


class Bare(nn.Module):
    pass


class Chosen(nn.Module):
    def __init__(self, num_classes, dropout=0.0):
        super().__init__()
        self.head = nn.Linear(3, num_classes)
        self.forward = self.pooled

    def pooled(self, x):
        return self.head(x.mean((2, 3)))


class Holds(Chosen):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.act = lambda x: self.pooled(x)
        del self.forward

    def forward(self, x):
        return self.act(x)


class Caches(Chosen):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.doubled = self.head.weight * 2


class Shared(Chosen):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.forward = lambda x: self.pooled(x)


class Exits(Net):
    def forward(self, x):
        raise SystemExit(3)


class Reads(Net):
    def forward(self, x):
        import sys

        return sys.stdin.buffer.read()


class Nothing(Net):
    def forward(self, x):
        pass


class Later(Net):
    def forward(self, x):
        if self.training and len(x) > 2:
            raise ValueError("too many")
        return super().forward(x)


class Late(Net):
    def forward(self, x):
        y = super().forward(x)
        if self.training and len(x) > 2:
            y.exp_().mul_(self.head(torch.ones_like(self.head.weight[0])))
            y = y.exp()
            y.data.zero_()
            return y.exp_() * y
        return y


class Views(Net):
    def forward(self, x):
        return super().forward(x.view(len(x), -1).view(x.shape))


def function():
    pass
"""

BESIDE = "def pooled(x):\n    return x.mean((2, 3))\n"

TORCHVISION = """
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


class Net(ResNet):
    '''ResNet-18 with the lab report's stem, at an eighth of its width.'''

    def __init__(self, num_classes):
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=3, bias=False), nn.BatchNorm2d(8)
        self.fc = nn.Linear(64, num_classes)

    def _make_layer(self, block, planes, *rest, **named):
        self.inplanes = 8 if planes == 64 else self.inplanes
        return super()._make_layer(block, planes // 8, *rest, **named)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "beside.py").write_text(BESIDE)
    return tmp_path


@pytest.fixture
def own(folder, make_recipe):
    """Return a maker of recipes with a network of `net.py`."""

    def make(name="Net", args=(), **settings):
        recipe = make_recipe(augment="none", **settings)
        return vary(
            recipe, "model.name", {"name": "module", "file": "net.py", "class": name, "args": dict(args)}
        ).recipe

    return make


def train(engine, epochs):
    return [engine.train_epoch(number, lambda _: None) for number in epochs]


def state_of(engine):
    return {name: array.tobytes() for name, array in engine.state().items()}


def test_it_gets_what_its_signature_has_and_its_own_arguments(own, make_data):
    engine = ResNetEngine(own(args={"width": 6}), make_data(side=8, channels=1), block=0)
    assert engine._model.asked == (4, 1, 8)
    assert engine._model.body[0].out_channels == 6
    assert engine.parameters == sum(one.numel() for one in engine._model.parameters())
    counted = TORCH_RESNET.images.try_network(own(args={"width": 6}), (8, 8, 1), 4)  # for the check of the disk
    assert counted == engine.parameters
    losses = [scores["train_loss"] for scores in train(engine, range(1, 4))]
    assert losses[-1] < losses[0]


def test_initial_weights_are_the_blocks_and_generators_are_as_they_were(own, make_data):
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002 - the global ones must not move
    expected = torch.rand(1), np.random.random(), random.random()  # noqa: NPY002, S311
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    first, again, other = (ResNetEngine(own(ema=0.9), make_data(side=8), block) for block in (0, 0, 1))
    train(first, [1])
    first.evaluate("validation")
    assert (torch.rand(1), np.random.random(), random.random()) == expected  # noqa: NPY002, S311
    train(again, [1])
    assert state_of(first) == state_of(again)
    assert state_of(ResNetEngine(own(), make_data(side=8), 0)) != state_of(other)


def test_its_constructor_may_choose_a_method_as_its_forward_pass(own, make_data):
    """The averaged weights are evaluated by the copy's method, not by the network's own."""
    averaged, network = (ResNetEngine(own("Chosen", ema=ema), make_data(side=8), 0) for ema in (1.0 - 2**-20, None))
    untrained = network.evaluate("validation").scores["validation_loss"]
    train(averaged, [1, 2]), train(network, [1, 2])
    assert network.evaluate("validation").scores["validation_loss"] != pytest.approx(untrained, rel=1e-3)
    assert averaged.evaluate("validation").scores["validation_loss"] == pytest.approx(untrained, rel=1e-5)


def test_averaged_weights_are_refused_where_a_copy_computes_with_those_of_the_original(own, make_data):
    """The average was not what was evaluated, and nothing said so."""
    with pytest.raises(UsageError, match=r"net\.py:\d+: Holds.forward of a copy .* or leave ema out"):
        ResNetEngine(own("Holds", ema=0.9), make_data(side=8), 0)
    assert ResNetEngine(own("Holds"), make_data(side=8), 0).evaluate("validation").scores
    with pytest.raises(UsageError, match=r"net\.py:\d+: Caches cannot be copied, and ema .* copy: Only Tensors"):
        ResNetEngine(own("Caches", ema=0.9), make_data(side=8), 0)


@pytest.mark.parametrize("stopped_at", [1, 2])
def test_a_trial_with_dropout_goes_on_with_the_same_bits(own, make_data, monkeypatch, stopped_at):
    """Its masks depend on block, epoch and step alone."""
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    whole, begun, gone_on = (ResNetEngine(own(), make_data(side=8), 0) for _ in range(3))
    train(whole, [1, 2])

    def stop(step):
        if step.step == stopped_at:
            raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        begun.train_epoch(1, stop)
    gone_on.load_state(begun.state())
    train(gone_on, [1, 2])
    assert state_of(gone_on) == state_of(whole)


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        (
            "Tuple",
            {},
            r"net\.py:19: Tuple\.forward of images \[2, 3, 8, 8\] returned a tuple: return logits of shape",
        ),
        ("Maps", {}, r"returned the shape \[2, 4, 6, 6\]: return logits of shape \[2, 4\]"),
        ("InPlace", {}, r"net\.py:\d+: InPlace\.forward changes its input in place"),
        ("Double", {}, r"net\.py:\d+: Double: its parameter .* is not float32"),
        ("Empty", {}, r"net\.py:\d+: Empty has no parameters"),
        ("Bare", {}, r"net\.py:\d+: Bare has no method forward"),
        ("Shared", {}, r"net\.py:\d+: Shared has no method forward"),
        ("Wants", {}, r"net\.py:\d+: Wants\(rho\) cannot be called so"),
        ("Elsewhere", {}, r"net\.py:\d+: Elsewhere puts weights on meta"),
        ("Exits", {}, r"net\.py:\d+: .* ends the program"),
        ("Reads", {}, r"net\.py:\d+: .* reads standard input, and nothing can be typed there"),
        ("Nothing", {}, r"net\.py:\d+: Nothing\.forward of images \[2, 3, 8, 8\] returned None: return logits"),
        ("Net", {"depth": 3}, r"net\.py:\d+: Net\(.*\) cannot be called so: .*'depth'"),
        ("Nat", {}, "has no Nat: .*did you mean 'Net'"),
        ("function", {}, "is not a class of networks"),
    ],
)
def test_what_is_not_a_network_is_refused_before_anything_is_trained(own, name, args, said):
    with pytest.raises(UsageError, match=said):
        TORCH_RESNET.images.try_network(own(name, args), (8, 8, 3), 4)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Later", r"net\.py:\d+: step 1 of epoch 1 raised ValueError: too many"),
        ("Late", r"net\.py:\d+: Late: .*inplace"),
    ],
)
def test_what_fails_in_training_fails_its_trial_alone(own, make_data, name, said):
    with pytest.raises(TrialFailedError, match=said):
        train(ResNetEngine(own(name), make_data(side=8), 0), [1])


def test_one_that_fails_without_images_is_refused_where_a_process_would_have_none(own):
    """One process of two has none of a batch of one."""
    ForeignNetwork(own().model, 4, (8, 8, 3), 0).try_without_images(2)
    with pytest.raises(
        UsageError, match=r"fewer images than .* \(2\), and net\.py:\d+: Views\.forward fails without any: net\.py:\d+"
    ):
        ForeignNetwork(own("Views").model, 4, (8, 8, 3), 0).try_without_images(2)


def test_its_identity_is_its_code_and_that_of_the_modules_beside_it(own, folder):
    before = own().model.code
    (folder / "net.py").write_text("# a comment\n" + NET)
    assert own().model.code == before
    (folder / "beside.py").write_text(BESIDE.replace("(2, 3)", "(3, 2)"))
    assert own().model.code != before
    (folder / "unused.py").write_text("x = 1")
    (folder / "beside.py").write_text(BESIDE)
    assert own().model.code == before
    assert "file" not in own().identity()["model"]


def test_code_that_has_changed_since_is_not_run(own, folder, make_data):
    recipe = own()
    (folder / "net.py").write_text("raise SystemExit\n")
    with pytest.raises(UsageError, match=r"net\.py, or a module next to it, is not the code of this trial"):
        ResNetEngine(recipe, make_data(side=8), 0)


def test_two_files_may_have_modules_of_one_name_beside_them(own, folder, make_data, make_recipe):
    (folder / "other").mkdir()
    (folder / "other" / "net.py").write_text(NET)
    (folder / "other" / "beside.py").write_text(BESIDE.replace("mean", "amax"))
    other = vary(own(), "model.file", "other/net.py").recipe
    assert other.model.code != own().model.code
    engines = [ResNetEngine(recipe, make_data(side=8), 0) for recipe in (own(), other)]
    losses = [train(engine, [1])[0]["train_loss"] for engine in engines]
    assert losses[0] != losses[1]


def test_modules_of_a_program_that_calls_eailab_stay(folder, monkeypatch):
    """Python lost the program itself where it lay beside the file, so that no other process could be started."""
    ours = {"beside": ModuleType("beside"), "program": ModuleType("program")}
    for name, module in ours.items():
        module.__file__ = str(folder / f"{name}.py")
        monkeypatch.setitem(sys.modules, name, module)
    (folder / "layers.py").write_text(
        "import sys\nfrom beside import pooled\n"
        "sys.modules['json'] = sys.modules.pop('json')  # torchvision changes the order of what is there so\n\n\n"
        "def late():\n    import later\n"
    )
    (folder / "later.py").write_text("")
    code = OwnModule(folder / "layers.py")
    with code.running("the test"):
        assert code.find("late")() is None
        assert sys.modules["beside"] is not ours["beside"]
    assert {name: sys.modules.get(name) for name in (*ours, "later")} == {**ours, "later": None}


def test_a_recipe_names_a_file_that_is_there(make_recipe):
    with pytest.raises(RecipeError, match=r"nowhere\.py: there is no such file"):
        vary(make_recipe(), "model.name", "nowhere.py:Net")


def test_its_code_is_kept_with_the_trial_as_a_record(own, tmp_path):
    from eailab.engines.torch_resnet.own_network import keep_code

    keep_code(own().model, tmp_path / "trial")
    assert (tmp_path / "trial" / "code" / "net.py").read_text() == NET
    assert (tmp_path / "trial" / "code" / "beside.py").read_text() == BESIDE


def test_torchvisions_resnet_learns_as_the_built_in_one(own, make_recipe, make_data, folder, double):
    """Fifty steps from the same weights: epoch losses agree to 1e-9."""
    (folder / "net.py").write_text(TORCHVISION)
    data, given = make_data(count=40, side=8), {"batch_size": 8, "epochs": 10, "model": {"stem": "3x3"}}
    built_in, theirs = (
        ResNetEngine(recipe, data, 0) for recipe in (make_recipe(augment="none", **given), own(**given))
    )
    theirs._model.load_state_dict(models.build(ResNet(stem="3x3", width=0.125), 4, block=0).state_dict())
    for number in range(1, 11):
        found, expected = (train(engine, [number])[0]["train_loss"] for engine in (theirs, built_in))
        assert found == pytest.approx(expected, abs=1e-9)
    found, expected = (engine.evaluate("validation").scores for engine in (theirs, built_in))
    assert found == pytest.approx(expected, abs=1e-6)
