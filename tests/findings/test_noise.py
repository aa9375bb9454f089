"""Noise: the spread of one recipe's trials, by independent references, and how it is told."""

import json
import math
import statistics

import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from stores import recipe

from eailab.findings.noise import noise_findings, noise_table, sentences
from eailab.report.json_report import noise_mapping
from eailab.report.write import write_noise
from eailab.studies.design import repeated
from eailab.studies.storage import read_record

VALUES = [0.90, 0.93, 0.91, 0.95]


def found(shop, outcomes, **settings):
    folder = shop.of(repeated(recipe(**settings), range(len(outcomes))), [outcomes])
    return noise_findings(shop.store, read_record(folder))


def test_the_spread_is_that_of_the_textbook(shop):
    noise = found(shop, VALUES)
    sd = 100 * statistics.stdev(VALUES)
    assert noise.mean == pytest.approx(92.25)
    assert (noise.low, noise.high) == pytest.approx((90.0, 95.0))
    assert noise.sd == pytest.approx(sd)
    low, high = stats.chi2.ppf([0.025, 0.975], 3)
    assert noise.sd_interval95 == pytest.approx((sd * math.sqrt(3 / high), sd * math.sqrt(3 / low)))
    assert noise.noise_below == pytest.approx(stats.t.ppf(0.975, 3) * math.sqrt(2) * sd)
    assert noise.noise_below_if_sd_known == pytest.approx(1.96 * math.sqrt(2) * sd, rel=1e-4)


def test_what_studies_of_two_arms_would_see_is_statsmodels_power(shop):
    """Of studies of 3, 5 and 10 blocks; a difference has the SD of a trial times √2, at its upper 80% bound."""
    noise = found(shop, VALUES)
    assert [one.blocks for one in noise.detectable] == [3, 5, 10]
    upper = noise.sd * math.sqrt(3 / stats.chi2.ppf(0.2, 3))
    for one in noise.detectable:
        effect = TTestPower().solve_power(nobs=one.blocks, alpha=0.05, power=0.8)
        assert one.difference == pytest.approx(effect * math.sqrt(2) * upper, rel=1e-3)


def test_sampling_errors_are_binomial_for_the_images_of_either_set(shop):
    validation, test = found(shop, VALUES).sampling
    assert (validation.images, test.images) == (4, 25)
    assert validation.standard_error == pytest.approx(100 * math.sqrt(0.9225 * 0.0775 / 4))
    assert test.standard_error == pytest.approx(100 * math.sqrt(0.9125 * 0.0875 / 25))


def test_the_sentence_says_how_its_number_was_computed(shop):
    noise = found(shop, VALUES)
    said = " ".join(sentences(noise))
    assert f"Differences below {noise.noise_below:.2f} pp between two single runs are noise." in said
    assert "3.18 × √2 × SD" in said
    assert "3 degrees of freedom" in said
    assert f"1.96 × √2 × SD = {noise.noise_below_if_sd_known:.2f} pp" in said
    assert "significant" not in said


def test_a_loss_has_no_percent(shop):
    noise = found(shop, VALUES, study={"metric": "validation-loss"})
    assert noise.sd == pytest.approx(statistics.stdev(VALUES) / 3 * 1.0)
    rows = {row[0]: row[1] for row in noise_table(noise).rows}
    assert "%" not in rows["mean"]
    assert "pp" not in rows["seed-to-seed SD"]
    assert rows["validation sampling"].endswith("pp")


def test_diverged_trials_are_counted_and_never_averaged_away(shop):
    noise = found(shop, [0.9, "diverged", 0.92, "missing"])
    assert noise.values == pytest.approx((90.0, None, 92.0, None))
    said = " ".join(sentences(noise))
    assert "1 of 4 trials diverged" in said
    assert "1 of 4 trials have no result" in said


@pytest.mark.parametrize("outcomes", [["diverged", "diverged"], [0.9, "diverged"]])
def test_without_two_values_there_is_no_spread_and_no_noise(shop, outcomes):
    noise = found(shop, outcomes)
    assert (noise.sd, noise.noise_below, noise.detectable) == (None, None, ())
    assert "a spread needs two or more" in " ".join(sentences(noise))
    assert noise_table(noise).rows


def test_equal_values_show_no_noise_rather_than_a_floor_of_zero(shop):
    noise = found(shop, [0.9, 0.9, 0.9])
    said = " ".join(sentences(noise))
    assert "the same value" in said
    assert "Differences below" not in said
    assert not [row for row in noise_table(noise).rows if "interval" in row[2] or "80% power" in row[2]]


def test_a_split_drawn_again_is_part_of_the_spread(shop):
    fixed, drawn = (
        found(shop, VALUES),
        found(shop.beside("other"), VALUES, data={"name": "digits", "split": "per-block"}),
    )
    assert "same in all blocks" in " ".join(sentences(fixed))
    assert "luck of the split" in " ".join(sentences(drawn))


def test_the_files_hold_what_was_found_and_the_same_bytes_each_time(shop, tmp_path):
    noise = found(shop, VALUES)
    write_noise(noise, tmp_path / "out")
    first = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    write_noise(noise, tmp_path / "out")
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == first
    assert json.loads(first["noise.json"]) == json.loads(json.dumps(noise_mapping(noise)))
    assert b"between two single runs are noise" in first["noise.md"]
    assert b"a-secret-host" not in first["noise.json"] + first["noise.md"]
