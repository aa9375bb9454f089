"""Twelve right layers pass and fourteen planted errors are found.

The layers, the errors and `gradcheck` have one author, who wrote the errors after it; that it explains errors of others
as often is not shown.
"""

from pathlib import Path

import pytest

from eailab.gradcheck.build import CheckRequest
from eailab.gradcheck.check import gradcheck
from eailab.own_code.reference import parse_reference

HERE = Path(__file__).parent
IMAGES = ((None, (3, 2, 6, 6)),)
ROWS = ((None, (6, 4)),)
RIGHT = {
    "Linear": ROWS,
    "TorchOrder": ROWS,
    "ReLU": ROWS,
    "Sigmoid": ROWS,
    "Softmax": ROWS,
    "CrossEntropy": ROWS,
    "Dropout": ROWS,
    "BatchNorm": ROWS,
    "Conv2d": IMAGES,
    "MaxPool": IMAGES,
    "TwoLayers": ROWS,
    "affine_forward,affine_backward": (*ROWS, (None, (4, 5)), (None, (5,))),
}
WRONG = {
    "MissingTranspose(4, 4)": (ROWS, "x", "a transpose of W is missing or too many"),
    "MeanForSum": (ROWS, "W", "6 times too small, which is the batch size: a mean where a sum is right"),
    "BiasOverTheWrongAxis": (ROWS, "b", "summed over axis 1: a sum over axis 0 is right"),
    "ForgottenBias": (ROWS, "b", None),
    "NoMask": (ROWS, "x", "mask is missing"),
    "DerivativeOfTheInput": (ROWS, "x", "it is dy * (x * (1 - x)), and dy * (y * (1 - y)) is right"),
    "SumForMean": (ROWS, "logits", "6 times too large, which is the batch size: a sum where a mean is right"),
    "NoScale": (ROWS, "x", "0.5 times"),
    "MeanIsConstant": (ROWS, "x", "the mean over axis 0 counts as a constant"),
    "FlippedKernel": (IMAGES, "x", "it would be right for W with its window reversed"),
    "EveryPixelOfAWindow": (IMAGES, "x", "mask is missing"),
    "RoundedSumForMean": (ROWS, "x", "6 times too large, which is the batch size: a sum where a mean is right"),
    "EpsilonTooMany": (ROWS, "x", "off by no more than 0.0001 of its largest entry"),
    "DiagonalOnly": (ROWS, "x", "it is dy * (y * (1 - y)), and y * (dy - sum(dy * y)) is right"),
}


def checked(file, name, shapes, **options):
    return gradcheck(CheckRequest(parse_reference(f"{HERE / file}:{name}"), shapes), **options)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("batch", [None, 1])
def test_right_layers_pass_at_a_batch_of_1_too(name, batch):
    (first, *rest) = RIGHT[name]
    shapes = (first if batch is None else (None, (batch, *first[1][1:])), *rest)
    report = checked("right_layers.py", name, shapes)
    assert report.passed, report
    assert not report.faults


@pytest.mark.parametrize("name", WRONG)
def test_planted_errors_are_found_and_named(name):
    shapes, wrong, said = WRONG[name]
    report = checked("wrong_layers.py", name, shapes)
    assert not report.passed
    assert [check.name for check in report.checks if check.state != "right"] == [wrong]
    (check,) = [one for one in report.checks if one.name == wrong]
    if said is None:
        assert check.state == "missing"
    else:
        assert said in check.suspects[0]
