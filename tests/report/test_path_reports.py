"""A path ablation in reports: its table, its figure and its trials in every format, held to the store like a study."""

import csv
import io
import re

import pytest
from stores import recipe

from eailab.errors import UsageError
from eailab.report.formats import FORMATS
from eailab.report.study_report import Report, load_path
from eailab.report.verify import verify
from eailab.report.write import write_report
from eailab.studies.path_ablation import path_between

ENDS = [0.90, 0.91, 0.92], [0.95, 0.94, 0.97]
TRIED = [0.905, 0.91, 0.93], [0.93, 0.95, 0.96]


@pytest.fixture
def folder(shop, monkeypatch):
    """Two steps, the second of which arrives: 12 trials."""
    monkeypatch.setattr("eailab.report.verify.path_contradictions", lambda *_: ())
    asked = path_between(recipe(), recipe(epochs=4, batch_size=20), ("start", "end"), range(3), "gain")
    return shop.path(asked, ENDS, TRIED, None)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_report_of_a_path_ablation_alone_verifies_and_a_changed_digit_is_found(shop, folder, tmp_path, kind):
    """In CSV it was a header without rows, which nothing could verify."""
    file = tmp_path / f"report{FORMATS[kind].suffix}"
    file.write_text(FORMATS[kind].text(Report("report", "en", (), paths=(load_path(shop.store, folder),))))
    found = verify(file, shop.store)
    assert (found.holds, found.trials, found.gaps) == (True, 12, ())
    assert found.outcome.numbers > 20

    number = {"csv": "95.0", "json": "95.33"}.get(kind, "+4.33")
    head, _, rest = file.read_text().rpartition(number)
    assert head
    file.write_text(head + number.replace(number[1], "8") + rest)
    assert verify(file, shop.store).outcome.problems


def test_every_trial_of_a_path_ablation_is_a_row_under_the_step_that_compares_it(folder, tmp_path):
    files = write_report([folder], tmp_path / "out", formats=["csv"]).files
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert {row["study"] for row in rows} == {folder.name}
    assert [(row["factor"], row["arm"], row["block"]) for row in rows if row["block"] == "0"] == [
        ("recipe", "start", "0"),
        ("recipe", "end", "0"),
        ("step 1", "before", "0"),
        ("step 1", "epochs 3 -> 4", "0"),
        ("step 1", "batch_size 10 -> 20", "0"),
        ("step 2", "before", "0"),
        ("step 2", "epochs 3 -> 4", "0"),
    ]
    assert len({row["trial"] for row in rows}) == 12
    assert all(row["value"] for row in rows)


@pytest.mark.draws
def test_the_figure_of_a_path_ablation_lies_beside_its_report_and_is_drawn_in_its_page(folder, tmp_path):
    files = write_report([folder], tmp_path / "out", formats=["markdown", "latex", "html"]).files
    figure = f"figures/{folder.name}/waterfall"
    assert f"]({figure}.png)" in files["markdown"].read_text()
    assert f"{{{figure}.pdf}}" in files["latex"].read_text()
    assert {path.suffix for path in (tmp_path / "out" / "figures" / folder.name).iterdir()} == {".png", ".pdf"}
    page = files["html"].read_text().partition("</style>")[2]
    assert not re.search(r"<th[^>]*></th>", page)  # of the two ends, which are no steps
    assert page.count('<rect class="bar') == 3  # two steps, and the gap
    assert "95% intervals, simultaneous over the moves" in page


def test_a_lab_report_of_path_ablations_alone_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="these is one: leave it out"):
        write_report([folder], tmp_path / "out", lab=True)
    assert not (tmp_path / "out").exists()


def test_the_changes_of_a_path_are_in_the_language_of_the_report(shop, folder):
    text = FORMATS["markdown"].text(Report("report", "zh-TW", (), paths=(load_path(shop.store, folder),)))
    assert "| 週期數 3 -\\> 4 |" in text
    assert "| 批次大小 10 -\\> 20 |" in text
