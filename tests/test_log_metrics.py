"""A training program reports its metrics by one call, which needs nothing but Python."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import eailab


def test_each_call_writes_a_line_to_the_file_that_the_command_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EAILAB_METRICS", str(tmp_path / "metrics.jsonl"))
    eailab.log(epoch=1, val_acc=np.float32(0.5))
    eailab.log({"val/loss": 2}, step=7)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"epoch": 1, "val_acc": 0.5}, {"step": 7, "val/loss": 2.0}]
    assert capsys.readouterr().out == ""


def test_a_program_started_by_hand_prints_what_it_reports(monkeypatch, capsys):
    """So that one call serves both, and what is printed can be read as well."""
    monkeypatch.delenv("EAILAB_METRICS", raising=False)
    eailab.log(epoch=3, val_acc=0.914, val_loss=1e-9)
    assert capsys.readouterr().out == "epoch=3 val_acc=0.914 val_loss=1e-09\n"


def test_lines_of_several_writers_do_not_mix(tmp_path, monkeypatch):
    monkeypatch.setenv("EAILAB_METRICS", str(tmp_path / "metrics.jsonl"))
    long = {f"metric_{number}": number / 7 for number in range(300)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda step: eailab.log(long, step=step), range(100)))
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert sorted(record["step"] for record in records) == list(range(100))
    assert all(len(record) == 301 for record in records)


def test_reporting_imports_nothing_heavy():
    code = (
        "import eailab, sys; eailab.log(a=1); print(*sorted({'numpy', 'typer', 'pydantic', 'yaml'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a=1.0\n\n"
