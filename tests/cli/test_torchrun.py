"""`torchrun ... eailab train-resnet`: one trial by several processes, with the files and the output of one."""

import json
from contextlib import closing

import pytest
from nursery import Program

import eailab.__main__

TORCHRUN = """
import torch._dynamo  # DistributedDataParallel imports it: once for both processes
from torch.distributed.run import main

main()
"""
FORKED = ["--start-method", "fork", "--run-path", eailab.__main__.__file__]
"""Processes that torchrun forks, and that run the program's main module, need not import everything once more."""
LAUNCH = ["--standalone", "--nproc-per-node", "2", *FORKED]
TRAIN = ["train-resnet", "--recipe", "resnet18-digits", "--stem", "3x3", "--optimizer", "sgd", "--lr", "0.001"]
QUICK = ["-o", "data.limit=96", "-o", "model.width=0.125", "-o", "threads=1", "--epochs", "2", "--device", "cpu"]


def epochs(folder):
    (trial,) = (folder / "runs" / "trials").iterdir()
    records = [json.loads(line) for line in (trial / "epochs.jsonl").read_text().splitlines()]
    return trial, [record["train_loss"] for record in records]


def test_two_processes_leave_one_trial_with_the_losses_of_one(eailab, nursery, tmp_path):
    """The same fingerprint, epoch losses equal to 1e-4 (relative), and each line printed once."""
    together = tmp_path / "together"
    together.mkdir()
    (script := tmp_path / "torchrun.py").write_text(TORCHRUN)
    with closing(Program(nursery, script, *LAUNCH, *TRAIN, *QUICK, folder=together, NO_COLOR="1")) as launched:
        out, err = launched.communicate(timeout=300)
        assert launched.returncode == 0, err
    assert out.count("report: ") == 1
    assert err.count("device: 2 processes on cpu") == 1
    alone = eailab(*TRAIN, *QUICK)
    assert alone.code == 0, alone.err
    (trial, losses), (other, expected) = epochs(together), epochs(tmp_path)
    assert trial.name == other.name
    assert losses == pytest.approx(expected, rel=1e-4)
    assert json.loads((trial / "result.json").read_text())["provenance"]["device"] == "2 processes on cpu"
