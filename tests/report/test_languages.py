"""Another language: every sentence of a report is in its catalogue, and names are left as they are."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from stores import recipe

from eailab.data.registry import load
from eailab.report.formats import FORMATS
from eailab.report.study_report import Report, load_study
from eailab.studies.design import repeated
from eailab.translation import languages

LATIN_WORDS = re.compile(r"[A-Za-z]{3,}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def told(shop):
    """Studies with all that reports speak of: gaps, divergence, guards, trends, screens, mixed devices, classes."""
    shop.digits = load("digits")
    folders = [
        shop.study({10: [0.90, 0.92, 0.91, 0.93], 20: [0.80, 0.83, 0.81, 0.84], 40: [0.7, 0.9, 0.72, 0.6]}),
        shop.study({10: [0.90, "diverged", 0.91], 20: ["missing", 0.83, "damaged"]}, label_smoothing=0.1),
        shop.study({10: [0.9], 20: [0.8]}, label_smoothing=0.2),
        shop.study({10: [0.9], 20: ["diverged"], 40: ["unfinished"]}, label_smoothing=0.05),
        shop.study({"adam": [0.9, 0.8], "sgd": [0.8, 0.9]}, factor="optimizer", devices=["cpu", "a GPU"]),
        shop.trial(0.9, label_smoothing=0.25),
        replace(shop, joules=50.0).study({10: [0.9, 0.8], 20: [0.8, 0.7]}, label_smoothing=0.35),
        shop.trial("unfinished", label_smoothing=0.3),
        shop.study({10: [0.9, 0.8], 20: [0.9, 0.8]}, label_smoothing=0.4),
        shop.of(repeated(recipe(label_smoothing=0.45), range(3)), [[0.9, "diverged", "missing"]]),
    ]
    return [load_study(shop.store, folder) for folder in folders]


class Texts(HTMLParser):
    """The texts and spoken labels of a page."""

    def __init__(self, text):
        super().__init__()
        self.found, self.inside = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.found += [value for name, value in attrs if name in ("aria-label", "alt", "title", "data-sort")]

    def handle_data(self, data):
        if self.inside not in ("script", "style", "code", "title"):
            self.found.append(data)


def names_are_taken_out(text):
    """What a sentence has left once settings, options, versions, verdicts and labels are gone."""
    text = re.sub(r"--[a-z-]+", "", text)
    text = re.sub(
        r"BETTER|WORSE|SAME|UNDECIDED|SCREEN|tiny[\w-]*|Adam|adam|sgd|SGD|UCI|MLP|ReLU|constant|batch_size|dropout|Dunnett|Bonferroni|McNemar|mlp|digits|relu|layers\.\d",
        "",
        text,
    )
    return re.sub(
        r"Brown–Forsythe|Holm|Student|momentum|weight_decay|label_smoothing|nesterov|betas|false|none|\bhe\b|optimizer|was",
        "",
        text,
    )


@pytest.mark.parametrize("code", [code for code in languages() if code != "en"])
def test_every_sentence_of_a_report_is_translated(told, code):
    report = Report("report", code, tuple(told), ())
    page = [text.strip() for text in Texts(FORMATS["html"].text(report)).found if text.strip()]
    lines = [
        line.removeprefix("- ")
        for line in FORMATS["markdown"].text(report).splitlines()
        if not line.startswith(("<!--", "研究"))
    ]
    left = [
        text
        for text in (*page, *lines)
        if LATIN_WORDS.search(names_are_taken_out(text))
        and not re.search(r"engine numpy-mlp|cpu|CPU|GPU|numpy|result\.json|figures/", text)
    ]
    assert left == []
    assert len(page) > 200


def test_numbers_are_the_same_in_every_language(told):
    number = re.compile(r"[-+]?\d+\.\d+")
    in_english, in_chinese = (
        number.findall(FORMATS["markdown"].text(Report("report", code, tuple(told)))) for code in ("en", "zh-TW")
    )
    assert len(in_english) > 50
    assert sorted(in_english) == sorted(in_chinese)


def test_json_is_in_english_whatever_the_language(told):
    assert not CHINESE.search(FORMATS["json"].text(Report("report", "zh-TW", tuple(told))))
