"""Recipes are YAML 1.2: what people write means what they expect, and what could mislead is refused with its place."""

import contextlib
import math
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eailab.errors import RecipeError
from eailab.recipe.canonical import write
from eailab.recipe.describe import Mark
from eailab.recipe.yaml12 import MAX_BYTES, MAX_NODES, parse, parse_value

MEANINGS = {
    "1e-3": 0.001,
    "1E+3": 1000.0,
    ".5": 0.5,
    "-.5e1": -5.0,
    "1.": 1.0,
    "3": 3,
    "-17": -17,
    "+4": 4,
    "010": 10,
    "08": 8,
    "1_000": 1000,
    "1_000.5": 1000.5,
    "0o12": 10,
    "0x1F": 31,
    "true": True,
    "False": False,
    "TRUE": True,
    "null": None,
    "~": None,
    "": None,
    "on": "on",
    "no": "no",
    "yes": "yes",
    "y": "y",
    "tRue": "tRue",
    "3x3": "3x3",
    "7x7": "7x7",
    "1__0": "1__0",
    "_1": "_1",
    "1_": "1_",
    "0o8": "0o8",
    "-0x1F": "-0x1F",
    "e3": "e3",
    ".": ".",
    "12:30:45": "12:30:45",
    "2026-11-23": "2026-11-23",
    "<<": "<<",
    "1.2.3": "1.2.3",
    "nan": "nan",
    "'1'": "1",
    '"true"': "true",
    '"\\u00e9"': "é",
    "10\N{THAI DIGIT FIVE}": "10\N{THAI DIGIT FIVE}",
}


@pytest.mark.parametrize(("text", "meaning"), MEANINGS.items(), ids=[repr(text) for text in MEANINGS])
def test_a_scalar_means_what_the_core_schema_says(text, meaning):
    """YAML 1.1, as PyYAML reads it, gives text for 1e-3, true for on, 8 for 010 and 45045 for 12:30:45."""
    value = parse(f"key: {text}\n", "x.yaml").value["key"]
    assert value == meaning
    assert type(value) is type(meaning)


def test_every_key_and_value_has_its_place():
    document = parse("name: a\nmodel:\n  hidden: [64,\n    32]\n", "x.yaml")
    assert document.marks["name",].key == Mark(1, 1)
    assert document.marks["name",].value == Mark(1, 7)
    assert document.marks["model", "hidden"].key == Mark(3, 3)
    assert document.marks["model", "hidden", 1].value == Mark(4, 5)
    assert document.marks["model", "hidden", 1].key is None


def test_a_place_that_was_not_written_is_that_of_the_part_above():
    document = parse("a: 1\nmodel:\n  hidden: [64]\n", "x.yaml")
    assert document.mark(("model", "activation")) == Mark(2, 1)
    assert document.mark(("missing",)) == Mark(1, 1)


def test_columns_count_characters_after_a_byte_order_mark_and_any_line_break():
    document = parse("\ufeffé: 1\r\nb: 2\rc: 3\n".encode(), "x.yaml")
    assert document.value == {"é": 1, "b": 2, "c": 3}
    assert document.marks["c",].value == Mark(3, 4)


def test_keys_are_names_whatever_they_look_like():
    assert parse("on: 1\n1: 2\nnull: 3\n", "x.yaml").value == {"on": 1, "1": 2, "null": 3}


def test_what_is_wrong_is_reported_at_once_with_source_lines_and_carets():
    with pytest.raises(RecipeError) as caught:
        parse("a: 1\nb: .nan\na: 2\nc: !!int 3\n", "x.yaml")
    assert str(caught.value).splitlines() == [
        "3 problems:",
        "x.yaml:2:4: b: .nan is not a finite number: write a number, or null where there is none",
        "    b: .nan",
        "       ^",
        "x.yaml:3:1: a: this key was already given on line 1: keep one of the two",
        "    a: 2",
        "    ^",
        "x.yaml:4:4: c: a tag, !!int: remove it; text that looks like a number needs quotes",
        "    c: !!int 3",
        "       ^",
    ]


REFUSED = {
    "a: -.inf": "not a finite number",
    "a: 1e999": "beyond the largest number",
    "a: 1e-999": "below the smallest number",
    "a: 123456789012345678901": "21 digits",
    "a: 0x123456789012345678901": "21 digits",
    "a: &x 1": "anchor",
    "a: *x": "alias",
    "? *x\n: 1": "alias",
    "a: !local 1": "tag",
    "!!map {a: 1}": "tag",
    "&x a: 1": "tag or an anchor",
    "a: 1\n---\nb: 1": "second document",
    "%TAG ! tag:x,2000:\n---\na: 1": "directive",
    "[a, b]: 1": "list or mapping as a key",
    ": 1": "indentation",
    "'': 1": "key without a name",
    'a: "\\ud800"': "control character",
    'a: "\\0"': "control character",
    '"\\x07": 1': "control character",
    'a: "\\UFFFFFFFF"': "impossible number",
    "%YAML 1." + "9" * 5000 + "\n---\na: 1": "impossible number",
    "a: \x07": "U+0007",
    "a: b\u2028c: d": "U+2028",
    "a: \x85": "U+0085",
    "a: \ud800": "U+D800",
    "a: \ufffe": "U+FFFE",
    "": "empty",
    "---": "empty",
    "- 1": "mapping",
    "[" * 5000: "deep",
    "\n".join(" " * depth + "a:" for depth in range(100)): "deep",
    "a: [" + "1," * MAX_NODES + "]": "5,000",
    "a: " + "x" * MAX_BYTES: "64 KB",
}


@pytest.mark.parametrize(("text", "said"), REFUSED.items(), ids=[ascii(text[:20]) for text in REFUSED])
def test_what_a_recipe_does_not_need_is_refused_with_its_place(text, said):
    with pytest.raises(RecipeError, match=r"^x.yaml:\d+:\d+: ") as caught:
        parse(text, "x.yaml")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


LOOKALIKES = {
    "a: 1\nb\uff1a2\n": ("2:2", "U+FF1A FULLWIDTH COLON is used where ':' is meant"),
    "a: 1\nb:\u30002\n": ("2:3", "U+3000 IDEOGRAPHIC SPACE is used where a space is meant"),
    "a:\n\xa0\xa0b: 1\n  c: 2\n": ("2:1", "U+00A0 NO-BREAK SPACE is used where a space is meant"),
    "a: \u201cb: c\u201d\n": ("1:4", "U+201C LEFT DOUBLE QUOTATION MARK is used where '\"' is meant"),
    "a: \u2014 b: c\n": ("1:7", "a second ': ' on this line"),  # the dash may stay
}


@pytest.mark.parametrize(("text", "place_and_said"), LOOKALIKES.items(), ids=[ascii(text) for text in LOOKALIKES])
def test_only_the_letter_is_named_without_which_the_text_could_be_read(text, place_and_said):
    """Whoever reads that a colon is missing sees one."""
    place, said = place_and_said
    with pytest.raises(RecipeError) as caught:
        parse(text, "x.yaml")
    first, *_ = str(caught.value).splitlines()
    assert first.startswith(f"x.yaml:{place}: {said}")
    assert first.endswith(said) or "second" in said


def test_yaml_1_2_may_say_so():
    assert parse("%YAML 1.2\n---\na: 1\n", "x.yaml").value == {"a": 1}


def test_what_stands_inside_a_second_value_is_not_reported_on_top():
    with pytest.raises(RecipeError) as caught:
        parse("a: {b: 1}\na: {b: .nan, c: *x}\n", "x.yaml")
    assert "problems" not in str(caught.value)


def test_a_long_line_is_shown_around_its_caret():
    with pytest.raises(RecipeError) as caught:
        parse("a: [" + "1, " * 1000 + ".nan]", "x.yaml")
    _, shown, caret = str(caught.value).splitlines()
    assert len(shown) < 120
    assert shown[caret.index("^") :].startswith(".nan")


def test_thousands_of_problems_are_cut_short():
    with pytest.raises(RecipeError) as caught:
        parse("a: [" + "*x, " * 3000 + "]", "x.yaml")
    assert str(caught.value).startswith("3000 problems:")
    assert str(caught.value).endswith("and 2950 more")


@pytest.mark.parametrize(
    "text",
    ["a: " + "x " * 10**5, "\n" * 10**5, "a: 1\n" * 50_000, "? " * 10**5, "a: x\n" + "  y\n" * 50_000, "{" * 10**5],
    ids=["words", "lines", "keys", "questions", "paragraph", "braces"],
)
def test_no_text_of_the_allowed_size_takes_long(text):
    """A bound far above what is needed: it catches a hang, not a slow day."""
    start = time.perf_counter()
    with contextlib.suppress(RecipeError):
        parse(text, "x.yaml")
    assert time.perf_counter() - start < 10


def test_a_value_of_the_command_line_follows_the_same_rules():
    assert parse_value("[relu, sigmoid]") == ["relu", "sigmoid"]
    assert parse_value("16") == 16
    assert parse_value("1e-3") == 0.001
    assert parse_value("{name: cosine, final: .1}") == {"name": "cosine", "final": 0.1}
    assert parse_value("") is None
    assert parse_value(r"C:\data\x.npz") == r"C:\data\x.npz"


@pytest.mark.parametrize("text", ["[1", "&x 1", ".nan", "a: b: c", "@x", "\0"])
def test_a_value_that_cannot_be_read_is_refused(text):
    with pytest.raises(RecipeError):
        parse_value(text)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**19), 10**19),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff")),
    st.sampled_from([text for text in MEANINGS if text] + [".nan", "-.inf", "1e999", "0" * 21]),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_what_is_written_reads_as_it_was(value):
    again = parse_value(write(value))
    assert again == value
    assert repr(again) == repr(value)


PIECES = "a: ,b:,- ,? ,: ,\n,\n  ,\n    ,[,],{,},',\",\\,\\U,FFFFFFFF,&x,*x,!!,!<,!t ,%YAML 1.1\n,---,...,|,>-,#, #"
OTHER_PIECES = [
    ",",
    "\t",
    "\r",
    "\x85",
    "\0",
    "\ud800",
    "\ufeff",
    "é",
    "1e999",
    ".nan",
    "0o7",
    "9" * 25,
    "<<: ",
    "@",
    "`",
]


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([*PIECES.split(","), *OTHER_PIECES]), max_size=25).map("".join))
def test_any_text_is_a_mapping_or_one_explained_error(text):
    """No traceback, no number that is not finite, no half character comes out of any text."""
    message, value = _read(text)
    if message is not None:
        assert re.match(r"(\d+ problems:\n)?x.yaml:\d+:\d+: ", message)
    else:
        assert isinstance(value, dict)
        _assert_plain(value)


def _read(text):
    try:
        return None, parse(text, "x.yaml").value
    except RecipeError as error:
        return str(error), None


def _assert_plain(value):
    if isinstance(value, dict):
        for one in value.values():
            _assert_plain(one)
    elif isinstance(value, list):
        for one in value:
            _assert_plain(one)
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, str):
        value.encode("utf-8")
    else:
        assert value is None or isinstance(value, int)
