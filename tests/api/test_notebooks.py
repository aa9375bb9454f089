"""The notebooks of the documentation run in a real Jupyter kernel, and a study is shown there without a script."""

import os
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from planted import train

import eailab as public

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"


def executed(name, folder):
    """Run a notebook in an empty folder, and return its cells."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOKS / name, nbformat.NO_CONVERT)
    return NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute().cells


def outputs(cells, kind):
    return [one for cell in cells for one in cell.get("outputs", []) if one.output_type == kind]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_the_first_notebook_runs_in_a_kernel(tmp_path):
    """Its study is shown as a table with intervals, and its progress is one line, rewritten by carriage returns."""
    cells = executed("first-study.ipynb", tmp_path)
    shown = [one.data for one in outputs(cells, "execute_result")]
    assert {"text/html", "text/markdown", "text/plain"} <= shown[0].keys()
    assert "WORSE" in shown[0]["text/html"]
    assert "<svg" in shown[0]["text/html"]
    assert "\x1b" not in shown[0]["text/plain"]
    assert "WORSE" in shown[1]["text/plain"]
    progress = "".join(one.text for one in outputs(cells, "stream") if "of 10 trials" in one.text or "\r" in one.text)
    assert "\r10 of 10 trials" in progress
    assert "\x1b" not in progress
    assert (tmp_path / "runs" / "studies").is_dir()


@pytest.mark.skipif("EAILAB_TEST_DATA" not in os.environ, reason="the lab's notebook takes half a minute")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_the_labs_notebook_runs_in_a_kernel(tmp_path):
    shown = [one.data["text/html"] for one in outputs(executed("lab.ipynb", tmp_path), "execute_result")]
    assert len(shown) == 5
    assert all("<svg" in one for one in shown)


def test_a_study_is_shown_at_once_and_without_a_script(tmp_path, monkeypatch):
    """0.2 s after it has finished; dark where the notebook is, and nothing of the page's style outside its own box."""
    monkeypatch.chdir(tmp_path)
    study = public.ablate(train, "lr", [1e-3, 1e-2], seeds=2, metric="val_acc", audit=False)
    study._repr_html_()  # what is imported once
    began = time.process_time()
    page = study._repr_html_()
    assert time.process_time() - began < 0.2
    assert "<script" not in page
    assert "onclick" not in page
    assert 'body[data-jp-theme-light="false"] .eailab' in page
    assert page.count("<style>") == 1
    assert ":root" not in page
    assert study._repr_markdown_().count("\n| 0.01 |") == 1
    assert re.search(r"<h4>Differences from the baseline", study.figure()._repr_html_())
    assert study.figure().save("out.svg").read_bytes().startswith(b"<?xml")
    assert study.report() == study.folder / "report.html"
    with pytest.raises(public.EailabError, match="no figure 'curves': there are intervals"):
        study.figure("curves")
    with pytest.raises(public.EailabError, match=r"no arm '0.1': there are"):
        study["0.1"]
    with pytest.raises(public.EailabError, match="1 or more"):
        study.more(0)


def test_a_table_becomes_a_data_frame_where_pandas_is(monkeypatch):
    """It is imported by nobody else, and need not be installed."""
    from eailab.api import Table

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", rows)))
    assert Table([{"arm": "a"}]).to_pandas() == ("frame", [{"arm": "a"}])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(public.EailabError, match="pandas is not installed"):
        Table().to_pandas()


def test_a_study_grows_until_it_is_decided(tmp_path, monkeypatch):
    """The looks are fixed in advance, and trials of the first study count."""
    monkeypatch.chdir(tmp_path)
    study = public.ablate(train, "lr", [1e-3, 1e-2], seeds=2, metric="val_acc", audit=False)
    looked = study.until_decided(max_trials=12)
    assert looked.findings.looks is not None
    assert looked.folder != study.folder
    with pytest.raises(public.EailabError, match="looks of this study were fixed"):
        looked.more(1)
