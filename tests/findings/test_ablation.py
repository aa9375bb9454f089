"""All factors of one baseline: which studies belong together, their one table, and what they rest on, said once."""

import csv
import json

import pytest
from plans import one_factor
from stores import recipe

from eailab.findings.ablation import ablation_table, ablations, shared_facts
from eailab.findings.tables import main_table
from eailab.report.compose import studies_document
from eailab.report.csv_rows import arms_csv
from eailab.report.formats import FORMATS
from eailab.report.study_report import Report, load_study
from eailab.report.terminal import print_studies
from eailab.report.write import write_report

BASE, WORSE, BETTER = [0.80, 0.81, 0.82], [0.70, 0.72, 0.71], [0.90, 0.91, 0.925]


@pytest.fixture
def folders(shop):
    """A study of the batch size and one of the optimizer, of the same baseline, which is trained once."""
    return [
        shop.of(one_factor(recipe(), "batch-size", [10, 20], range(3)), [BASE, WORSE]),
        shop.of(one_factor(recipe(), "optimizer", ["adam", "sgd"], range(3)), [BASE, BETTER]),
    ]


@pytest.fixture
def found(shop, folders):
    return [shop.findings(folder) for folder in folders]


def test_studies_of_one_baseline_make_one_table_with_the_baseline_once(found):
    (group,) = ablations(found)
    table = ablation_table(group)
    assert [row[0] for row in table.rows] == ["baseline", "batch_size 20", "optimizer sgd"]
    for row, findings in zip(table.rows[1:], found, strict=True):
        assert row[1:] == main_table(findings).rows[1][1:]
    assert table.rows[0][1:-1] == main_table(found[0]).rows[0][1:-1]


def test_the_values_of_one_table_have_the_same_decimals(shop, found):
    """Though one factor's intervals are so narrow that its own table has more."""
    close = shop.findings(shop.study({10: BASE, 30: [value + 0.001 for value in (0.80001, 0.81, 0.82)]}))
    assert close.decimals > found[1].decimals
    (group,) = ablations([close, found[1]])
    assert {len(row[1].partition(".")[2]) for row in ablation_table(group).rows} == {close.decimals}


def test_two_studies_of_one_factor_count_as_one_and_name_its_level_once(shop, found):
    (group,) = ablations([*found, shop.findings(shop.study({10: BASE, 30: WORSE}))])
    assert group.title == ablations(found)[0].title
    first, *others = ablation_table(group).rows
    assert first[-1] == "batch_size 10; optimizer adam"
    assert [row[0] for row in others] == ["batch_size 20", "optimizer sgd", "batch_size 30"]


def test_studies_of_other_baselines_blocks_or_metrics_are_not_put_together(shop, found):
    other = shop.findings(shop.study({10: BASE, 20: WORSE}, label_smoothing=0.1))
    again = shop.findings(shop.study({10: BASE, 30: WORSE}))
    fewer = shop.findings(shop.study({10: BASE[:2], 30: WORSE[:2]}, factor="epochs"))
    assert ablations([found[0], other]) == []
    assert ablations([found[0], again]) == []  # of one factor
    assert ablations([found[0], fewer]) == []
    assert len(ablations([*found, other, fewer])) == 1


def test_groups_of_a_report_are_told_apart(shop, found):
    settings = {"label_smoothing": 0.1}
    others = [
        shop.findings(shop.of(one_factor(recipe(**settings), factor, levels, range(3)), [BASE, WORSE]))
        for factor, levels in (("batch-size", [10, 20]), ("optimizer", ["adam", "sgd"]))
    ]
    first, second = ablations([*found, *others])
    assert first.title == second.title
    assert first.apart != second.apart


def test_what_all_rest_on_is_said_once(found):
    shared, own = shared_facts(found)
    assert {"Blocks", "Metric", "Margin", "Device and versions", "Held fixed"} <= {fact.name for fact in shared}
    (held,) = [fact.sentence for fact in shared if fact.name == "Held fixed"]
    assert "epochs 3" in held
    assert "batch_size" not in held
    assert not {fact.name for facts in own for fact in facts} & {"Blocks", "Metric", "Margin", "Held fixed"}


def test_settings_that_only_some_hold_are_said_of_these(shop, found):
    other = shop.findings(shop.study({10: BASE, 20: WORSE}, label_smoothing=0.1))
    _, own = shared_facts([found[0], other])
    assert [fact.sentence for fact in own[1] if fact.name == "Held fixed besides"] == ["label_smoothing 0.1"]


def test_a_terminal_has_every_answer_first(found, capsys):
    print_studies(found)
    said = capsys.readouterr().out
    assert said.count("Device and versions") == 1
    assert said.index("optimizer sgd") < said.index("Device and versions")
    assert "What changes the validation accuracy? 2 factors against one baseline" in said
    print_studies(found[:1])
    assert "What changes" not in capsys.readouterr().out


def test_studies_that_have_nothing_in_common_are_all_answered_first(shop, found):
    other = shop.findings(shop.study({10: BASE, 20: WORSE}, label_smoothing=0.1))
    kinds = [type(block).__name__ for block in studies_document([found[0], other]).blocks]
    assert kinds.index("Facts") > max(place for place, kind in enumerate(kinds) if kind == "TableBlock")


@pytest.mark.parametrize("kind", ["html", "markdown", "latex", "json"])
def test_every_format_has_the_table_of_all_factors(shop, folders, kind):
    text = FORMATS[kind].text(Report("report", "en", tuple(load_study(shop.store, folder) for folder in folders)))
    if kind == "json":
        assert json.loads(text)["ablations"] == [[folder.name for folder in folders]]
    else:
        assert "What changes the validation accuracy? 2 factors" in text
        assert text.index("optimizer sgd") < text.index("Does the batch size")


def test_arms_csv_has_a_row_for_each_arm_of_all_factors(found):
    rows = list(csv.DictReader(arms_csv([(one.folder_name, one) for one in found]).splitlines()))
    assert [(row["factor"], row["arm"]) for row in rows] == [
        *(("batch_size", arm) for arm in ("10", "20")),
        *(("optimizer.name", arm) for arm in ("adam", "sgd")),
    ]
    assert float(rows[1]["difference"]) == pytest.approx(-10.0)
    assert rows[3]["verdict"] == found[1].arms[1].against_baseline.verdict


def test_a_papers_table_of_all_factors_is_a_fragment(folders, tmp_path):
    folder = write_report(folders, tmp_path, formats=[], fragments=True).exports["fragments"]
    text = (folder / "ablation-table.tex").read_text()
    assert r"\label{tab:ablation}" in text
    assert "batch size 20" in text
