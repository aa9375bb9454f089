"""Two trials side by side."""

import io

import pytest
from rich.console import Console

from eailab.errors import StoreError
from eailab.findings.diff import diff
from eailab.report.terminal import print_table


@pytest.fixture
def folder(shop):
    return shop.study({10: [0.9, "unfinished"], 20: [0.8, "diverged"]}, devices=["cpu", "a GPU"])


def lines(found):
    return {(line.part, line.name): (line.first, line.second) for line in found.lines if line.differs}


def test_arms_of_a_block_differ_in_the_factor_and_in_what_came_of_it(shop, folder):
    found = diff(shop.trial_folder(folder, 0, 0), shop.trial_folder(folder, 1, 0))
    differing = lines(found)
    assert [key for key in differing if key[0] in ("recipe", "trial", "environment")] == [("recipe", "batch_size")]
    assert differing["recipe", "batch_size"] == ("10", "20")
    assert differing["result", "validation_accuracy (%)"] == ("90.00", "80.00")


def test_a_diverged_trial_has_no_scores_and_its_own_environment(shop, folder):
    differing = lines(diff(shop.trial_folder(folder, 1, 0), shop.trial_folder(folder, 1, 1)))
    assert differing["environment", "device"] == ("cpu", "a GPU")
    assert differing["result", "status"] == ("finished", "diverged")
    assert differing["result", "test_accuracy (%)"] == ("79.00", "-")
    assert differing["trial", "block"] == ("0", "1")


def test_the_table_shows_what_differs_and_every_result(shop, folder):
    found = diff(shop.trial_folder(folder, 0, 0), shop.trial_folder(folder, 0, 0))
    assert {row[0] for row in found.table().rows} == {"result"}
    assert len(found.table(everything=True).rows) == len(found.lines) > 30


def test_the_two_names_keep_a_terminals_table_within_80_columns(shop, folder):
    first, second = shop.trial_folder(folder, 0, 0), shop.trial_folder(folder, 1, 0)
    output = io.StringIO()
    print_table("Two trials", diff(first, second).table(), [], Console(file=output, width=80))
    head, line, *rows = output.getvalue().splitlines()[1:]
    assert head.split() == ["part", "what", "10/0", "20/0"]
    assert len(line) < 80
    assert all(row.split()[0] in {"recipe", "result"} for row in rows)


def test_an_unfinished_trial_has_nothing_to_compare(shop, folder):
    with pytest.raises(StoreError, match="no result yet"):
        diff(shop.trial_folder(folder, 0, 0), shop.trial_folder(folder, 0, 1))
