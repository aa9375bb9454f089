"""Several processes on one trial: what they compute together is what one process computes alone."""

import json
import pickle
import socket
from contextlib import closing

import pytest
import torch
from nursery import Program
from torch import nn

from eailab.engines.torch_resnet.distributed import SynchronisedBatchNorm, synchronise_batchnorm
from eailab.engines.torch_resnet.engine import ResNetEngine
from eailab.errors import DivergedError, UsageError
from eailab.recipe.override import vary

TOGETHER = """
import json, os, pickle, sys, torch
import torch._dynamo  # DistributedDataParallel imports it: once for both processes
from pathlib import Path
import eailab.engines.torch_resnet.engine as module
from eailab.engines.registry import build
from eailab.engines.torch_resnet.spec import joined
from eailab.errors import DivergedError

second = os.fork()
os.environ["RANK"] = os.environ["LOCAL_RANK"] = "0" if second else "1"
torch.set_default_dtype(torch.float64)
module.REPORT_SECONDS = 0.0

def quiet(step):
    pass

with joined("cpu") as leading:
    if leading:
        found = []
        for recipe, data in pickle.loads(Path(sys.argv[1]).read_bytes()):
            engine = build(recipe, data, 3, "cpu")
            losses, end = [], None
            try:
                losses.append(engine.train_epoch(1, quiet)["train_loss"])
                states = [engine.state()]
                losses.append(engine.train_epoch(2, lambda _: states.append(engine.state()))["train_loss"])
                for state in states[:2]:  # before the epoch, and within it
                    engine.load_state(state)
                    losses.append(engine.train_epoch(2, quiet)["train_loss"])
                end = engine.evaluate("validation").scores["validation_loss"]
            except DivergedError as error:
                end = [error.epoch, error.step]
            found.append({"device": engine.device, "losses": losses, "end": end})
            del engine
        print(json.dumps(found))
if second:
    assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 0
"""

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.ReLU(), nn.Flatten())
        norm, without = nn.BatchNorm1d(8), nn.BatchNorm1d(8, affine=False, track_running_stats=False)
        self.norms = nn.ModuleList([norm, without, norm])
        self.middle, self.head = nn.Linear(4 * 14 * 14, 8), nn.Linear(8, num_classes)
        self.sometimes, self.never = nn.Linear(8, 8), nn.Linear(8, 8)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        x = self.middle(self.body(x))
        for norm in self.norms:
            x = norm(x)
        self.step += self.training
        return self.head(x + self.sometimes(x) if self.step % 2 else x)
"""
SGD = {"name": "sgd", "lr": 2**-8}
VARIANTS = {
    "plain": {"optimizer": SGD},
    "everything": {"optimizer": SGD, "mixup": 0.4, "ema": 0.9, "label_smoothing": 0.1},
    "diverging": {"optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.0}},
}


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    file = tmp_path_factory.mktemp("together") / "together.py"
    file.write_text(TOGETHER)
    return file


def together(nursery, script, folder, *arguments):
    """Run a script in two processes that are told of each other as by torchrun; return what the first printed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with closing(Program(nursery, script, *arguments, folder=folder, **told)) as program:
        out, err = program.communicate(timeout=120)
        assert program.returncode == 0, err
    return out


def test_two_processes_follow_the_loss_curve_of_one(
    nursery, make_recipe, make_data, script, tmp_path, double, monkeypatch
):
    """Epoch losses agree to 1e-9 (relative), with mixtures across the processes' shares too.

    An epoch's last batch has one image: one process then has none. A loss that is not finite is found by all in the
    step in which one process would find it. In float64, so that no rounding hides a share that is counted twice.

    A person's own network does too, with layers that normalise vectors, one of them in two places, and parameters that
    a step leaves out.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    data, longer = make_data(count=33, side=16), make_data(count=37, side=16)
    recipes = [make_recipe(model={"stem": "3x3-nopool"}, threads=1, **variant) for variant in VARIANTS.values()]
    beyond = recipes[-1].optimizer.model_copy(update={"lr": 1e300})  # no recipe may ask for it; 64 bits need it
    recipes[-1] = recipes[-1].model_copy(update={"optimizer": beyond})
    cases = tmp_path / "cases.pickle"
    own = vary(make_recipe(threads=1, ema=0.9), "model.name", "net.py:Net").recipe
    tried = {**dict(zip(VARIANTS, zip(recipes, [data] * 3, strict=True), strict=True)), "own": (own, longer)}
    cases.write_bytes(pickle.dumps(list(tried.values())))
    printed = json.loads(together(nursery, script, tmp_path, cases))
    for (name, (recipe, data)), found in zip(tried.items(), printed, strict=True):
        assert found["device"] == "2 processes on cpu"
        engine = ResNetEngine(recipe, data, 3, "cpu")
        if name == "diverging":
            with pytest.raises(DivergedError) as raised:
                engine.train_epoch(1, lambda step: None)
            assert found["end"] == [raised.value.epoch, raised.value.step]
            continue
        first, second = (engine.train_epoch(number, lambda step: None)["train_loss"] for number in (1, 2))
        assert first != pytest.approx(second, rel=1e-2), "a curve that stands still would show nothing"
        assert found["losses"] == pytest.approx([first, second, second, second], rel=1e-9), name
        assert found["end"] == pytest.approx(engine.evaluate("validation").scores["validation_loss"], rel=1e-9), name


def test_one_layer_in_two_places_is_synchronised_in_both_and_keeps_its_hooks():
    """A replacement in one place alone would have parameters of its own, which the other place no longer shares."""
    norm, called = nn.BatchNorm2d(4), []
    norm.register_forward_hook(lambda *_: called.append("hook"))
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), norm), nn.Sequential(nn.Conv2d(4, 4, 3), norm))
    before = list(model.parameters())
    synchronise_batchnorm(model)
    assert type(model[0][1]) is SynchronisedBatchNorm
    assert model[0][1] is model[1][1]
    assert all(one is was for one, was in zip(model.parameters(), before, strict=True))
    model.eval()(torch.zeros(2, 3, 8, 8))
    assert called == ["hook", "hook"]


def test_what_several_processes_cannot_share_is_refused():
    class Activated(nn.BatchNorm2d):
        """As libraries have it: with the activation in it."""

    with pytest.raises(UsageError, match="the layer 1 is a Activated, which would normalise each process's images"):
        synchronise_batchnorm(nn.Sequential(nn.Conv2d(3, 4, 3), Activated(4)))
    norm = nn.BatchNorm2d(4)
    norm.forward = lambda x: x
    with pytest.raises(UsageError, match="the layer 0 is a BatchNorm2d with a forward of its own, which would"):
        synchronise_batchnorm(nn.Sequential(norm))
