"""LaTeX: escaped, whole, and compiled where there is a compiler."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from eailab.report.fonts import writes_chinese
from eailab.report.latex import escaped as latex
from eailab.report.write import write_report

pytestmark = pytest.mark.draws

SAFELY = ("-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape")
NAME = r"\input{/etc/passwd} <script> 50% of_$x$ & #1 ~^ ,,ż 數字"


def installed(*programs):
    return next(filter(None, map(shutil.which, programs)), None)


def compiled(tex, compiler):
    """What a compiler says of a document, which it accepts."""
    flags = ["--untrusted"] if Path(compiler).name == "tectonic" else SAFELY
    done = subprocess.run([compiler, *flags, tex.name], cwd=tex.parent, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.decode(errors="replace")


def printed(tex, compiler):
    """The text of a compiled report, as another program reads it, its runs of white space made one space."""
    compiled(tex, compiler)
    read = ["pdftotext", "-layout", tex.with_suffix(".pdf"), "-"]
    return " ".join(subprocess.run(read, check=True, capture_output=True, text=True).stdout.split())


@pytest.fixture
def folder(shop):
    """A study whose name is an attack."""
    return shop.study({10: [0.9, 0.92, 0.91], 20: [0.8, 0.83, "diverged"]}, name=NAME)


@pytest.fixture
def tex(folder, tmp_path):
    return write_report([folder], tmp_path / "out", formats=["latex"]).files["latex"]


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("50% of a_b & $5 #1", r"50\% of a\_b \& \$5 \#1"),
        ("[-0.1, 0.2]", "{[}$-$0.1, 0.2{]}"),
        ("a--b ~^", r"a{-}-b \textasciitilde{}\textasciicircum{}"),
        ("a\nb\x1b", "a b?"),
        ("a,,b", "a{,},b"),
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


@pytest.mark.skipif(not installed("pdftotext"), reason="no pdftotext here: install Debian's package poppler-utils")
@pytest.mark.skipif(
    not installed("tectonic", "pdflatex"),
    reason="no LaTeX here: install tectonic, or Debian's texlive-latex-recommended",
)
def test_a_report_compiles_and_its_numbers_and_names_are_in_print(tex):
    compiler = installed("pdflatex", "tectonic")
    said = printed(tex, compiler)
    assert r"\input{/etc/passwd} <script> 50% of_$x$ & #1 ~^ ,,ż" in said
    assert "root:" not in said
    if compiler.endswith("pdflatex"):
        assert "<U+6578><U+5B57>" in said  # a letter that pdfLaTeX has no font for is told by its code
    for number in ("91.00", "81.50", "−9.50", "[−15.85, −3.15]", "2 of 3", "WORSE"):
        assert number in said
    assert "20: 1 of 3 diverged: numbers are of the others" in said
    assert "Difference in validation accuracy from the baseline, 10, by batch size" in said  # of the figure


@pytest.mark.skipif(not writes_chinese(), reason="no Chinese font here: install Debian's fonts-wqy-microhei")
@pytest.mark.skipif(not installed("pdftotext"), reason="no pdftotext here: install Debian's package poppler-utils")
@pytest.mark.skipif(
    not installed("tectonic", "xelatex"), reason="no XeLaTeX here: install tectonic, or Debian's texlive-xetex"
)
def test_a_report_in_chinese_compiles_and_has_its_letters(folder, tmp_path):
    tex = write_report([folder], tmp_path / "out", formats=["latex"], lang="zh-TW").files["latex"]
    said = printed(tex, installed("xelatex", "tectonic")).replace(" ", "")
    for words in ("批次大小會改變驗證準確率", "數字", "差值（pp）", "−9.50", "[−15.85,−3.15]", "3次中有1次發散"):
        assert words in said
    assert "各批次大小的學習曲線" in said  # of a figure
    log = tex.with_suffix(".log")
    assert not log.exists() or "Missing character" not in log.read_text(errors="replace")


def test_letters_that_the_fonts_of_latex_lack_are_marked_one_by_one(shop, tmp_path):
    folder = shop.study({10: [0.9, 0.92], 20: [0.8, 0.83]}, name="α±é")
    text = write_report([folder], tmp_path / "out", formats=["latex"]).files["latex"].read_text()
    assert r"\foreign{α}{U+03B1}±é-batch-size" in text


PAPER = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs,graphicx}
\begin{document}
\section{Results} Table~\ref{tab:tiny-batch-size} and Figure~\ref{fig:tiny-batch-size-intervals} say more.
\input{fragments/tiny-batch-size-table}
\input{fragments/tiny-optimizer-table}
\input{fragments/tiny-batch-size-intervals}
\input{fragments/tiny-batch-size-curves}
\input{fragments/tiny-batch-size-methods}
The end.
\end{document}
"""


@pytest.fixture
def paper(shop, tmp_path):
    """A paper of two pages, which takes in three fragments and two figures."""
    folders = [
        shop.study({10: [0.9, 0.92, 0.91], 20: [0.8, 0.83, "diverged"]}),
        shop.study({"adam": [0.9, 0.92, 0.91], "sgd": [0.8, 0.83, 0.82]}, factor="optimizer"),
    ]
    assert write_report(folders, tmp_path, formats=[], fragments=True).exports == {"fragments": tmp_path / "fragments"}
    file = tmp_path / "paper.tex"
    file.write_text(PAPER)
    return file


def test_a_fragment_has_a_caption_and_a_label_and_needs_nothing_of_a_preamble(paper):
    folder = paper.parent / "fragments"
    table = (folder / "tiny-batch-size-table.tex").read_text()
    assert r"\label{tab:tiny-batch-size}" in table
    assert r"\caption{Validation accuracy by batch size, over 3 blocks of shared seeds." in table
    figure = (folder / "tiny-batch-size-intervals.tex").read_text()
    assert r"\caption{Difference in validation accuracy from the baseline, 10, by batch size" in figure
    assert r"\includegraphics[width=\linewidth]{\eailabpath tiny-batch-size-intervals.pdf}" in figure
    prose = (folder / "tiny-batch-size-methods.tex").read_text()
    assert prose.startswith(r"\paragraph{Methods.} We trained an MLP")
    for text in (table, figure, prose):
        assert not re.search(r"\\(?:foreign|fitted|textquotesingle|textquotedbl)\b", text)


@pytest.mark.parametrize("name", ["pdflatex", "xelatex"])
def test_a_paper_of_two_pages_takes_in_fragments_and_figures_without_overfull_boxes(paper, name):
    if not installed(name):
        pytest.skip(f"no {name} here: install Debian's texlive-latex-recommended and texlive-xetex")
    said = compiled(paper, name)
    assert "Overfull" not in said
    assert "2 pages" in said
    assert "undefined" not in compiled(paper, name)  # references, the second time


@pytest.mark.skipif(not installed("pdflatex"), reason="no LaTeX here: install Debian's texlive-latex-recommended")
def test_the_example_beside_the_fragments_compiles(paper):
    assert "Overfull" not in compiled(paper.parent / "fragments" / "example.tex", "pdflatex")


def test_studies_of_one_name_have_files_of_their_own(shop, tmp_path):
    folders = [shop.study({10: [0.9, 0.8], 20: [0.8, 0.7]}, epochs=epochs) for epochs in (2, 3)]
    folder = write_report(folders, tmp_path, formats=[], fragments=True).exports["fragments"]
    tables = {file.name: file.read_text() for file in folder.glob("*-table.tex")}
    assert set(tables) == {"tiny-batch-size-epochs-2-table.tex", "tiny-batch-size-epochs-3-table.tex"}
    assert {number for number in "23" for text in tables.values() if f"epochs {number}" in text} == {"2", "3"}


def test_fragments_in_chinese_hold_chinese(shop, tmp_path):
    folder = shop.study({10: [0.9, 0.8], 20: [0.8, 0.7]})
    files = write_report([folder], tmp_path, formats=[], fragments=True, lang="zh-TW").exports["fragments"]
    assert (
        r"\caption{各批次大小的驗證準確率，共 2 個種子相同的區組。" in (files / "tiny-batch-size-table.tex").read_text()
    )
