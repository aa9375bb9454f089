"""Offline runs hold what the store holds, read by wandb's protocol buffers; some seconds, where wandb is installed."""

import json
import struct
from dataclasses import dataclass

import pytest

from eailab.report.exports.export_records import export_study
from eailab.report.study_report import load_study

BLOCK = 32768
HEADER = struct.Struct("<IHB")


def records(data):
    """Read a run's file: a log in LevelDB's format (blocks of 32 KiB, records in one or more parts) after 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    assert data[:4] == b":W&B"
    at, record = 7, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        at += HEADER.size + length
        record += data[at - length : at]
        if kind in (1, 4):  # whole, or its last part
            yield Record.FromString(record)
            record = b""


@dataclass
class Run:
    run: object
    config: dict
    rows: list
    summary: dict
    exit_code: int


def read(file):
    found = list(records(file.read_bytes()))
    kinds = [record.WhichOneof("record_type") for record in found]
    summary = {}
    for record in found:
        for item in record.summary.update:
            summary["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    run = found[kinds.index("run")].run
    return Run(
        run,
        {item.key: json.loads(item.value_json) for item in run.config.update},
        [
            {
                item.nested_key[0] if item.nested_key else item.key: json.loads(item.value_json)
                for item in row.history.item
            }
            for row in found
            if row.WhichOneof("record_type") == "history"
        ],
        summary,
        found[kinds.index("exit")].exit.exit_code,
    )


@pytest.fixture
def runs(export, folder):
    """The runs of a study, by name."""
    out = export("wandb-offline", folder)
    found = [read(file) for file in out.glob("offline-run-*/run-*.wandb")]
    assert len({one.run.display_name for one in found}) == len(found)
    return {one.run.display_name: one for one in found}


def test_every_trial_reads_back_with_settings_labels_and_epochs(runs, shop, folder):
    trials = export_study(load_study(shop.store, folder)).trials
    assert set(runs) == {"<script>alert(1)</script>-batch-size: table", *(trial.name for trial in trials)}
    for trial in trials:
        found = runs[trial.name]
        assert found.config["optimizer"]["lr"] == 0.001
        assert found.config["batch_size"] == int(trial.labels["level"])
        assert found.config["eailab"] == trial.labels
        assert found.run.run_group == folder.name
        assert [(row["_step"], row["_timestamp"]) for row in found.rows] == [
            (epoch.number, pytest.approx(time)) for epoch, time in zip(trial.epochs, trial.clock, strict=True)
        ]
        for row, epoch in zip(found.rows, trial.epochs, strict=True):
            assert {name: row[name] for name in epoch.scores} == pytest.approx(epoch.scores)
        final = {name: value for name, value in found.summary.items() if name.startswith("final/")}
        assert final == pytest.approx(trial.final)


def test_a_trial_that_has_no_result_says_so(runs):
    said = [
        (list(run.run.tags), run.summary["state"], run.exit_code) for name, run in sorted(runs.items()) if "=20" in name
    ]
    assert said == [(["diverged"], "diverged", 1), (["unfinished"], "unfinished", 0), (["missing"], "missing", 0)]


def test_the_table_is_the_note_of_its_own_run(runs):
    (table,) = [run for name, run in runs.items() if name.endswith("table")]
    assert "| 10 (baseline) | 91.00 |" in table.run.notes


def test_nothing_of_this_machine_goes_out(runs, export, folder):
    """Neither its name, nor who works on it, nor what is installed."""
    assert {run.run.host for run in runs.values()} == {""}
    out = export("wandb-offline", folder)
    assert [path for path in out.glob("offline-run-*/files/**/*") if path.is_file()] == []


def test_a_trial_that_has_come_further_takes_the_place_of_its_earlier_run(runs, export, shop, folder):
    """And a run of the user's, and those that have not changed, stay."""
    out = export("wandb-offline", folder)
    (out / "offline-run-20260101_000000-mine").mkdir()

    def files():
        return {path.name: path.read_bytes() for path in out.glob("offline-run-*/run-*.wandb")}

    before = files()
    shop.train_again(folder, 1, 1, epoch=1, seconds=9.0)
    export("wandb-offline", folder)
    after = files()
    assert set(after) == set(before)
    (changed,) = [name for name in after if after[name] != before[name]]
    assert changed == f"run-{runs['batch_size=20/block-1'].run.run_id}.wandb"
    assert (out / "offline-run-20260101_000000-mine").is_dir()
