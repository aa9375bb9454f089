"""Layers whose authors had not seen `gradcheck`: see `blind/README.md` for what it found when it first met them."""

import hashlib
import json
from pathlib import Path

import pytest

from eailab.gradcheck.build import CheckRequest
from eailab.gradcheck.check import gradcheck
from eailab.own_code.reference import parse_reference

BLIND = Path(__file__).parent / "blind"
NAMED = {
    "first": {
        "01": "a mean where a sum is right",
        "02": "it is dy * (dy > 0), and dy * (x > 0) is right",
        "03": "dy * (y * (1 - y)) is right",
        "04": "y * (dy - sum(dy * y)) is right",
        "05": "[np.arange(len(labels)), labels]",
        "06": "it is 0.5 times what is right",
        "07": "the variance over axis 0 counts as a constant",
        "08": "the sum of dy * ((x - mean) / sd) over axis 0 is right",
        "09": "shifted by +1 along axis 2, +1 along axis 3",
        "10": "overwritten (=) where it should be added up (+=)",
        "11": "it is right once transposed",
    },
    "second": {
        "01": "it is dy * (dy > 0), and dy * (x > 0) is right",
        "02": "the mean over axis 0 counts as a constant",
        "03": "a mean where a sum is right",
        "04": "[np.arange(len(labels)), labels]",
        "05": "overwritten (=) where it should be added up (+=)",
        "06": "it is 0.6 times what is right",
        "07": "dy @ weights.T is right",
        "08": "dy * (y * (1 - y)) is right",
        "09": "it is 4 times what is right",
        "10": "((dy @ W2.T) * (z1 > 0)) @ W1.T is right",
        "11": "a division by 4 is missing",
        "12": "a transpose of w is missing",
    },
    "third": {
        "01": "where x > 0, and 10 times what is right where x < 0: the slopes of the two sides are exchanged",
        "02": "it lacks 0.5 * (dy * (1 - mask))",
        "03": "it has 0.01 times W too much",
        "04": "((dy @ W2.T) * (1 - a * a)) @ W1.T is right",
        "05": "it is the sum of dy * x over axes 0, 2, 3, and the sum of (dy * (x < 0)) * x over axes 0, 2, 3 is right",
        "06": "it lacks dy",
        "07": "it counts only the output at its own place along axis 1",
        "08": "2 times too large, which is the batch size or the square root of the size of the input's last axis, 4",
        "09": "the mean square, or the norm, over axis 1 counts as a constant",
        "10": "it is dy - softmax(x) * dy, and dy - softmax(x) * sum(dy) is right",
        "11": "",  # a stride forgotten is not tried
        "12": "a division by 5 is missing",
    },
}


def checked(folder, one, batch=None):
    shape = tuple(map(int, one["input"].split(",")))
    reference = parse_reference(f"{BLIND / folder / one['file']}:{one['class']}")
    return gradcheck(CheckRequest(reference, ((None, shape if batch is None else (batch, *shape[1:])),), entries=60))


def layers(folder, kind):
    truth = json.loads((BLIND / folder / "truth.json").read_text())
    return [one for one in truth if one["file"].startswith(kind)]


@pytest.mark.parametrize("folder", NAMED)
def test_right_layers_pass_at_a_batch_of_1_too(folder):
    for one in layers(folder, "right"):
        for batch in (None, 1) if not one["class"].startswith("BatchNorm") else (None,):
            report = checked(folder, one, batch)
            assert report.passed, (one["file"], report)


@pytest.mark.parametrize("folder", NAMED)
def test_each_error_is_found_and_explained(folder):
    for one in layers(folder, "wrong"):
        report = checked(folder, one)
        assert not report.passed, one["file"]
        wrong = [check for check in report.checks if check.state != "right"]
        name = Path(one["file"]).stem
        if name not in NAMED[folder]:
            assert any("adds to the first one's gradient of b" in fault for fault in report.faults)
        else:
            named, said = NAMED[folder][name], [suspect for check in wrong for suspect in check.suspects[:1]]
            assert any(named in one for one in said) if named else not said, one["file"]


@pytest.mark.parametrize("folder", NAMED)
def test_the_layers_are_those_that_their_authors_sealed(folder):
    for line in (BLIND / folder / "SHA256").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((BLIND / folder / name).read_bytes()).hexdigest() == digest
