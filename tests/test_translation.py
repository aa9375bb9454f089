"""Text is marked for translation where it is written, and every language has every text."""

import ast
import copy
import re
from collections import Counter
from pathlib import Path
from string import Formatter

import pytest

from eailab.errors import UsageError
from eailab.translation import Catalogue, Text, capitalized, catalogue, joined, language, languages, tr, trn

PACKAGE = Path(__file__).parents[1] / "eailab"
OTHERS = [code for code in languages() if code != "en"]

SENTENCES = {"{n} blocks": "{n} 個區組", "better than {other}": "優於 {other}", "the baseline": "基準"}


def templates() -> dict[str, str]:
    """The templates of all marked texts with where they stand; of plurals, the plural's."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tr", "trn"):
                literal = node.args[node.func.id == "trn"]
                where = f"{file.relative_to(PACKAGE)}:{node.lineno}"
                assert isinstance(literal, ast.Constant), f"{where}: not a literal"
                found[literal.value] = where
    return found


def places(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


@pytest.mark.parametrize("code", OTHERS)
def test_every_marked_text_has_its_translation(code):
    known = catalogue(code).sentences
    marked = templates()
    assert {template: where for template, where in marked.items() if template not in known} == {}
    assert set(known) - set(marked) == set()


@pytest.mark.parametrize("code", OTHERS)
def test_translations_have_the_places_of_their_templates(code):
    for english, said in catalogue(code).sentences.items():
        assert places(said) == places(english), english


@pytest.mark.parametrize("code", OTHERS)
def test_a_text_is_translated_once(code):
    """YAML keeps the last of two, and the other is dead."""
    lines = (PACKAGE / "locales" / f"{code}.yaml").read_text(encoding="utf-8").splitlines()
    keys = [line.partition('": "')[0] for line in lines if line.startswith('"')]
    assert [key for key, times in Counter(keys).items() if times > 1] == []


def test_a_text_is_its_english():
    text = trn("{n} block", "{n} blocks", 2)
    assert text == "2 blocks"
    assert f"{text}" == "2 blocks"


def test_values_that_are_texts_are_translated_and_names_are_not():
    say = Catalogue(SENTENCES).say
    assert say(tr("better than {other}", other=tr("the baseline"))) == "優於 基準"
    assert say(tr("better than {other}", other="adam {n}")) == "優於 adam {n}"
    assert say(tr("a text that the catalogue lacks")) == "a text that the catalogue lacks"


def test_one_and_several_share_a_translation():
    say = Catalogue(SENTENCES).say
    assert [trn("{n} block", "{n} blocks", n) for n in (1, 2)] == ["1 block", "2 blocks"]
    assert [say(trn("{n} block", "{n} blocks", n)) for n in (1, 2)] == ["1 個區組", "2 個區組"]


def test_members_of_a_list_are_translated_one_by_one():
    text = joined([tr("the baseline"), "adam", joined([trn("{n} block", "{n} blocks", 3)], ", ")])
    assert text == "the baseline; adam; 3 blocks"
    assert Catalogue(SENTENCES).say(text) == "基準; adam; 3 個區組"


def test_a_capital_letter_is_of_english_alone():
    assert capitalized(tr("the baseline")) == "The baseline"
    assert Catalogue(SENTENCES).say(capitalized(tr("the baseline"))) == "基準"


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy])
def test_copies_can_be_translated_too(copied):
    text = copied(tr("better than {other}", other=tr("the baseline")))
    assert isinstance(text, Text)
    assert Catalogue(SENTENCES).say(text) == "優於 基準"


def test_an_unknown_language_is_bad_input():
    with pytest.raises(UsageError, match="zh-TW"):
        language("xx")


HALF_WIDTH = re.compile(r"[\u4e00-\u9fff] ?[,;:()?!](?!/)|[,;:()?!] ?[\u4e00-\u9fff]|。 ")
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "file",
    ["eailab/locales/zh-TW.yaml", "tests/report/golden/report.zh-TW.md", "README.zh-TW.md", "docs/guide.zh-TW.md"],
)
def test_chinese_has_full_width_punctuation(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith(".yaml"):
        text = "\n".join(catalogue("zh-TW").sentences.values())
    text = re.sub(r"^```.*?^```|`[^`]*`|\]\([^)]*\)", "x", text, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if HALF_WIDTH.search(line)] == []


GUIDES = ("docs/guide.md", "docs/guide.zh-TW.md")


def code_of(file):
    """The lines of a page's code, without comments, which are in the page's language."""
    text = (ROOT / file).read_text()
    lines = (line for block in text.split("```")[1::2] for line in block.splitlines()[1:])
    return {re.sub(r"\s+# .*", "", line) for line in lines}


def test_the_guide_in_chinese_shows_no_command_that_the_english_one_does_not():
    english, chinese = map(code_of, GUIDES)
    assert len(chinese) > 80
    assert chinese - english == set()
