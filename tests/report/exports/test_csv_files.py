"""Two tables that others read."""

import csv

import pandas as pd
import pytest


def rows(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_there_is_a_row_for_each_epoch_and_for_each_trial(export, folder):
    out = export("csv", folder)
    epochs, trials = rows(out / "epochs.csv"), rows(out / "trials.csv")
    assert [(row["arm"], row["block"], row["epoch"]) for row in epochs] == [
        *[("10", str(block), str(epoch)) for block in range(3) for epoch in (1, 2, 3)],
        ("20", "0", "1"),
        ("20", "1", "1"),
    ]
    assert {row["learning_rate"] for row in epochs} == {"0.001"}
    assert [row["state"] for row in trials] == [*["finished"] * 3, "diverged", "unfinished", "missing"]
    assert [row["test_accuracy"] for row in trials[3:]] == ["", "", ""]
    assert {row["recipe.name"] for row in trials} == {"<script>alert(1)</script>"}


def test_a_data_frame_has_numbers_where_there_are_numbers(export, shop, folder):
    """And the last epoch of a finished trial is its final validation, in both tables."""
    out = export("csv", folder, shop.trial(0.8, label_smoothing=0.25))
    epochs, trials = pd.read_csv(out / "epochs.csv"), pd.read_csv(out / "trials.csv")
    finished = trials[trials.state == "finished"].set_index(["study", "arm", "block"])
    last = epochs[epochs.state == "finished"].groupby(["study", "arm", "block"]).last()
    assert len(finished) == 4
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert last[name].to_dict() == pytest.approx(finished[name].to_dict())
    assert trials["recipe.optimizer.lr"].unique().tolist() == [0.001]
    assert trials["recipe.label_smoothing"].max() == 0.25
    assert pd.to_datetime(epochs["ended"], utc=True).notna().all()
