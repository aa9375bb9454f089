"""Two studies with the same question are not taken for one another."""

from dataclasses import replace

import pytest

from eailab.findings.apart import tell_apart
from eailab.report.formats import FORMATS
from eailab.report.study_report import Report, load_study

SCORES = {10: [0.9, 0.8], 20: [0.8, 0.7]}


def apart(shop, *folders):
    return [findings.apart for findings in tell_apart([shop.findings(folder) for folder in folders])]


def test_a_study_that_is_alone_with_its_question_needs_nothing(shop):
    other = {"adam": [0.9, 0.8], "sgd": [0.8, 0.9]}
    assert apart(shop, shop.study(SCORES), shop.study(other, factor="optimizer")) == [(), ()]


def test_model_and_data_come_first(shop):
    ours, theirs = (shop.findings(shop.study(SCORES, epochs=epochs)) for epochs in (3, 2))
    there = {**dict(theirs.held_fixed), "data.name": "/scans/mine.npz", "model.name": "resnet18"}
    theirs = replace(theirs, held_fixed=tuple(there.items()))
    assert [one.apart for one in tell_apart([ours, theirs])] == [("mlp", "digits"), ("resnet18", "mine")]


def test_what_else_differs_is_named_as_far_as_it_takes(shop):
    folders = [
        shop.study(SCORES),
        shop.study(SCORES, epochs=2),
        shop.study(SCORES, epochs=2, label_smoothing=0.1),
        shop.study(SCORES, epochs=2, label_smoothing=0.1, ema=0.9),
    ]
    assert apart(shop, *folders) == [
        ("epochs 3", "label_smoothing 0.0", "ema none"),
        ("epochs 2", "label_smoothing 0.0", "ema none"),
        ("epochs 2", "label_smoothing 0.1", "ema none"),
        ("epochs 2", "label_smoothing 0.1", "ema 0.9"),
    ]


def test_levels_baseline_and_margin_tell_apart_too(shop):
    folders = [
        shop.study(SCORES),
        shop.study({10: [0.9, 0.8], 40: [0.8, 0.7]}),
        shop.study(SCORES, baseline=20),
        shop.study(SCORES, study={"margin": 0.5}),
    ]
    words = apart(shop, *folders)
    assert len(set(words)) == 4
    assert words[1][0] == "levels 10, 40"
    assert "baseline 20" in words[2]
    assert "margin 0.5" in words[3]


def test_single_trials_of_one_name_are_told_apart(shop):
    assert apart(shop, shop.trial(0.9), shop.trial(0.8, epochs=2)) == [("epochs 3",), ("epochs 2",)]


@pytest.mark.parametrize(("lang", "title"), [("en", "(epochs 2)"), ("zh-TW", "（週期數 2）")])
def test_titles_cards_and_captions_say_it(shop, lang, title):
    told = tuple(load_study(shop.store, folder) for folder in (shop.study(SCORES), shop.study(SCORES, epochs=2)))
    report = Report("report", lang, told)
    assert FORMATS["html"].text(report).count(title) == 3
    assert FORMATS["markdown"].text(report).count(title) == FORMATS["latex"].text(report).count(title) == 4
    alone = Report("study", lang, told[1:])
    assert title not in FORMATS["html"].text(alone) + FORMATS["markdown"].text(alone)
