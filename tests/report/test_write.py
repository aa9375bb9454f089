import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eailab.data.registry import load
from eailab.errors import StoreError, UsageError
from eailab.findings.methods import compute
from eailab.report import fonts
from eailab.report.augmented_images import kept_sheet
from eailab.report.figure_files import write_trial_curves
from eailab.report.figures import CJK_FONTS
from eailab.report.formats import FORMATS, Format
from eailab.report.html import LETTER_PIXELS, LINE_PIXELS, PLOT_PIXELS, PLOT_WIDTH, label_places
from eailab.report.page_sections import cost_table
from eailab.report.plots import study_figures
from eailab.report.study_report import Report, load_study
from eailab.report.verify import verify
from eailab.report.write import find_studies, write_report, write_study
from eailab.studies.storage import read_record
from eailab.translation import language

SMALL = [0.90, 0.92, 0.91]
LARGE = [0.80, 0.83, 0.81]


def files(folder: Path):
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


FIGURES = ("intervals", "curves", "training-validation")


@pytest.fixture
def folder(shop):
    return shop.study({10: SMALL, 20: LARGE})


def test_a_study_gets_its_tables_costs_figures_and_page(shop, folder):
    found = write_study(shop.store, folder).findings
    assert set(files(folder)) == {
        "study.yaml",
        "table.md",
        "table.json",
        "costs.json",
        "figures.json",
        "report.html",
        *(f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")),
    }
    assert found.arms[1].against_baseline.difference == pytest.approx(-29 / 3)


def test_publishing_again_touches_nothing_and_draws_nothing(shop, folder, monkeypatch):
    write_study(shop.store, folder)
    before = files(folder)
    monkeypatch.setattr("eailab.report.plots.study_figures", lambda *_: pytest.fail("drawn again"))
    write_study(shop.store, folder)
    assert files(folder) == before


@pytest.mark.draws
def test_a_study_that_went_on_is_published_again(shop):
    folder = shop.study({10: SMALL, 20: [*LARGE[:2], "missing"]})
    write_study(shop.store, folder)
    before = files(folder)
    assert "5 of 6 trials have a result" in (folder / "table.md").read_text()

    finished = shop.beside("finished")
    finished.study({10: SMALL, 20: LARGE})
    trial = shop.trial_folder(folder, 1, 2).path
    (finished.root / "trials" / trial.name).rename(trial)
    write_study(shop.store, folder)

    after = files(folder)
    assert json.loads(after["table.json"][1])["state"] == "complete"
    assert all(after[name] != before[name] for name in ("table.md", "report.html", "figures/curves.svg"))


def test_a_missing_figure_is_drawn_again(shop, folder):
    write_study(shop.store, folder)
    drawn = (folder / "figures" / "curves.svg").read_bytes()
    (folder / "figures" / "curves.svg").unlink()
    write_study(shop.store, folder)
    assert (folder / "figures" / "curves.svg").read_bytes() == drawn


def test_costs_are_sums_of_the_epochs_that_count(shop, folder):
    shop.train_again(folder, 0, 0, epoch=3, seconds=1.5)
    write_study(shop.store, folder)
    costs = json.loads((folder / "costs.json").read_text())

    ten, twenty = costs["arms"]
    assert ten["seconds_by_block"] == [2.5, 1.5, 1.5]
    assert ten["images_per_second"] == round((8 * 100 + 60) / 5.5, 1)
    assert twenty["seconds"] == 4.5
    assert twenty["images_per_second"] == 200.0
    assert twenty["devices"] == ["cpu"]


def test_a_cost_that_lacks_timings_is_never_given_as_whole(shop, folder):
    """Three damaged lines of nine once made 4.5 s into 3 s, and nothing said so."""
    file = shop.trial_folder(folder, 1, 0).timings_file
    file.write_bytes(file.read_bytes().replace(b'"epoch"', b'"epoxy"'))
    told = write_study(shop.store, folder)
    _, twenty = told.costs
    assert (twenty.seconds_by_block, twenty.seconds_a_trial) == ((None, 1.5, 1.5), 1.5)
    assert (twenty.seconds, twenty.timed, twenty.epochs) == (3.0, 6, 9)
    assert cost_table(told.findings, told.costs).rows[1][2] == "3 (6 of 9 epochs timed)"
    (said, unknown) = compute(told.findings, told.costs)
    assert said == "15 of 18 epochs are timed: these took 7.5 seconds on cpu, validation included."
    assert unknown == "What the whole study took is not known."
    alone = replace(told.costs[0], timed=0, epochs=1)
    assert compute(told.findings, [alone])[0] == "0 of 1 epoch is timed."
    page = (folder / "report.html").read_text()
    assert "3 (6 of 9 epochs timed)" in page
    assert said in page
    chinese = language("zh-TW")
    assert chinese(said) == "18 個週期中有 15 個計時，共花費 7.5 秒（cpu，含驗證）。"
    assert chinese(cost_table(told.findings, told.costs).rows[1][2]) == "3（9 個週期中有 6 個計時）"
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].text(Report("report", "en", (told,))))))
    assert [row["seconds"] for row in rows if row["arm"] == "20"] == ["", "1.5", "1.5"]


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), max_size=3))
def test_the_labels_of_three_arms_never_stand_on_each_other(places):
    drawn = []
    for (x, y), (side, shift) in zip(places, label_places(places, [["a label"]] * len(places)), strict=True):
        left = x * PLOT_WIDTH if side > 0 else x * PLOT_WIDTH - 7 * LETTER_PIXELS
        drawn.append((left, y * PLOT_PIXELS + shift))
    for (x, height), (other, another) in combinations(drawn, 2):
        assert abs(x - other) >= 7 * LETTER_PIXELS or abs(height - another) >= LINE_PIXELS - 1


def test_a_label_stands_on_no_other_point_where_another_side_is_free():
    assert label_places([(0.9, 0.1), (0.7, 0.1)], [["adam × constant"], ["sgd"]])[0] == (-1, LINE_PIXELS)


def test_energy_is_told_where_every_epoch_was_counted(shop):
    shop.joules = 1.5e6
    folder = shop.study({10: [0.9, 0.8], 20: [0.8, 0.7]})
    shop.train_again(folder, 1, 0, epoch=3, seconds=1.5)  # on a machine that does not count
    told = load_study(shop.store, folder)
    assert [cost.joules for cost in told.costs] == [2 * 3 * 1.5e6, None]
    table = cost_table(told.findings, told.costs)
    assert table.columns[4].heading == "energy in all (kJ)"
    assert [row[4] for row in table.rows] == ["9,000", "-"]
    assert "Energy was not measured." in told.answers[2].sentence  # a part is no total

    whole = load_study(shop.store, shop.study({10: [0.9, 0.8], 30: [0.8, 0.7]}))
    assert "They used 5 kWh." in whole.answers[2].sentence
    shop.joules = 361e6
    much = load_study(shop.store, shop.study({10: [0.9, 0.8], 40: [0.8, 0.7]}))
    assert "They used 604 kWh." in much.answers[2].sentence


def test_a_trial_gets_its_curves_once(shop, folder):
    trial = shop.trial_folder(folder, 0, 0)
    write_trial_curves(trial, "batch size 10, block 0")
    before = files(trial.path)
    assert {"curves.png", "curves.svg"} <= set(before)
    write_trial_curves(trial, "another title")
    assert files(trial.path) == before


@pytest.mark.parametrize("outcome", ["missing", "unfinished"])
def test_a_trial_that_has_not_ended_is_not_drawn(shop, outcome):
    """Its curves would be taken for whole ones later."""
    trial = shop.trial_folder(shop.trial(outcome), 0, 0)
    write_trial_curves(trial, "t")
    assert not (trial.path / "curves.png").exists()


def test_a_diverged_trial_is_drawn_as_far_as_it_came(shop):
    trial = shop.trial_folder(shop.trial("diverged"), 0, 0)
    write_trial_curves(trial, "t")
    assert (trial.path / "curves.svg").exists()


def test_a_trial_with_damaged_epochs_is_left_without_curves(shop):
    trial = shop.trial_folder(shop.trial(0.9), 0, 0)
    trial.epochs_file.write_bytes(b"no line\n" + trial.epochs_file.read_bytes())
    write_trial_curves(trial, "t")
    assert not (trial.path / "curves.png").exists()


def test_a_report_sets_all_studies_beside_their_figures(shop, folder, tmp_path):
    shop.trial(0.9, label_smoothing=0.25)
    report = write_report(find_studies(shop.store, []), tmp_path / "out")
    text = report.files["markdown"].read_text()

    assert len(report.studies) == 2
    assert "# Report" in text
    for name in FIGURES:
        relative = f"figures/{folder.name}/{name}.png"
        assert f"]({relative})" in text
        assert (tmp_path / "out" / relative).exists()
    assert report.files["html"].read_text().count("<article") == 2


def test_cards_of_studies_with_one_name_say_which_is_which(shop, folder, tmp_path):
    """As after a level was added: the two ask the same question, and answer it differently."""
    other = shop.study({10: [0.9, 0.9], 20: [0.8, 0.8], 40: [0.7, 0.7]})
    page = write_report([folder, other], tmp_path / "out").files["html"].read_text()
    cards = page.partition("<section")[0]
    assert all(one.name in cards for one in (folder, other))
    alone = write_report([folder], tmp_path / "alone").files["html"].read_text().partition("<section")[0]
    assert folder.name.rpartition("-")[0] in alone
    assert folder.name not in alone.partition("<main")[2]


def test_a_report_only_reads_the_store(shop, folder, tmp_path):
    before = files(shop.root)
    write_report([folder], tmp_path / "out")
    assert files(shop.root) == before


def test_a_report_leaves_out_a_study_that_cannot_be_read_and_says_so(shop, folder, tmp_path):
    other = shop.study({10: SMALL, 20: LARGE}, label_smoothing=0.1)
    (other / "study.yaml").write_text("name: [")
    report = write_report(find_studies(shop.store, []), tmp_path / "out")
    assert len(report.studies) == 1
    assert "study.yaml" in report.unreadable[0]
    assert "could not be read" in report.files["markdown"].read_text()
    assert "could not be read" in report.files["html"].read_text()


def test_a_report_without_any_readable_study_is_an_error(shop, folder, tmp_path):
    (folder / "study.yaml").write_text("schema_version: 99")
    with pytest.raises(StoreError, match="newer eailab"):
        write_report([folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_deleted_trials_are_gaps_of_a_report(shop, folder, tmp_path):
    for file in shop.trial_folder(folder, 1, 0).path.iterdir():
        file.unlink()
    report = write_report([folder], tmp_path / "out")
    assert report.studies[0].arms[1].trials[0].state == "missing"
    assert "1 of 3 not finished" in report.files["markdown"].read_text()


def test_a_report_cannot_be_written_into_a_file(shop, folder, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError, match="could not be written"):
        write_report([folder], tmp_path / "out")


def test_studies_are_found_by_name_full_name_and_path(shop, folder):
    other = shop.study({10: SMALL, 20: LARGE}, label_smoothing=0.1)
    assert set(find_studies(shop.store, ["tiny-batch-size"])) == {folder, other}
    assert find_studies(shop.store, [folder.name]) == [folder]
    assert find_studies(shop.beside("none").store, [str(folder)]) == [folder.resolve()]
    assert find_studies(shop.store, [folder.name, folder.name]) == [folder]


def test_a_mistyped_study_is_answered_with_the_nearest_name(shop, folder):
    with pytest.raises(UsageError, match="Nearest: tiny-batch-size"):
        find_studies(shop.store, ["tiny-bach-size"])


def test_an_empty_store_is_answered_with_a_command(shop):
    with pytest.raises(UsageError, match="eailab ablate"):
        find_studies(shop.store, [])


def test_reports_need_no_torch_and_a_published_one_no_matplotlib(shop, folder, tmp_path):
    write_study(shop.store, folder)
    script = (
        "import sys; from pathlib import Path; from eailab.runs.store import Store\n"
        "from eailab.report.write import find_studies, write_report\n"
        "folders, out = find_studies(Store(Path(sys.argv[1])), []), Path(sys.argv[2])\n"
        "write_report(folders, out, exports=('csv', 'tensorboard'))\n"
        "print(*sorted({'torch', 'torchvision', 'matplotlib', 'tensorflow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(shop.root), str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.draws
def test_without_a_chinese_font_figures_are_labelled_in_english_and_it_is_said(shop, tmp_path, monkeypatch):
    """An empty box in place of a letter tells nobody anything."""
    monkeypatch.setattr(fonts, "families", lambda: ["DejaVu Sans"])
    folder = shop.study({10: [0.9, 0.8], 20: [0.8, 0.7]})
    told = write_report([folder], tmp_path / "out", formats=["markdown"], lang="zh-TW")
    assert "no font with Chinese letters" in told.notes[0]
    drawn = (tmp_path / "out" / "figures" / folder.name / "curves.png").read_bytes()
    assert drawn == study_figures(told.studies[0], kinds=("png",))["curves"]["png"]
    assert "驗證" in told.files["markdown"].read_text()


@pytest.mark.skipif(not fonts.writes_chinese(), reason="no Chinese font here: install Debian's fonts-wqy-microhei")
def test_a_font_that_was_installed_later_is_found(monkeypatch):
    """Matplotlib keeps its list of fonts from the first time it ran."""
    manager = fonts.font_manager.fontManager
    later = {font.fname for font in manager.ttflist if font.name in CJK_FONTS}
    older = [font for font in manager.ttflist if font.fname not in later]
    monkeypatch.setattr(manager, "ttflist", older)
    assert len(fonts.families.__wrapped__()) > 1


def test_a_font_that_matplotlib_cannot_read_is_passed_over(monkeypatch, tmp_path):
    """It is not in matplotlib's list for that reason, and must not end every figure on its machine."""
    (tmp_path / "broken.ttf").touch()
    manager = fonts.font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [font for font in manager.ttflist if font.name not in CJK_FONTS])
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf")])
    assert fonts.families.__wrapped__() == ["DejaVu Sans"]


def test_a_long_label_beside_a_point_goes_on_below(shop):
    """In one line it would leave a narrow page."""
    folder = shop.study({10: SMALL, 20: LARGE})
    told = load_study(shop.store, folder)
    label = "steplr (gamma 0.1, step_size 2)"
    arms = tuple(replace(arm, label=label) for arm in told.findings.arms)
    page = FORMATS["html"].text(Report("study", "en", (replace(told, findings=replace(told.findings, arms=arms)),)))
    lines = re.findall(r">([^<>]+)<tspan[^>]*>([^<]+)</tspan>", page)
    assert lines
    assert all(" ".join(parts) == label for parts in lines)


def test_a_new_format_is_one_function_and_one_entry(shop, folder, tmp_path, monkeypatch):
    """It is written, and verified, without a change elsewhere."""

    def render(document):
        titles = "\n".join(block.title.text for block in document.blocks)
        return f"eailab-report: {document.manifest.text()}\n{titles}\n"

    monkeypatch.setitem(FORMATS, "titles", Format(".txt", render))
    file = write_report([folder], tmp_path / "out", formats=["titles"]).files["titles"]
    assert "Does the batch size change the validation accuracy?" in file.read_text()
    assert verify(file, shop.store).holds
    file.write_text(file.read_text().replace("Does", "Why does"))
    assert not verify(file, shop.store).holds


def test_a_page_shows_how_each_arm_varies_images_from_what_the_study_kept(shop_at, tmp_path, monkeypatch):
    """A report reads the images from the study: it loads neither the data set nor an engine for them."""
    shop = shop_at(tmp_path / "runs", load("digits"))
    folder = shop.study({"none": [0.9, 0.8], "deform": [0.7, 0.8]}, factor="augment")
    write_study(shop.store, folder)
    kept = json.loads((folder / "augmented.json").read_text())["sheet"]
    assert [row["label"] for row in kept["rows"]] == ["original", PLAIN_DEFORM]
    assert [len(row["images"]) for row in kept["rows"]] == [8, 8]
    assert kept["rows"][0]["images"] != kept["rows"][1]["images"]
    page = (folder / "report.html").read_text()
    assert all(page.count(address) >= 1 for row in kept["rows"] for address in row["images"])

    monkeypatch.setattr("eailab.report.augmented_images.sheet", lambda *_: pytest.fail("drawn again"))
    report = write_report([folder], tmp_path / "out").files["html"]
    assert "Augmented training images" in report.read_text()
    assert verify(report, shop.store).outcome.holds
    (folder / "augmented.json").write_text("{}")
    assert kept_sheet(folder, read_record(folder)) is None


PLAIN_DEFORM = "deform (rotation 12.0, scale 0.12, shear 0.12, shift 1.5, elastic 1.6, nodes 6)"


def test_a_page_lists_the_layers_of_each_arms_network(shop):
    """784 inputs would be MNIST's: the digits have 64."""
    same = load_study(shop.store, shop.study({10: SMALL, 20: LARGE}, model={"name": "mlp", "hidden": [5]}))
    (network,) = same.networks
    assert [(one.output, one.parameters, one.multiply_adds) for one in network.layers] == [
        ((5,), 65 * 5, 64 * 5),
        ((10,), 6 * 10, 5 * 10),
    ]
    page = FORMATS["html"].text(Report("study", "en", (same,)))
    assert "2 layers with weights, 385 trained parameters, 370 multiply–adds an image" in page

    varied = load_study(shop.store, shop.study({"none": SMALL, "batch": LARGE}, factor="norm"))
    assert [one.arms for one in varied.networks] == [("none (baseline)",), ("batch",)]
    assert varied.networks[1].parameters[0] - varied.networks[0].parameters[0] == 2 * (128 + 256)
