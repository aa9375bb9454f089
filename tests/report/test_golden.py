"""Whole reports byte for byte, in each format that people read in lines.

`EAILAB_WRITE_GOLDEN=1 pytest tests/report/test_golden.py -n 0` writes them again; read the diff before committing.
"""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console
from stores import recipe

from eailab.findings.noise import noise_findings
from eailab.findings.path import best_move, findings_along
from eailab.report.compose import noise_document, path_document
from eailab.report.formats import FORMATS
from eailab.report.study_report import Report, load_study
from eailab.report.terminal import print_study, render
from eailab.report.write import write_noise, write_path
from eailab.studies.design import all_combinations, repeated
from eailab.studies.factor import FactorLevels
from eailab.studies.path_ablation import path_between
from eailab.studies.storage import read_record

GOLDEN = Path(__file__).parent / "golden"


FACTORS = (
    FactorLevels(("optimizer",), (("sgd",), ("adam",))),
    FactorLevels(("sched",), (("constant",), ("steplr",))),
)


@pytest.fixture
def told(shop):
    """A study with gaps and a trend, a factorial of its own store, and a single trial."""
    folders = [
        shop.study({10: [0.90, 0.92, 0.91, 0.93], 20: [0.80, 0.83, "diverged", 0.84], 40: [0.7, 0.9, 0.72, "damaged"]}),
        shop.of(
            all_combinations(recipe(), FACTORS, range(3)),
            [[0.80, 0.81, 0.82], [0.90, 0.91, 0.925], [0.90, 0.91, 0.92], [0.80, 0.815, 0.82]],
        ),
        shop.trial(0.9, label_smoothing=0.25),
    ]
    return tuple(load_study(shop.store, folder) for folder in folders)


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
    held_to(f"report.{lang}{FORMATS[kind].suffix}", FORMATS[kind].text(Report("report", lang, told, ("lost",), "0")))


def test_a_study_and_the_lab_report(told):
    held_to("table.md", FORMATS["markdown"].text(Report("study", "en", told[:1], (), "0")))
    held_to("lab.md", FORMATS["markdown"].text(Report("lab", "en", told, ("lost",), "0")))


def test_a_terminal(told):
    held_to(
        "terminal.txt",
        "".join(on_a_terminal(lambda console, one=one: print_study(one.findings, console)) for one in told),
    )


def test_a_noise_study(shop, tmp_path):
    folder = shop.of(repeated(recipe(), range(4)), [[0.90, 0.92, "diverged", 0.93]])
    found = noise_findings(shop.store, read_record(folder))
    write_noise(found, tmp_path)
    held_to("noise.md", (tmp_path / "noise.md").read_text())
    held_to("noise.txt", on_a_terminal(lambda console: render(noise_document(found), console)))


def test_a_path_ablation(shop, tmp_path):
    asked = path_between(recipe(), recipe(epochs=4, batch_size=20), ("start", "end"), range(3), "gain")
    found = measured(shop, asked, [0.905, 0.91, 0.93], [0.93, 0.95, 0.96])
    write_path(found, tmp_path)
    held_to("waterfall.md", (tmp_path / "waterfall.md").read_text())
    held_to("waterfall.txt", on_a_terminal(lambda console: render(path_document(found), console)))


def measured(shop, asked, first, last):
    """A path ablation of two steps; see `tests/findings/test_path.py`."""
    start, end = [0.90, 0.91, 0.92], [0.95, 0.94, 0.97]
    ends = shop.findings(shop.of(asked.ends(), [start, end]))
    step = shop.findings(shop.of(asked.step([]), [["missing"] * 3, first, last]))
    taken = [asked.candidates([])[best_move(step)]]
    taken_steps = [(step, taken[0], best_move(step))]
    step = shop.findings(shop.of(asked.step(taken), [["missing"] * 3] * 2))
    return findings_along(asked, ends, [*taken_steps, (step, asked.candidates(taken)[0], best_move(step))])
