import hashlib
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from eailab.findings.path import PathFindings, PathStep
from eailab.findings.trial import Curves
from eailab.metrics import CLASSIFICATION
from eailab.report import plots
from eailab.report.captions import caption
from eailab.report.describe import band_note, path_bars, study_figure, trial_curves
from eailab.report.figure_style import PRINT
from eailab.report.figures import figure_names, looks
from eailab.report.plots import draw, study_figures
from eailab.translation import language

pytestmark = pytest.mark.draws

SMALL = [0.90, 0.92, 0.91, 0.93]
LARGE = [0.80, 0.83, 0.81, 0.84]
SVG = "{http://www.w3.org/2000/svg}"

METRIC = next(metric for metric in CLASSIFICATION if metric.name == "validation-accuracy")


def parsed(svg):
    return ET.fromstring(svg)  # noqa: S314 - our own


def texts(svg):
    return [node.text for node in parsed(svg).iter(f"{SVG}text")]


def curves(epochs=4, loss=1.0):
    falling = tuple(loss / n for n in range(1, epochs + 1))
    rising = tuple(100.0 * n / epochs for n in range(1, epochs + 1))
    values = {f"{split}_loss": falling for split in ("train", "validation")}
    values |= {f"{split}_accuracy": rising for split in ("train", "validation")}
    return Curves(tuple(range(1, epochs + 1)), values)


def of_trial(title, one=None):
    """Describe curves of a trial of image classification."""
    return trial_curves(one or curves(), CLASSIFICATION, METRIC, title)


@pytest.fixture
def found(shop):
    return shop.findings(shop.study({10: SMALL, 20: LARGE}))


def test_a_home_that_cannot_be_written_is_not_spoken_of(tmp_path):
    """Matplotlib advises at length on its configuration's folder, in each process again."""
    (tmp_path / "file").touch()
    run = subprocess.run(
        [sys.executable, "-c", "import eailab.report.plots"],
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path / "file" / "below")},
        capture_output=True,
        check=True,
    )
    assert run.stderr == b""


def test_the_interval_plot_names_arms_verdicts_and_numbers(found):
    said = texts(study_figures(found)["intervals"]["svg"])
    assert {"20", "WORSE", "Batch size: difference from 10"} <= set(said)
    assert "-9.50 [-10.42, -8.58]" in said
    assert any("margin ±0.25 pp" in text for text in said)


def test_curves_show_training_and_validation_of_every_arm(found):
    said = texts(study_figures(found)["curves"]["svg"])
    assert {"training loss", "validation loss", "training accuracy (%)", "validation accuracy (%)"} <= set(said)
    assert {"10 (baseline)", "20", "epoch"} <= set(said)
    assert any("4 blocks" in text for text in said)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([0.9, "unfinished", "unfinished"], "Line: one finished trial. Thin lines: trials that have not finished."),
        ([0.9, 0.8, "missing"], "Line: mean of finished trials; band: from the lowest to the highest."),
        (["unfinished", "missing", "missing"], "Thin lines: trials that have not finished."),
    ],
)
def test_the_note_below_curves_speaks_of_the_trials_that_are_there(shop, outcomes, said):
    findings = shop.findings(shop.study({10: outcomes, 20: ["missing"] * 3}))
    assert band_note(findings).startswith(said)


def test_figures_are_legible_images(found):
    for drawing in study_figures(found).values():
        image = Image.open(io.BytesIO(drawing["png"]))
        assert image.width == 1200
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_the_same_findings_give_the_same_bytes_in_another_process(found, shop):
    """A figure is redrawn only when a number changes, so its bytes may hang on nothing else."""
    script = (
        "import hashlib, sys; from pathlib import Path\n"
        "from eailab.runs.store import Store; from eailab.studies.storage import read_record\n"
        "from eailab.findings.study import study_findings; from eailab.report.plots import study_figures\n"
        "store = Store(Path(sys.argv[1])); found = study_findings(store, read_record(store.study_folders()[0]))\n"
        "for drawing in study_figures(found, kinds=('png', 'svg', 'pdf')).values():\n"
        "    print(*(hashlib.sha256(data).hexdigest() for data in drawing.values()))\n"
    )
    # a notebook names its own backend for what it starts, which may have another environment
    environment = os.environ | {"PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1", "MPLBACKEND": "not-installed"}
    command = [sys.executable, "-c", script, str(shop.root)]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    drawn = study_figures(found, kinds=("png", "svg", "pdf"))
    here = [hashlib.sha256(data).hexdigest() for one in drawn.values() for data in one.values()]
    assert len(here) == 9
    assert there == here


@pytest.mark.parametrize("title", [r"lr=$\frac{1}$", "<script>&", "學習率 100%", "x" * 300, "a\x1bb\x00"])
def test_any_title_can_be_drawn(title):
    drawing = draw(of_trial(title))
    assert parsed(drawing["svg"]).tag == f"{SVG}svg"
    assert drawing["png"].startswith(b"\x89PNG")


def test_titles_are_text_and_never_formulas():
    assert r"lr=$\frac{1}$" in texts(draw(of_trial(r"lr=$\frac{1}$"))["svg"])


@pytest.mark.parametrize(
    "odd", [curves(1), curves(2), curves(3, loss=0.0), curves(300, loss=1e9), curves(5, loss=1e-12)]
)
def test_any_curve_can_be_drawn(odd):
    assert draw(of_trial("odd", odd))["svg"]


@pytest.mark.parametrize(
    "outcomes",
    [
        {10: [0.9], 20: [0.8]},
        {10: ["missing"], 20: ["diverged"]},
        {10: ["diverged", 0.9], 20: ["diverged", "diverged"]},
        {10: [0.9, 0.9, 0.9], 20: [0.9, 0.9, 0.9]},
        {10: ["unfinished", 0.9], 20: ["damaged", "missing"]},
        {level: [0.5, 0.6] for level in range(1, 12)},
    ],
)
def test_any_state_of_a_study_can_be_drawn(shop, outcomes):
    found = shop.findings(shop.study(outcomes))
    assert tuple(study_figures(found)) == figure_names(found)


def test_nothing_is_drawn_where_there_are_no_numbers(shop):
    assert study_figures(shop.findings(shop.study({10: ["missing"], 20: ["missing"]}))) == {}
    assert study_figures(shop.findings(shop.trial("missing"))) == {}


def test_a_users_own_matplotlib_settings_change_nothing(found):
    import matplotlib as mpl

    before = study_figures(found)["intervals"]
    with mpl.rc_context({"font.size": 40, "text.usetex": False, "axes.facecolor": "red"}):
        assert study_figures(found)["intervals"] == before


LONG = {
    "one word": "w" * 90,
    "words": "steplr (gamma 0.1, step_size 2, warmup_epochs 5) " * 2,
    "wide letters": "W" * 40,
    "Chinese": "學習率" * 20,
}


@pytest.fixture
def drawn(monkeypatch):
    """The texts of the figures that are drawn, without their spaces, and those that lie outside of their figure."""
    said, outside, rendered = [], [], plots.rendered

    def measured(figure, kinds=("svg",)):
        drawing = dict.fromkeys(kinds, rendered(figure, ("svg",))["svg"])
        renderer, edges = FigureCanvasAgg(figure).get_renderer(), figure.bbox
        for text in figure.findobj(Text):
            if re.search(r"[^-−.\d]", text.get_text()):  # numbers beyond an axis are not drawn
                box = text.get_window_extent(renderer)
                said.append("".join(text.get_text().split()))
                if box.x0 < edges.x0 or box.x1 > edges.x1 or box.y0 < edges.y0 or box.y1 > edges.y1:
                    outside.append(text.get_text())
        return drawing

    monkeypatch.setattr(plots, "rendered", measured)
    return said, outside


@pytest.mark.parametrize(("name", "lang"), [("words", "en"), ("wide letters", "en"), ("Chinese", "zh-TW")])
def test_no_letter_lies_outside_of_a_figure_or_is_left_out(shop, drawn, name, lang):
    label = LONG[name]
    found = shop.findings(shop.study({level: [0.5, 0.6, 0.6] for level in range(1, 8)} | {9: ["diverged"] * 3}))
    longer = replace(
        found,
        name=label,
        factor="model.activation+optimizer.lr+schedule.name+batch_size+label_smoothing+data.val_fraction",
        arms=tuple(replace(arm, label=f"{arm.label} {label}") for arm in found.arms),
    )
    study_figures(longer, language(lang), ("svg", "pdf"))
    draw(of_trial(label), language(lang), ("svg", "pdf"))
    said, outside = drawn
    assert outside == []
    whole = "".join(label.split())
    assert sum(text == f"{number}{whole}" for text in said for number in range(2, 8)) >= 12
    assert sum(whole in text for text in said) >= 20
    assert not any("…" in text for text in said)


@pytest.mark.parametrize("label", LONG.values(), ids=LONG)
def test_a_path_ablations_figure_leaves_no_letter_out(drawn, label):
    steps = tuple(PathStep((f"{number} {label}", label), 1.0, (0.5, 1.5), number, 1, ()) for number in (1.0, 2.0, 3.0))
    bars = PathFindings((label, "b"), "0" * 10, "gain", (0, 1), METRIC, (1.0, 4.0), steps, 3.0, (2.0, 4.0), 4, ("cpu",))
    draw(path_bars(bars), kinds=("svg", "pdf"))
    said, outside = drawn
    assert outside == []
    whole = "".join(label.split())
    assert all(any(text == f"{number}{whole},{whole}" for text in said) for number in (1.0, 2.0, 3.0))


def test_a_figure_in_print_is_a_column_wide_and_leaves_title_note_and_key_to_the_caption(found, drawn):
    draw(study_figure(found, "intervals"), kinds=("pdf",))
    said, outside = drawn
    assert outside == []
    assert {"WORSE", "differenceinvalidationaccuracy(percentagepoints;rightisbetter)"} <= set(said)
    assert not any("difference from" in text or "tiny" in text or "shaded" in text for text in said)
    caption_text = " ".join(caption(found, "intervals"))
    assert caption_text.startswith("Difference in validation accuracy from the baseline, 10, by batch size")
    assert "4 blocks; baseline mean 91.50%." in caption_text
    assert "Bar: simultaneous 95% interval; dots: single blocks; shaded: margin ±0.25 pp." in caption_text


def test_a_pdf_is_as_wide_as_a_column(found):
    (width,) = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+)", study_figures(found, kinds=("pdf",))["curves"]["pdf"])
    assert abs(float(width) / 72.0 - PRINT.width) < 0.01


def test_arms_are_told_apart_without_colour(shop):
    """A figure is read in grey too, and by readers who see fewer colours."""
    found = shop.findings(shop.study({level: [0.5, 0.6] for level in range(1, 8)}))
    assert len({(look.dash, look.marker) for look in looks(found)}) == 7


def test_each_arm_has_a_panel_of_training_and_validation_on_one_scale(found):
    """A gap between the two is overfitting, and is seen in one panel only."""
    figure = study_figure(found, "training-validation")
    assert [panel.title for panel in figure.panels] == ["10 (baseline)", "20"]
    assert figure.names == ("training", "validation")
    assert len({panel.axis for panel in figure.panels}) == 1
    for panel, arm in zip(figure.panels, found.arms, strict=True):
        assert [line.mean for line in panel.lines] == [arm.curves.values[f"{s}_loss"] for s in ("train", "validation")]


def test_more_arms_than_a_page_has_room_for_have_no_panel_each(shop):
    found = shop.findings(shop.study({level: [0.5, 0.6] for level in range(1, 14)}))
    assert figure_names(found) == ("intervals", "curves")


def test_a_learning_rate_that_moves_is_drawn_and_one_that_stays_is_not(shop, found):
    assert all(str(panel.title) != "learning rate" for panel in study_figure(found, "curves").panels)
    moved = shop.findings(shop.study({"constant": [0.9, 0.8], "exponential": [0.8, 0.7]}, factor="sched"))
    panel = study_figure(moved, "curves").panels[-1]
    assert panel.title == "learning rate"
    assert panel.lines[0].mean == pytest.approx([0.001] * 3)
    assert panel.lines[1].mean == pytest.approx([0.001 * 0.95**epoch for epoch in range(3)])
    alone = study_figure(shop.findings(shop.trial(0.9, schedule={"name": "exponential"})), "curves")
    assert alone.names == ("training", "validation", "learning rate")
    assert alone.panels[-1].lines[2].mean == pytest.approx([0.001 * 0.95**epoch for epoch in range(3)])
