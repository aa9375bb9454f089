"""Confusion matrices and examples, from hand-made predictions of the real digits."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from eailab.data.registry import load
from eailab.errors import DataError
from eailab.findings.classes import classes_of
from eailab.report.page_sections import class_blocks, data_address
from eailab.studies.storage import read_record


def classes(shop, folder):
    return classes_of(shop.store, read_record(folder), shop.findings(folder))


@pytest.fixture
def digits_shop(shop):
    shop.digits = load("digits")
    return shop


def test_a_confusion_matrix_counts_every_test_image_of_every_block(digits_shop):
    found = classes(digits_shop, digits_shop.study({10: [0.9, 0.8], 20: [1.0, 1.0]}))
    labels = digits_shop.digits.test.labels
    ten, twenty = found.confusions
    expected = np.diag(2 * np.bincount(labels))
    for accuracy in (0.9, 0.8):
        for label in labels[: round((1.0 - accuracy) * len(labels))]:
            expected[label, label] -= 1
            expected[label, (label + 1) % 10] += 1

    assert ten.tolist() == expected.tolist()
    assert twenty.tolist() == np.diag(2 * np.bincount(labels)).tolist()
    assert found.percent_right(1) == [100.0] * 10


def test_examples_are_images_that_one_arm_gets_right_and_the_other_wrong(digits_shop):
    found = classes(digits_shop, digits_shop.study({10: [0.9, 0.8], 20: [1.0, 1.0]}))
    (contrast,) = found.contrasts
    assert (contrast.arm, contrast.blocks, contrast.only_baseline) == (1, 2, ())
    assert [example.image for example in contrast.only_arm] == list(range(8))  # wrong in both blocks, so the clearest
    first, label = contrast.only_arm[0], int(digits_shop.digits.test.labels[0])
    assert (first.label, first.arm_said, first.baseline_said) == (label, label, (label + 1) % 10)
    assert (first.arm_right, first.baseline_right) == (2, 0)


def test_one_block_is_enough_for_examples(digits_shop):
    found = classes(digits_shop, digits_shop.study({10: [1.0], 20: [0.9]}))
    (contrast,) = found.contrasts
    assert (contrast.blocks, contrast.only_arm) == (1, ())
    assert [(example.arm_right, example.baseline_right) for example in contrast.only_baseline] == [(0, 1)] * 8


def test_an_arm_without_a_finished_trial_has_no_classes(digits_shop):
    found = classes(digits_shop, digits_shop.study({10: [0.9], 20: ["missing"]}))
    assert found.confusions[1] is None
    assert found.percent_right(1) == [None] * 10
    assert found.contrasts == ()


@pytest.mark.parametrize("predicted", [[3, 1, 4], None])
def test_predictions_that_do_not_fit_the_data_are_a_reason_and_no_number(digits_shop, monkeypatch, predicted):
    """Too few of them, or a class that the data set has not."""
    folder = digits_shop.study({10: [0.9], 20: [0.8]})
    count = len(digits_shop.digits.test.labels)
    made = np.array(predicted or [10] * count, np.uint8)
    monkeypatch.setattr(
        type(digits_shop.trial_folder(folder, 0, 0)), "predictions", lambda *_: {"validation": made, "test": made}
    )
    with pytest.raises(DataError, match="do not fit the data set"):
        classes(digits_shop, folder)


def test_the_networks_of_every_block_are_compared_by_mcnemars_exact_test(digits_shop):
    folder = digits_shop.study({10: [0.9, 0.8], 20: [1.0, 0.8]})
    found = classes(digits_shop, folder)
    (contrast,) = found.contrasts
    wrong = round(0.1 * len(digits_shop.digits.test.labels))
    rows = [(block, test.only_first, test.only_second, test.p) for block, test in contrast.networks]
    assert rows == [(0, wrong, 0, pytest.approx(stats.binomtest(0, wrong).pvalue)), (1, 0, 0, 1.0)]

    about, table, *_ = class_blocks(digits_shop.findings(folder), found)[-1].blocks
    assert table.table.rows[0] == ("0", str(wrong), "0", "2.9e-11")
    assert "not that their recipes do" in about.sentences[0]


def test_without_the_data_the_reason_is_said(shop):
    """Its trials saw other data than the digits that are here."""
    folder = shop.study({10: [0.9], 20: [0.8]})
    with pytest.raises(DataError, match="not on this machine"):
        classes(shop, folder)


def test_damaged_predictions_are_a_reason_and_no_number(digits_shop):
    folder = digits_shop.study({10: [0.9], 20: [0.8]})
    findings = digits_shop.findings(folder)
    digits_shop.trial_folder(folder, 0, 0).predictions_file.write_bytes(b"PK")
    with pytest.raises(DataError, match="not shown: "):
        classes_of(digits_shop.store, read_record(folder), findings)


def test_arms_on_different_data_are_not_set_side_by_side(shop):
    folder = shop.study({10: [0.9], 20: [0.8]})
    record = read_record(folder)
    other = record.study.arms[1].recipe.model_copy(
        update={"data": record.study.arms[1].recipe.data.model_copy(update={"name": "mnist"})}
    )
    arms = (record.study.arms[0], replace(record.study.arms[1], recipe=other))
    mixed = replace(record, study=replace(record.study, arms=arms))
    with pytest.raises(DataError, match="different data sets"):
        classes_of(shop.store, mixed, shop.findings(folder))


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (100, 60, 3)])
def test_a_picture_is_a_whole_png_inside_an_address(shape):
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    kind, _, data = data_address(pixels).partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == "data:image/png;base64"
    assert max(image.size) <= 48
    if max(shape) <= 48:
        assert np.array_equal(np.asarray(image).reshape(shape), pixels)
