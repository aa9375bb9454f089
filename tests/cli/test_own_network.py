"""A network of a person's own on the command line: as a level, its arguments as factors, and when its code runs."""

import json
import sys

import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("forked")
NET = """
from pathlib import Path

from torch import nn

Path("executed").touch()


class Net(nn.Module):
    def __init__(self, num_classes, in_channels, width=2):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.ReLU(), nn.Flatten())
        self.head = nn.LazyLinear(num_classes)

    def forward(self, x):
        return self.head(self.layers(x))
"""
SMALL = ("--recipe", "resnet18-digits", "-o", "data.limit=64", "-o", "epochs=1", "-o", "model.width=0.05")


@pytest.fixture
def folder(tmp_path, eailab):
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def test_it_is_a_level_beside_a_resnet_and_only_training_runs_it(eailab, folder):
    ran = folder / "executed"
    done = eailab(
        "ablate", "model", "resnet18", "net.py:Net", "net.py:Net(width=3)", *SMALL, "--seeds", "1", "--jobs", "1"
    )
    assert done.code == 0, done.err
    for label in ("resnet18 (baseline)", "net.py:Net", "net.py:Net(width=3)"):
        assert label in done.out
    assert ran.exists()
    ran.unlink()
    for command in (
        ("report",),
        ("verify", "report/report.html"),
        ("runs", "list"),
        ("runs", "verify"),
        ("studies", "list"),
    ):
        done = eailab(*command)
        assert done.code == 0, done.err
    assert not ran.exists()
    assert eailab("verify", "report/report.html", "--retrain", "net.py:Net/0").code == 0
    assert ran.exists()


def test_one_that_does_not_run_on_a_single_image_is_trained_without_a_list_of_its_layers(eailab, folder):
    (folder / "net.py").write_text(NET.replace("return self", "assert len(x) > 1\n        return self"))
    for words in (("-n",), ()):
        done = eailab("ablate", "lr", "0.01", "0.02", *SMALL[:-2], "-o", "model=net.py:Net", "--seeds", "1", *words)
        assert done.code == 0, done.err
        assert "multiply-adds" not in done.out
    result = json.loads(next(folder.glob("runs/trials/*/result.json")).read_text())
    assert "network" not in result


def test_its_arguments_are_factors_and_changed_code_is_said(eailab, folder):
    asked = (
        "ablate",
        "model.args.width",
        "2",
        "3",
        *SMALL[:-2],
        "--model",
        "net.py:Net",
        "--seeds",
        "1",
        "--jobs",
        "1",
    )
    done = eailab(*asked)
    assert done.code == 0, done.err
    assert "Does the width change" in done.out
    page = next((folder / "runs" / "studies").glob("*/report.html")).read_text(encoding="utf-8")
    assert "2 layers with weights, 27,094 trained parameters, 99,900 multiply–adds an image" in page
    assert "3×30×30" in page
    again = eailab(*asked)
    assert "has changed" not in again.err
    (folder / "net.py").write_text(NET.replace("nn.ReLU()", "nn.Tanh()"))
    changed = eailab(*asked, "-n", "-v")
    assert "parameters: 2 18,066; 3 27,094" in changed.out
    # A convolution of 30x30 places by 3x3x3 weights for each of `width` channels, and a matrix of width*900 by 10.
    assert "multiply-adds an image: 2 66,600; 3 99,900" in changed.out
    assert ["layers.0", "Conv2d", "3,30,30", "84", "72,900"] in [line.split() for line in changed.out.splitlines()]
    assert "net.py, or a module next to it, has changed since the study" in changed.err
    Image.new("L", (32, 32)).save(folder / "black.png")
    (folder / "executed").unlink()
    refused = eailab("predict", "3/0", "black.png")
    assert refused.code == 2
    assert "is not the code of this trial" in refused.err
    assert eailab("runs", "verify").code == 0  # its records are right all the same
    (folder / "net.py").write_text(f"# the same again\n{NET}")
    assert eailab("predict", "3/0", "black.png").code == 0


def test_one_that_cannot_be_trained_is_refused_before_its_neighbour_is(eailab, folder):
    assert eailab("train-resnet", "--model", "net.py:Net(depth=3)", *SMALL).code == 2
    done = eailab("ablate", "model", "resnet18", "net.py:Net(depth=3)", *SMALL, "--seeds", "1", "--jobs", "1")
    assert done.code == 2
    assert "cannot be called so" in done.err
    (folder / "net.py").write_text(NET.replace("width=2", "depth, *, width"))
    wanting = eailab("model", "show", "net.py:Net(depth=3)", "--image", "1,8,8")
    wants = "missing a required argument: 'width': give what it wants, as in 'net.py:Net(depth=3, width=…)'."
    assert wants in wanting.err
    assert not list(folder.glob("runs/trials/*/result.json"))


@pytest.mark.parametrize(
    ("command", "said"),
    [(("train-resnet", "--recipe"), 1), (("noise", "--seeds", "2", "--jobs", "1"), 2)],
)
def test_what_only_the_engine_refuses_is_said_without_a_table_of_nothing(eailab, folder, command, said):
    """The error stood before and after a table without a number; of several trials, each says that it has failed."""
    holds = NET.replace("return self.head(self.layers(x))", "return self.act(x)")
    act = "        self.act = lambda x: self.head(self.layers(x))\n"
    (folder / "net.py").write_text(holds.replace("\n    def forward", f"{act}\n    def forward"))
    done = eailab(*command, *SMALL[1:-2], "-o", "model=net.py:Net", "-o", "ema=0.9")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("Make it a method, or leave ema out.") == said
    assert done.err.count("failed: as ") == said - 1


def test_what_it_lacks_is_said_only_of_settings_that_the_command_line_gives(eailab, folder):
    """A note named every setting of the recipe's ResNet, which no one had asked for."""
    asked = ("ablate", "model", "resnet18", "net.py:Net", "net.py:Net(width=3)", "--recipe", "resnet18-digits")
    asked += ("-o", "data.limit=64", "--seeds", "3", "-n")
    done = eailab(*asked)
    assert done.code == 0, done.err
    assert "note:" not in done.err
    assert "model resnet18 -> net.py:Net; model.args.width - -> 3" in " ".join(done.out.split())
    given = eailab(*asked, "-o", "stem=3x3", "-o", "model.width=0.05", "-o", "lr=0.01").err
    lack = "has no effect on net.py:Net, net.py:Net(width=3): they do not have the setting"
    assert [line for line in given.splitlines() if line.startswith("note:")] == [
        f"note: -o stem=3x3 {lack} model.stem",
        f"note: -o model.width=0.05 {lack} model.width",
    ]


def test_an_argument_is_set_beside_its_network(eailab, folder):
    """Which was refused, since the recipe's own network has no arguments."""
    asked = ("ablate", "lr", "0.1", "0.2", "--recipe", "resnet18-digits", "-o", "data.limit=64", "--seeds", "3", "-n")
    done = eailab(*asked, "-o", "model.args.width=3", "-o", "model=net.py:Net")
    assert done.code == 0, done.err
    assert "27,094" in done.out
    assert "note:" not in done.err
    for words, said in (
        (("-o", "model.args.wdth=3", "-o", "model=net.py:Net"), "argument 'wdth'; did you mean 'width'?"),
        (("-o", "model=nat.py:Net"), 'error: -o model="nat.py:Net": model: nat.py: there is no such file;'),
        (("-o", "model.args.width=3"), "there is no setting 'model.args.width'"),
        (("-o", "width=3", "-o", "model=net.py:Net"), "write model.args.width if the network takes it, remove it"),
    ):
        wrong = eailab(*asked, *words)
        assert wrong.code == 2
        assert said in wrong.err


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        ("width", "module has no width (resnet18, resnet34, resnet50 have): write model.args.width if the network"),
        ("depth", "did you mean 'width'? An argument of the network is written model.args.depth."),
        ("zzz", "An argument of the network is written model.args.zzz."),
    ],
)
def test_the_place_of_an_argument_is_said_of_a_factor_that_the_network_lacks(eailab, folder, factor, said):
    refused = eailab("ablate", factor, "2", "3", "--recipe", "resnet18-digits", "-o", "model=net.py:Net(width=2)")
    assert refused.code == 2
    assert said in refused.err


def test_two_networks_of_one_file_differ_in_a_dry_run(eailab, folder):
    (folder / "net.py").write_text(f"{NET}\n\nclass Other(Net):\n    pass\n")
    done = eailab("ablate", "model", "net.py:Net", "net.py:Other", *SMALL[:-2], "--seeds", "3", "-n")
    assert "model.class Net -> Other" in done.out, done.err


def test_all_checks_together_print_what_one_piece_of_code_may(eailab, folder):
    talking = NET.replace("return self.head", "print('a line of its own')\n        return self.head")
    (folder / "net.py").write_text(talking)
    done = eailab("sanity", "net.py:Net", "--image", "1,8,8")
    assert done.err.count("a line of its own") == 20
    assert done.err.count("is left out") == 1
    assert "a line" not in done.out


def test_its_layers_are_listed_and_mistakes_are_one_error(eailab, folder):
    done = eailab("model", "show", "net.py:Net(width=3)", "--image", "1,8,8")
    assert done.code == 0, done.err
    assert ["layers.0", "Conv2d", "3,6,6", "30", "972"] in [line.split() for line in done.out.splitlines()]
    printed = json.loads(eailab("model", "show", "net.py:Net", "--image", "1,8,8", "--json").out)
    assert printed["classes"] == 10
    assert printed.keys() == json.loads(eailab("schema", "model").out)["properties"].keys()
    schema = json.loads(eailab("schema", "sanity").out)
    assert set(schema["properties"]) == {"schema_version", "network", "checks"}
    assert all("description" in one for one in schema["properties"].values())
    for words, said in (
        (("sanity", "net.py:Nat"), "has no Nat"),
        (("sanity", "nat.py:Net"), "there is no such file; did you mean 'net.py'?"),
        (("sanity", "missing.py:Net"), "missing.py: there is no such file.\n"),
        (("sanity", "net.py:Net(3)"), "its arguments by their names"),
        (("sanity", "net.py:Net(width={[1]: 2})"), "nor a call with plain values"),
        (("model", "show", "net.py:Net", "--image", "8,8"), "give channels, rows and columns"),
        (
            ("model", "show", "timm:"),
            "error: timm: names no network: write its name after the colon, as in timm:resnet18.",
        ),
        (("ablate", "model", "resnet18", "timm:(a=1)", *SMALL), "timm:(a=1) names no network: write its name after"),
    ):
        done = eailab(*words)
        assert done.code == 2
        assert said in done.err


def test_a_recipes_layers_are_listed_from_its_settings(eailab):
    done = eailab("model", "show", "mnist-mlp", "-o", "model.norm=batch")
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    assert ["layers.0", "linear,", "batch", "norm,", "relu", "128", f"{785 * 128 + 256:,}", f"{784 * 128:,}"] in rows
    assert done.out.splitlines()[-1].startswith(f"{785 * 128 + 129 * 256 + 257 * 10 + 2 * 384:,} parameters")
    printed = json.loads(eailab("model", "show", "mnist-mlp", "--json").out)
    assert printed.keys() == json.loads(eailab("schema", "model").out)["properties"].keys()
    listed = printed["layers"]
    assert [layer["multiply_adds"] for layer in listed] == [784 * 128, 128 * 256, 256 * 10]
    for words, said in (
        (("mnist-mlp", "--classes", "3"), "a recipe's are those of its data set"),
        (("net.py:Net", "-o", "batch_size=3"), "-o changes a recipe"),
    ):
        done = eailab("model", "show", *words)
        assert done.code == 2
        assert said in done.err


def test_what_torchvision_brings_is_not_listed_at_the_end(monkeypatch):
    """Its triton lists every object that is left, in fifty lines on standard error, unless they are collected."""
    from eailab import __main__ as program

    frozen = []
    monkeypatch.setattr(program.gc, "freeze", lambda: frozen.append(True))
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    program._freeze()
    monkeypatch.setitem(sys.modules, "triton", program)
    program._freeze()
    assert frozen == [True]
