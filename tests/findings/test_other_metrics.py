"""A metric may be unbounded, in a unit of its own, without a test value, and missing in an epoch or a trial."""

import csv
import io
from dataclasses import replace

import pytest
from stores import recipe

from eailab.engines import registry
from eailab.findings.methods import methods
from eailab.findings.noise import noise_findings, noise_table
from eailab.findings.statements import facts, headlines
from eailab.findings.tables import blocks_table, main_table
from eailab.metrics import CLASSIFICATION, Metric
from eailab.report.csv_rows import epochs_csv, trials_csv
from eailab.report.describe import study_curves
from eailab.report.describe_intervals import study_intervals
from eailab.report.exports.export_records import export_study
from eailab.report.json_report import as_mapping
from eailab.report.plots import study_figures
from eailab.report.write import write_study
from eailab.studies.design import repeated
from eailab.studies.storage import read_record

OWN = (
    Metric("energy", "energy of training", higher_is_better=False, split="train", quantity="energy", is_optional=True),
    Metric(
        "psnr",
        "peak signal-to-noise ratio",
        higher_is_better=True,
        split="validation",
        quantity="psnr",
        unit="dB",
        unit_words="decibels",
        difference_unit="dB",
        difference_words="decibels",
        decimals=1,
        is_optional=True,
    ),
)


LEVELS = {10: [0.9, 0.6, 0.7], 20: [0.5, 0.4, 0.45]}
STUDY = {"study": {"metric": "psnr", "margin": 0.5}}


@pytest.fixture
def own(shop, monkeypatch):
    """A shop whose trials record a ratio of up to 40 dB, and the energy in some epochs only."""

    def scored(train, validation, test=None):
        energy = {"energy": 7.0} if test is None and train[1] < 0.31 else {}
        return {"psnr": 40.0 * validation[1], **energy}

    spec = replace(registry.ENGINES["numpy-mlp"], metrics=lambda recipe: OWN)
    monkeypatch.setitem(registry.ENGINES, "numpy-mlp", spec)
    shop.scored = scored
    return shop


def test_a_study_speaks_in_the_unit_and_has_no_column_of_test_values(own):
    found = own.findings(own.study(LEVELS, **STUDY))
    (said,) = headlines(found)
    assert said.startswith("20: WORSE than 10, -11.3 dB [")
    headings = [column.heading for column in main_table(found).columns]
    assert headings[1:4] == ["mean (dB)", "SD (dB)", "difference (dB)"]
    assert headings[4:] == ["95% interval", "verdict", "trials", "note"]
    named = {fact.name: fact.sentence for fact in facts(found)}
    assert named["Metric"] == (
        "peak signal-to-noise ratio after the last epoch, in decibels; differences in decibels (dB); "
        "of these 4 validation images"
    )


def test_without_a_unit_and_a_margin_nothing_is_said_of_either(own, monkeypatch):
    plain = replace(OWN[1], unit="", unit_words="", difference_unit="", difference_words="")
    spec = replace(registry.ENGINES["numpy-mlp"], metrics=lambda recipe: (OWN[0], plain))
    monkeypatch.setitem(registry.ENGINES, "numpy-mlp", spec)
    folder = own.study(LEVELS, study={"metric": "psnr", "margin": 0.0})
    found = own.findings(folder)
    figure = study_intervals(found)
    assert figure.axis_title == "difference in peak signal-to-noise ratio (right is better)"
    assert figure.key == "bar: simultaneous 95% interval; dots: single blocks"
    named = {fact.name: fact.sentence for fact in facts(found)}
    assert named["Margin"] == "none: every difference matters, and no arm is called the same"
    assert not any("±" in sentence for sentence in methods(found, read_record(folder)))


def test_a_trial_shows_what_it_has_and_leaves_out_what_no_trial_has(own):
    found = own.findings(own.trial(0.9, **STUDY))
    assert headlines(found) == ("peak signal-to-noise ratio 36.0 dB",)
    table = main_table(found)
    assert [column.heading for column in table.columns] == ["split", "psnr (dB)"]
    assert table.rows == (("validation", "36.0"),)


def test_an_epoch_without_a_value_is_a_gap_in_numbers_and_figures(own):
    folder = own.study(LEVELS, **STUDY)
    found = own.findings(folder)
    assert found.arms[0].trials[0].curves.values["energy"] == (7.0, None, None)
    assert found.arms[0].curves.values["energy"][1:] == (None, None)
    by_block = as_mapping(found)["arms"][0]["by_block"][0]
    assert (by_block["train"], by_block["validation"], by_block["test"]) == (None, {"psnr": 36.0}, None)
    assert by_block["curves"]["energy"] == [7.0, None, None]
    figure = study_curves(found)
    assert [panel.title for panel in figure.panels] == ["peak signal-to-noise ratio", "energy of training"]
    assert set(study_figures(found)) == {"intervals", "curves"}
    report = write_study(own.store, folder)
    page = (folder / "report.html").read_text()
    assert "NaN" not in page
    assert '"unit":" dB"' in page.replace('"unit": ', '"unit":')
    assert trials_csv([(report.folder, report)]).splitlines()[0].endswith("metric,value,energy,psnr,seconds")
    epochs = list(csv.DictReader(io.StringIO(epochs_csv([export_study(report)]))))
    assert [(row["energy"], row["psnr"]) for row in epochs[:2]] == [("7.0", "12.0"), ("", "24.0")]


def test_a_finished_trial_without_a_value_is_a_dash_and_noted(own):
    """Where its metric is not among the recorded ones of that trial alone."""
    with_value = own.scored
    own.scored = lambda *scores: {"energy": 7.0} if scores[-1][1] < 0.5 else with_value(*scores)
    found = own.findings(own.study({10: [0.9, 0.8, 0.85], 20: [0.7, 0.45, 0.75]}, **STUDY))
    assert [trial.state for trial in found.arms[1].trials] == ["finished"] * 3
    assert blocks_table(found).rows[1] == ("20", "28.0", "-", "30.0")
    assert found.arms[1].notes[0] == "1 of 3 finished without a value of the metric"
    assert found.arms[1].against_baseline.difference is not None
    assert set(study_figures(found)) == {"intervals", "curves"}


def test_noise_without_shares_of_images_has_no_sampling_errors(own):
    folder = own.of(repeated(recipe(**STUDY), range(3)), [[0.9, 0.8, 0.7]])
    found = noise_findings(own.store, read_record(folder))
    assert found.sampling == ()
    assert noise_table(found).rows[0][:2] == ("mean", "32.0 dB")


def test_a_store_with_other_metrics_is_damage_that_is_named_and_stays(shop, monkeypatch):
    folder = shop.study({10: [0.9], 20: [0.8]})
    fewer = tuple(metric for metric in CLASSIFICATION if metric.name != "train-loss")
    spec = replace(registry.ENGINES["numpy-mlp"], metrics=lambda recipe: fewer)
    monkeypatch.setitem(registry.ENGINES, "numpy-mlp", spec)
    trial = shop.findings(folder).arms[0].trials[0]
    assert trial.state == "damaged"
    assert "train_loss, train_accuracy, " in trial.reason
    assert "are not those of the recipe's engine (train_accuracy, " in trial.reason
    assert shop.trial_folder(folder, 0, 0).result_file.exists()
