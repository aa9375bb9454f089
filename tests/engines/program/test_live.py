"""What is shown of a program while it runs: its last values, how far it is, and never an error."""

import json
from itertools import count

import pytest

from eailab.engines.base import Reported, Step
from eailab.engines.named_metrics import declare
from eailab.engines.program.live import WINDOW, Live
from eailab.engines.program.reading import ReportingRules, Sources

WANTED = ReportingRules((declare("val_acc"), declare("loss")))


@pytest.fixture
def sources(tmp_path):
    names = ("metrics.jsonl", "stdout.txt", "stderr.txt", "out/metrics.csv")
    (tmp_path / "out").mkdir()
    return Sources(*(tmp_path / name for name in names))


def live(sources, wanted=WANTED, way=None):
    """Return what looks again each time it is asked."""
    return Live(wanted, sources, way, clock=count().__next__)


def test_the_last_line_that_is_whole_counts(sources):
    """A line may come in pieces, and what it counts may stand before it."""
    now = live(sources)
    assert now.last() is None
    now.take(sources.stdout, b"Epoch 2/10\nval_acc 0.81 loss 0.4\nEpoch 3/10\nval_acc 0.")
    assert now.last() == Reported({"val_acc": 0.81, "loss": 0.4}, "epoch", 2, 10)
    now.take(sources.stdout, b"92 loss 0.3\n")
    assert now.last() == Reported({"val_acc": 0.92, "loss": 0.3}, "epoch", 3, 10)


def test_progress_bars_on_standard_error_are_followed_however_long_they_are(sources):
    now = live(sources)
    for step in range(1, 3000):
        now.take(sources.stderr, f"\rstep {step}/3000: 45%|####     | val_acc=0.{step:04}".encode())
    now.take(sources.stderr, b"\r")
    assert now.last() == Reported({"val_acc": 0.2999}, "step", 2999, 3000)
    assert len(now._ends[sources.stderr]) == WINDOW


def test_lines_of_json_and_a_growing_table_are_followed(sources):
    rows = [{"step": step, "val_acc": step / 1000} for step in range(500)]
    sources.log.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + '{"step": 50')
    assert live(sources).last() == Reported({"val_acc": 0.499}, "step", 499)
    sources.log.unlink()
    sources.file.write_text("epoch,val_acc\n1,0.5\n2,0.6\n")
    assert live(sources).last() == Reported({"val_acc": 0.6}, "epoch", 2)


def test_an_expression_says_what_counts(sources):
    now = live(sources, ReportingRules(WANTED.metrics[:1], regex=r"score=(?P<value>\S+)"))
    now.take(sources.stdout, b"val_acc 0.1 score=0.7\n")
    assert now.last() == Reported({"val_acc": 0.7})


def test_later_trials_are_read_as_the_first_was(sources):
    now = live(sources, way="stderr")
    now.take(sources.stdout, b"val_acc 0.1\n")
    assert now.last() is None


@pytest.mark.parametrize("printed", [b"\xff\xfe\x00\n", b"val_acc nan\n", b"val_acc 1,5\n", b"loss 0.1\n"])
def test_what_cannot_be_read_is_not_shown(sources, printed):
    """It is for the end of the program to refuse."""
    now = live(sources)
    sources.log.mkdir()
    now.take(sources.stdout, printed)
    assert now.last() is None


def test_the_share_that_is_done_is_known_with_its_end_alone():
    values = {"val_acc": 0.5}
    assert (Step.own(None).step, Step.own(Reported(values, "epoch", 3)).step) == (0, 0)
    step = Step.own(Reported(values, "epoch", 3, 10))
    assert (step.step, step.steps) == (3, 10)
