"""The map names files and types that exist, and draws every package."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "eailab").rglob("*.py"))
MAP = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_file_on_the_map_exists():
    named = set(re.findall(r"`((?:eailab|tests|docs)/[\w./-]*)`", MAP))
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_type_on_the_map_is_where_it_says():
    rows = re.findall(r"^\| `(\w+)` \| `([\w./]+)` \|", MAP, flags=re.MULTILINE)
    assert len(rows) == 8
    for name, path in rows:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:class {name}\b|{name}: TypeAlias)", source, flags=re.MULTILINE), name


def test_every_package_is_drawn():
    drawing = MAP.split("```text")[1].split("```")[0]
    parts = {path.name + "/" * path.is_dir() for path in (ROOT / "eailab").iterdir() if path.suffix in ("", ".py")}
    missing = {part for part in parts - {"__pycache__/", "locales/"} if part not in drawing}
    assert missing == set()


@pytest.mark.parametrize("file", ["README.md", "README.zh-TW.md"])
def test_the_readme_has_a_phrase_for_every_folder(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    folders = [path.name for path in (ROOT / "eailab").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [name for name in folders if f"eailab/{name}/ " not in text] == []


def test_the_map_is_one_page():
    assert len(MAP.splitlines()) <= 90


def test_no_module_has_more_than_400_lines():
    """A longer one has two subjects."""
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {str(file): length for file, length in lengths.items() if length > 400} == {}


QUESTIONS = {"How", "What", "When", "Where", "Whether", "Which", "Who", "Why"}
NO_VERBS = QUESTIONS | {
    *("A", "All", "An", "Any", "As", "At", "Both", "By", "Each", "Every", "For", "From", "In", "Into", "Its", "No"),
    *("Nothing", "Of", "On", "One", "Several", "That", "The", "Their", "There", "These", "Those", "To", "Two", "With"),
}


def first_words(source: str) -> Iterator[tuple[str, str]]:
    """Yield the first word of each docstring with the kind of what it describes."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield type(node).__name__, text.split()[0]


def test_docstrings_begin_with_a_verb():
    """A class may be named for what one of it is: "A trial in training."; none is described by a question."""
    wrong = [
        f"{file}: {word}"
        for file in FILES
        for kind, word in first_words(file.read_text(encoding="utf-8"))
        if word in (QUESTIONS if kind == "ClassDef" else NO_VERBS)
    ]
    assert wrong == []


def uncommented(source: str) -> Iterator[str]:
    """Yield functions of more than 40 lines without a heading; a signature and a docstring are read as they are."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[ast.get_docstring(node) is not None :] or node.body
            body = lines[first[0].lineno - 1 : node.end_lineno]
            is_long = node.end_lineno - node.lineno >= 40 and len(body) > 30
            if is_long and not any(line.strip().startswith("#") for line in lines[node.lineno : node.end_lineno]):
                yield node.name


def test_long_functions_have_headings():
    found = {str(file): list(uncommented(file.read_text(encoding="utf-8"))) for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}


def test_what_is_not_as_it_should_be_is_seen():
    long = "def f():\n" + "    x = 1\n" * 41
    assert list(uncommented(long)) == ["f"]
    assert list(uncommented(long.replace("    x", "    # why\n    x", 1))) == []
    assert list(first_words('"""What is here."""\nclass C:\n    """How it is."""')) == [
        ("Module", "What"),
        ("ClassDef", "How"),
    ]


TWO_OF_A_NAME = {
    *("Adam", "ResNet", "Sgd"),  # settings, and what trains by them
    *("ArmResult", "Table"),  # of Python's interface, made of those of statistics and findings
    *("Figure", "Linear", "Mark", "Picture", "Setting", "Stage"),
}
"""Classes in two packages that share a name which is each package's own; no further name may mean two things."""


def test_a_name_is_of_one_class():
    names = Counter(
        node.name
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, times in names.items() if times > 1} <= TWO_OF_A_NAME
