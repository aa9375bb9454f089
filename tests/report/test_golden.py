"""Whole reports byte for byte, in each format that people read in lines.

`EAILAB_WRITE_GOLDEN=1 pytest tests/report/test_golden.py -n 0` writes them again; read the diff before committing.
"""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from eailab.report.edition import FORMATS, Edition, markdown_text, tell
from eailab.report.noise import noise_findings, noise_table, publish, sentences, title
from eailab.report.terminal import print_study, print_table
from eailab.report.waterfall import publish as publish_walk
from eailab.report.waterfall import sentences as walk_sentences
from eailab.report.waterfall import title as walk_title
from eailab.report.waterfall import waterfall_table
from eailab.studies.design import read_record, repeated

from .conftest import recipe
from .test_designs import TURNED, written
from .test_waterfall import BATCH, EPOCHS, walk, way

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def told(shop):
    """A study with gaps and a trend, a factorial of its own store, and a single trial."""
    folders = [
        shop.study({10: [0.90, 0.92, 0.91, 0.93], 20: [0.80, 0.83, "diverged", 0.84], 40: [0.7, 0.9, 0.72, "damaged"]}),
        written(shop, TURNED),
        shop.trial(0.9, label_smoothing=0.25),
    ]
    return tuple(tell(shop.store, folder) for folder in folders)


def held_to(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("EAILAB_WRITE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def on_a_terminal(show) -> str:
    output = io.StringIO()
    show(Console(file=output, width=100))
    return output.getvalue()


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
@pytest.mark.parametrize("kind", ["markdown", "latex"])
def test_a_report(told, kind, lang):
    held_to(f"report.{lang}{FORMATS[kind].suffix}", FORMATS[kind].text(Edition("report", lang, told, ("lost",), "0")))


def test_a_study_and_the_lab_report(told):
    held_to("table.md", markdown_text(Edition("study", "en", told[:1], (), "0")))
    held_to("lab.md", markdown_text(Edition("lab", "en", told, ("lost",), "0")))


def test_a_terminal(told):
    held_to(
        "terminal.txt",
        "".join(on_a_terminal(lambda console, one=one: print_study(one.findings, console)) for one in told),
    )


def test_a_noise_study(shop, tmp_path):
    folder = shop.of(repeated(recipe(), range(4)), [[0.90, 0.92, "diverged", 0.93]])
    found = noise_findings(shop.store, read_record(folder))
    publish(found, tmp_path)
    held_to("noise.md", (tmp_path / "noise.md").read_text())
    held_to(
        "noise.txt",
        on_a_terminal(lambda console: print_table(title(found), noise_table(found), sentences(found), console)),
    )


def test_a_walk(shop, tmp_path):
    found = walk(shop, way(), [EPOCHS, BATCH], None)
    publish_walk(found, tmp_path)
    held_to("waterfall.md", (tmp_path / "waterfall.md").read_text())
    held_to(
        "waterfall.txt",
        on_a_terminal(
            lambda console: print_table(walk_title(found), waterfall_table(found), walk_sentences(found), console)
        ),
    )
