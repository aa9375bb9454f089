"""LaTeX: escaped, whole, and compiled where there is a compiler."""

import re
import shutil
import subprocess

import pytest

from eailab.report.escaping import latex
from eailab.report.publish import publish_report

COMPILERS = [
    [program, *flags]
    for program, flags in (
        ("tectonic", ["--untrusted"]),
        ("pdflatex", ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]),
        ("lualatex", ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]),
    )
    if shutil.which(program)
]


@pytest.fixture
def tex(shop, tmp_path):
    """A report over a study whose name and level are attacks."""
    folder = shop.study(
        {10: [0.9, 0.92, 0.91], 20: [0.8, 0.83, "diverged"]}, name=r"\input{/etc/passwd} 50% of_$x$ & #1 ~^"
    )
    return publish_report([folder], tmp_path / "out", formats=["latex"]).files["latex"]


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("50% of a_b & $5 #1", r"50\% of a\_b \& \$5 \#1"),
        ("[-0.1, 0.2]", "{[}$-$0.1, 0.2{]}"),
        ("a--b ~^", r"a{-}-b \textasciitilde{}\textasciicircum{}"),
        ("a\nb\x1b", "a b?"),
    ],
)
def test_text_is_set_literally(text, set_as):
    assert latex(text) == set_as


def test_braces_and_environments_of_a_document_are_balanced(tex):
    text = re.sub(r"(?m)^%.*$", "", tex.read_text())
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert r"\input{" not in text


def test_rows_have_as_many_cells_as_the_head(tex):
    rows = [line for line in tex.read_text().splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


@pytest.mark.skipif(not COMPILERS, reason="no LaTeX here: install tectonic, or Debian's texlive-latex-extra")
def test_a_document_compiles(tex):
    for command in COMPILERS:
        subprocess.run([*command, tex.name], cwd=tex.parent, check=True, capture_output=True, timeout=60)
        assert tex.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
