"""The templates of pages are compiled once, as modules of Python are."""

import re
import sys
from typing import get_args

import pytest
from jinja2 import Environment, FileSystemLoader, PackageLoader

from eailab.report import html
from eailab.report.compiled_templates import CompiledTemplates
from eailab.report.document import Block
from eailab.report.figures import Figure


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Return a function that renders a page's template, and tells whether it had to be compiled."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    calls = []
    compile_ = Environment.compile

    def counted(self, source, name=None, *args, **options):
        calls.append(name)
        return compile_(self, source, name, *args, **options)

    monkeypatch.setattr(Environment, "compile", counted)

    def render(**options):
        calls.clear()
        environment = Environment(
            loader=PackageLoader("eailab.report"), autoescape=True, bytecode_cache=CompiledTemplates(), **options
        )
        environment.get_template("notebook.html")
        return bool(calls)

    return render


def kept(tmp_path):
    (file,) = (tmp_path / "kept").rglob("notebook.*.pyc")
    return file


def test_a_template_is_compiled_once(compiled, tmp_path):
    assert [compiled(), compiled()] == [True, False]
    assert [compiled(trim_blocks=True), compiled(trim_blocks=True)] == [True, False]


def test_what_was_kept_and_is_damaged_is_compiled_again(compiled, tmp_path):
    """Also where it was cut, or is of another template; its code is not run."""
    compiled()
    file = kept(tmp_path)
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:20], b"", whole[:40] + b"x" + whole[41:]):
        file.write_bytes(damaged)
        assert [compiled(), compiled(), file.read_bytes() == whole] == [True, False, True]


def test_a_template_is_compiled_where_nothing_can_be_kept(compiled, tmp_path, monkeypatch):
    (tmp_path / "kept").write_text("not a folder")
    assert [compiled(), compiled()] == [True, True]
    (tmp_path / "kept").unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert [compiled(), compiled()] == [True, True]
    assert not (tmp_path / "kept").exists()


def test_a_changed_template_is_compiled_again(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for text in ("one", "two"):
        (tmp_path / "a.html").write_text(text)
        environment = Environment(
            loader=FileSystemLoader(tmp_path), autoescape=True, bytecode_cache=CompiledTemplates()
        )
        assert environment.get_template("a.html").render() == text


@pytest.mark.parametrize(
    ("template", "union", "elsewhere"),
    [("blocks.html", Block, {"Name", "Section"}), ("figures.html", Figure, set())],
)
def test_every_block_and_figure_has_its_part_of_a_template(template, union, elsewhere):
    """Templates know a class by its name: a page would lack all that a class with another name holds."""
    parts = re.findall(r'kind == "(\w+)"', html._source(template))
    assert {*parts} == {one.__name__ for one in get_args(union)} - elsewhere


@pytest.mark.parametrize(("template", "macro"), [("blocks.html", "one"), ("figures.html", "figure")])
def test_what_has_no_template_is_an_error(template, macro):
    module = html._environment().get_template(template).make_module({"say": str})
    with pytest.raises(TypeError, match="no template sets int"):
        getattr(module, macro)(3, "anchor")
