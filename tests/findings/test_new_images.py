"""A study says what of its differences holds for other images too, where its predictions and their labels are there."""

import numpy as np
import pytest
from stores import Predicted

from eailab.data.registry import load
from eailab.data.split import split_of
from eailab.findings.statements import facts, headlines
from eailab.recipe.parts import Data
from eailab.report.json_report import as_mapping
from eailab.stats.model import compare
from eailab.stats.new_images import for_new_images
from eailab.studies.storage import read_record

BLOCKS = 6
DATA = {"name": "digits", "val_fraction": 0.2}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def labels(digits):
    return digits.train.labels[split_of(len(digits.train), Data(**DATA), 0).validation]


def right(labels, wrong):
    """`[B, N]`, all right but some images in each block."""
    found = np.ones((BLOCKS, len(labels)), dtype=bool)
    for block, images in enumerate(wrong):
        found[block, list(images)] = False
    return found


def predicting(shop, labels, rights, **settings):
    """A study whose trials have these images right, by level."""

    def outcome(own):
        found = Predicted(own.mean())
        found.classes = np.where(own, labels, (labels + 1) % 10).astype(np.uint16)
        return found

    outcomes = {level: list(map(outcome, own)) for level, own in rights.items()}
    return shop.study(outcomes, **{"data": DATA} | settings)


@pytest.fixture
def few(labels):
    """The second arm gains by the same two images in every block, and loses by another one in some."""
    baseline = right(labels, [{0, 1, 10 + block} for block in range(BLOCKS)])
    arm = right(labels, [{20} if block % 2 else set() for block in range(BLOCKS)])
    return {10: baseline, 20: arm}


def test_a_verdict_that_rests_on_a_few_images_is_said_to_be_of_these(shop, digits, labels, few):
    shop.digits = digits
    found = shop.findings(predicting(shop, labels, few))
    arm = found.arms[1]
    values = np.column_stack([100.0 * own.mean(axis=1) for own in few.values()])
    expected = for_new_images(100.0 * (few[20].astype(float) - few[10]), compare(values, 0, found.margin).arms[1], 1)
    assert arm.new_images == expected
    assert arm.against_baseline.verdict == "BETTER"
    low, high = arm.new_images.interval
    said = f"BETTER on these 288 images; for new images the interval includes 0: [{low:.2f}, +{high:.2f}] pp"
    assert said in arm.notes
    assert headlines(found)[0].endswith(f"; {said}")
    fact = next(fact.sentence for fact in facts(found) if fact.name == "New images")
    assert f"20 [{low:.2f}, +{high:.2f}] pp; no verdict rests on them" in fact
    assert as_mapping(found)["arms"][1]["new_images"]["interval"] == list(arm.new_images.interval)
    assert found.arms[0].new_images is None


def test_a_verdict_that_rests_on_many_images_needs_no_such_words(shop, digits, labels, few):
    shop.digits = digits
    few[10][:, 100:160] = False
    arm = shop.findings(predicting(shop, labels, few)).arms[1]
    assert arm.against_baseline.verdict == "BETTER"
    assert arm.new_images.interval[0] > 0.0
    assert not arm.only_here


def test_the_same_on_these_images_may_differ_on_others(shop, digits, labels):
    """Each arm has twelve images right that the other has not: their counts are equal, and others may not be."""
    shop.digits = digits
    own = [{*range(12), 40 + block} for block in range(BLOCKS)]
    other = [{*range(20, 32), 50 + block % 2} | ({60} if block == 3 else set()) for block in range(BLOCKS)]
    folder = predicting(shop, labels, {10: right(labels, own), 20: right(labels, other)}, study={"margin": 1.0})
    arm = shop.findings(folder).arms[1]
    assert arm.against_baseline.verdict == "SAME"
    assert arm.only_here[0].startswith("SAME on these 288 images; for new images the difference may be larger: [")


@pytest.mark.parametrize(
    "settings",
    [{"data": DATA | {"split": "per-block"}}, {"study": {"metric": "validation-loss"}}],
    ids=["images of its own in each block", "a loss"],
)
def test_nothing_is_said_where_images_are_not_shared_or_not_counted(shop, digits, labels, few, settings):
    shop.digits = digits
    found = shop.findings(predicting(shop, labels, few, **settings))
    assert [arm.new_images for arm in found.arms] == [None, None]


def test_nothing_is_said_without_predictions_or_with_other_data(shop, digits, labels, few):
    shop.digits = digits
    folder = predicting(shop, labels, few)
    for block in range(BLOCKS - 1):
        shop.trial_folder(folder, 1, block).predictions_file.unlink()
    assert shop.findings(folder).arms[1].new_images is None
    other = shop.beside("other")  # its trials were trained on data of another fingerprint
    folder = predicting(other, labels, few)
    assert read_record(folder).trials
    assert other.findings(folder).arms[1].new_images is None
