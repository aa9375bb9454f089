"""What cannot be checked is one error with file and line, and what is found is printed and has an exit code."""

import json
import random
import re

import numpy as np
import pytest
from conftest import run_here

CODE = """
import os
import sys

import numpy as np
import beside


class Right:
    def __init__(self, n_in, n_out):
        self.weights, self.bias = np.random.randn(n_in, n_out), np.zeros(n_out)

    def forward(self, x):
        print("shape", x.shape)
        self.x = x
        return x @ self.weights + self.bias

    def backward(self, dy):
        self.dweights, self.dbias = self.x.T @ dy, dy.sum(0)
        return dy @ self.weights.T


class Wrong(Right):
    def backward(self, dy):
        super().backward(dy)
        return -dy @ self.weights.T


class Identity:
    def forward(self, x):
        return self.passed(x)

    def backward(self, dy):
        return dy


class Exits(Identity):
    def passed(self, x):
        sys.exit(0)


class Leaves(Identity):
    def passed(self, x):
        os._exit(0)


class Reads(Identity):
    def passed(self, x):
        return x + float(input())


class Forks(Identity):
    def passed(self, x):
        os.fork()


class Raises(Identity):
    def passed(self, x):
        return beside.fails(x)


class Text(Identity):
    def passed(self, x):
        return "text"


class Random(Identity):
    def passed(self, x):
        return x * np.random.default_rng().random(x.shape)


class InPlace(Identity):
    def passed(self, x):
        self.mask = x > 0
        x *= self.mask
        return x

    def backward(self, dy):
        return dy * self.mask


class Wants(Identity):
    def __init__(self, rho):
        pass


class Mixed(Identity):
    def __init__(self, rho, /, beta, *, n_in):
        pass


class Keyword(Identity):
    def __init__(self, n_out, /, *, n_in):
        pass

    def passed(self, x):
        return x


class Half:
    def forward(self, x):
        return x


class Logarithm:
    def forward(self, x):
        self.x = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.x


class OneEntry:
    '''Wrong in one entry of many.'''
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        dx = 2 * dy
        dx[3, 777] += 1
        return dx


def alone(x):
    return x
"""


@pytest.fixture
def layers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers.py").write_text(CODE)
    (tmp_path / "beside.py").write_text("def fails(x):\n    return x @ [1.0]\n")
    (tmp_path / "syntax.py").write_text("x = (\n")
    (tmp_path / "imports.py").write_text("\nimport not_there\n")
    return tmp_path


def test_a_right_layer_ends_with_0_and_its_parameters_are_listed(layers):
    done = run_here("gradcheck", "layers.py:Right", "--input", "4,6")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "layers.py:Right(n_in=6, n_out=5) on x [4, 6]: output [4, 5], float64"
    assert lines[1].endswith("weights [6, 5] (dweights), bias [5] (dbias)")
    assert lines[-1] == "right: 3 gradients to within 1e-06"
    assert "shape (4, 6)" in done.err
    assert "shape" not in done.out
    assert len(done.err.splitlines()) < 30


def test_a_wrong_gradient_ends_with_1_and_is_json_of_its_schema(layers):
    done = run_here("gradcheck", "layers.py:Wrong", "--input", "4,6", "--json")
    assert done.code == 1
    assert "the gradient of x is wrong" in done.err
    found = json.loads(done.out)
    assert found.keys() == json.loads(run_here("schema", "gradcheck").out)["properties"].keys()
    (wrong,) = [check for check in found["checks"] if check["state"] != "right"]
    assert wrong["suspects"] == ["its sign is wrong"]
    assert wrong["backward"] == pytest.approx(-wrong["difference"])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("layers.py:Exits", r"layers\.py:\d+: .*ends the program"),
        ("layers.py:Leaves", r"layers\.py:\d+: .*ends the program"),
        ("layers.py:Reads", r"layers\.py:\d+: .*reads standard input"),
        ("layers.py:Forks", r"layers\.py:\d+: .*a copy of this process is not started"),
        ("layers.py:Raises", r"beside\.py:2: .*raised ValueError"),
        ("layers.py:Text", "forward returned str: an array is wanted"),
        ("layers.py:Random", "gives other numbers when it is called again"),
        ("layers.py:Wants", r"layers\.py:\d+: Wants wants rho.*'layers\.py:Wants\(rho=…\)'"),
        ("layers.py:Mixed", r"Mixed wants rho, beta, .*'layers\.py:Mixed\(…, beta=…\)'"),
        ("layers.py:Mixed(1)", r"Mixed wants beta, .*'layers\.py:Mixed\(1, beta=…\)'"),
        ("layers.py:Half", "has no backward"),
        ("layers.py:alone", "name the one for gradients too"),
        ("layers.py:Rigth", "has no Rigth: .*did you mean 'Right'"),
        ("layers.py:Right(3, width=4)", r"layers\.py:\d+: Right\(n_in, n_out\) cannot be called so"),
        ("layers.py:Right(open('x'))", "is not a name in layers.py, nor a call with plain values"),
        ("layers.py", "names no class or function of a file: .*it has Right"),
        ("layer.py:Right", "there is no such file.*did you mean 'layers.py'"),
        ("syntax.py:Net", r"syntax\.py:1: this is not Python"),
        ("imports.py:Net", r"imports\.py:2: importing it raised ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_checked_is_one_error_with_code_2(layers, code, said):
    done = run_here("gradcheck", code, "--input", "4,6")
    assert done.code == 2
    assert done.out == ""
    (error,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert re.search(said, error)
    assert "Traceback" not in done.err


@pytest.mark.parametrize("shape", ["8,x", "0,4", "-1", "8,,4", "9000,9000", "z=4,6"])
def test_shapes_that_are_none_are_refused(layers, shape):
    done = run_here("gradcheck", "layers.py:Right", "--input", shape)
    assert done.code == 2
    assert f"--input {shape}" in done.err


def test_an_input_that_is_changed_in_place_is_wrong(layers):
    done = run_here("gradcheck", "layers.py:InPlace", "--input", "4,6")
    assert done.code == 1
    assert "changes its input x in place" in done.err


def test_sizes_are_guessed_for_arguments_of_every_kind(layers):
    done = run_here("gradcheck", "layers.py:Keyword", "--input", "4,6")
    assert done.code == 0, done.err
    assert done.out.startswith("layers.py:Keyword(5, n_in=6) on x [4, 6]")


def test_inputs_are_positive_where_forward_needs_that(layers):
    done = run_here("gradcheck", "layers.py:Logarithm", "--input", "4,6")
    assert done.code == 0
    assert "note: checked with rows of positive numbers that sum up to 1" in done.out


def test_one_wrong_entry_of_many_is_found(layers):
    """4,000 entries, of which 100 are compared one by one: the slopes along random directions lead to it."""
    done = run_here("gradcheck", "layers.py:OneEntry", "--input", "4,1000", "--entries", "100")
    assert done.code == 1
    assert "x[3, 777]" in done.out


def test_generators_are_as_they_were(layers):
    random.seed(5), np.random.seed(5)  # noqa: NPY002 - the global one is what must not move
    expected = random.random(), np.random.random()  # noqa: NPY002, S311
    random.seed(5), np.random.seed(5)  # noqa: NPY002
    run_here("gradcheck", "layers.py:Right", "--input", "4,6")
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002, S311


def test_a_module_beside_the_file_is_one_and_a_layer_without_labels_is_built_once_for_each_kind_of_input(layers):
    """A second copy of the module had names of its own; a layer that fails was built again for kinds of labels."""
    (layers / "counted.py").write_text(
        "import beside\n"
        "class Net:\n"
        "    def __init__(self):\n"
        "        open('built', 'a').write('x')\n"
        "    def forward(self, x):\n"
        "        import beside as again\n"
        "        assert again is beside, 'another module'\n"
        "        return x + float('nan')\n"
        "    def backward(self, dy):\n"
        "        return dy\n"
    )
    done = run_here("gradcheck", "counted.py:Net", "--input", "4,6")
    assert done.code == 2
    assert "not finite" in done.err
    assert "another module" not in done.err
    assert (layers / "built").read_text() == "xxx"
