"""What is said while it trains: few plain lines where no picture can be drawn, and the truth when it is stopped."""

import io
import logging
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress

import numba
import numpy as np
import pytest
from plans import one_factor
from scores import scored

from eailab.cli.output import LOG
from eailab.cli.progress import SILENCE_SECONDS, Watch, can_move_cursor
from eailab.cli.stopping import what_is_kept
from eailab.engines.base import Step
from eailab.engines.numpy_mlp.compiling import reporting_compilation
from eailab.recipe.load import Override, load
from eailab.report import write
from eailab.runs.context import Compiling, Ended, EpochEnded, Failed, RunContext, Started, Stepped, Waiting
from eailab.runs.records import Epoch
from eailab.studies.plan import plan

SCORES = scored((0.5, 0.9), (0.5, 0.9))
SMALL = ("ablate", "lr", "1e-3", "1e-2", "--recipe", "digits-mlp", "-o", "epochs=2", "--seeds", "2", "--jobs", "1")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def study(tmp_path):
    recipe = load("digits-mlp", [Override("epochs", 2, "-o")]).recipe
    return plan(one_factor(recipe, "batch-size", [16, 32], (0, 1)), RunContext(tmp_path))


@pytest.fixture
def watch(study, clock):
    LOG.setLevel(logging.INFO)
    return Watch([study], lambda: clock[0])


def train(watch, name, clock, seconds=10.0):
    """Let one trial of two epochs go by."""
    watch(Started(name, "cpu", 1, 2, 0))
    for epoch in (1, 2):
        clock[0] += seconds
        watch(EpochEnded(name, Epoch(epoch, SCORES), seconds))
    watch(Ended(name, "finished", SCORES))


def test_another_process_is_named_once_a_study(watch, study, capsys):
    """One line for each of 498 trials told nothing more."""
    for trial in study.trials:
        watch(Waiting(trial.fingerprint))
    said = capsys.readouterr().err
    assert said.count("another process is training trials of") == 1
    assert study.record.study.name in said


# --- where there is a picture ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {"TERM": "xterm-256color"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (Terminal(), {"TERM": "dumb"}, os.name == "nt"),
        (Terminal(), {}, os.name == "nt"),
        (Terminal(), {"TERM": "xterm-color", "JPY_PARENT_PID": "1"}, False),
        (io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_a_picture_is_drawn_only_where_the_cursor_can_move(stream, environment, expected):
    assert can_move_cursor(stream, environment) is expected


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
def test_a_terminal_gets_a_picture_and_is_left_as_it_was(eailab, tmp_path):
    """80 by 24, a name that rich could take for markup, and an odd value of COLUMNS."""
    import pty
    import termios

    eailab("recipes", "copy", "digits-mlp", "r.yaml")
    text = (tmp_path / "r.yaml").read_text()
    (tmp_path / "r.yaml").write_text(re.sub("(?m)^name: .*$", "name: '[/b] [red]x'", text))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", "eailab", *SMALL, "--recipe", "r.yaml"],
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "0"},
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    with suppress(OSError):  # the other end was closed
        while chunk := os.read(ours, 65536):
            drawn += chunk
    os.close(ours)
    assert process.wait(30) == 0, drawn
    said = drawn.decode()
    assert "\x1b[1A" in said
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 2  # the cursor is hidden, and shown again
    assert "[/b] [red]x-lr (interim: no verdict yet)" in said


# --- lines -----------------------------------------------------------------------------------------------------------


def test_a_finished_trial_is_one_line_with_what_is_left(watch, study, clock, capsys):
    first, second, *_ = study.record.trials.values()
    train(watch, first, clock)
    train(watch, second, clock)
    assert capsys.readouterr().err.splitlines() == [
        "device: cpu (1 CPU thread a trial)",
        "1 of 4 trials: batch_size 16, block 0: validation 90.00%, about 60 s left",
        "2 of 4 trials: batch_size 32, block 0: validation 90.00%, about 40 s left",
    ]


def test_within_a_long_epoch_a_line_comes_every_half_minute(watch, study, clock, capsys):
    first = study.record.trials[0, 0]
    watch(Started(first, "cpu", 1, 2, 0))
    capsys.readouterr()
    for step in range(1, 100):
        clock[0] += 1.0
        watch(Stepped(first, 1, Step(step, 1000, None)))
        watch.say_if_silent()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0] == "0 of 4 trials, about 2 h 15 min left; batch_size 16, block 0: epoch 1/2, 3%"
    assert said[2] == "0 of 4 trials, about 2 h 10 min left; batch_size 16, block 0: epoch 1/2, 9%"


def test_many_in_training_are_counted(watch, study, clock, capsys):
    for name in study.record.trials.values():
        watch(Started(name, "cpu", 1, 2, 0))
    clock[0] += SILENCE_SECONDS
    capsys.readouterr()
    watch.say_if_silent()
    said = capsys.readouterr().err
    assert said.count("epoch 1/2") == 3
    assert said.endswith("; 1 more in training\n")


def test_an_epoch_has_a_line_only_when_asked_for(watch, study, clock, capsys, eailab):
    first = study.record.trials[0, 0]
    LOG.setLevel(logging.DEBUG)
    train(watch, first, clock)
    assert "batch_size 16, block 0: epoch 2/2  train loss 0.5000 accuracy 90.00%" in capsys.readouterr().err


def test_quiet_says_what_goes_wrong_and_nothing_else(study, clock, capsys):
    LOG.setLevel(logging.WARNING)
    with Watch([study], lambda: clock[0]) as watch:
        train(watch, study.record.trials[0, 0], clock)
        watch(Failed(study.record.trials[1, 0], "a bug", 1))
        watch.stage("drawing 2 figures", 2)
        watch.advance()
    assert capsys.readouterr().err == "batch_size 32, block 0: failed: a bug\n"


def test_quiet_and_verbose_change_what_is_said_and_not_what_is_answered(eailab):
    loud = eailab(*SMALL, "-v", "--runs", "loud")
    assert loud.code == 0, loud.err
    assert loud.err.count("epoch 2/2") == 4
    quiet = eailab(*SMALL, "-q", "--runs", "quiet")
    assert [line for line in quiet.err.splitlines() if not line.startswith("note: two blocks")] == []
    assert quiet.out.replace("quiet", "loud") == loud.out


@pytest.mark.parametrize(
    "command",
    [["train-mlp"], ["train-resnet"], ["ablate", "lr", "1"], ["noise"], ["explain", "digits-mlp", "mnist-mlp"]],
)
def test_every_command_that_trains_can_be_quiet_or_verbose(eailab, command):
    assert "--verbose and --quiet exclude each other" in eailab(*command, "-v", "-q").err


def test_colours_that_are_forced_draw_no_picture_into_a_file(eailab, monkeypatch):
    """Continuous integration sets FORCE_COLOR; a log that moves a cursor is 450 lines long."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = eailab(
        "ablate", "lr", "1e-3", "1e-2", "--recipe", "digits-mlp", "-o", "epochs=2", "--seeds", "2", "--jobs", "1"
    )
    assert "\x1b" not in done.err
    assert len([line for line in done.err.splitlines() if "trials: " in line]) == 1 + 4


def test_compiling_is_said_once(watch, study, capsys):
    for name in study.record.trials.values():
        watch(Started(name, "cpu", 1, 2, 0))
        watch(Compiling(name))
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == ["compiling the numpy engine, once for this kind of network: about 15 s"]


def test_only_what_is_really_compiled_is_reported():
    @numba.njit
    def twice(value):
        return 2.0 * value

    reported, seconds = [], []
    with reporting_compilation(lambda: reported.append("first"), seconds.append):
        twice(1.0)
        twice(1)
    with reporting_compilation(lambda: reported.append("again"), seconds.append):
        twice(3.0)
    assert reported == ["first"]
    assert len(seconds) == 2
    assert min(seconds) > 0.0


def test_figures_are_work_with_a_progress_of_its_own(watch, clock, capsys):
    watch.stage("drawing 498 figures", 498)
    for _ in range(120):
        clock[0] += 1.25
        watch.advance()
        watch.say_if_silent()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "drawing 498 figures"
    assert said[1] == "drawing 498 figures: 24 done, about 10 min left"
    assert len(said) == 6


def test_who_waits_long_on_a_cpu_is_told_once_of_small_data(tmp_path, clock, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["eailab", "ablate", "lr", "1e-3", "1e-2"])
    x, y = np.arange(60, dtype=np.uint8).reshape(20, 1, 3), np.arange(20) % 2
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    changes = {"epochs": 2, "batch_size": 4, "data.name": str(tmp_path / "mine.npz")}
    recipe = load("digits-mlp", [Override(name, value, "-o") for name, value in changes.items()]).recipe
    mine = plan(one_factor(recipe, "lr", [1e-3, 1e-2], (0, 1)), RunContext(tmp_path))
    LOG.setLevel(logging.INFO)
    watch = Watch([mine], lambda: clock[0])
    for name in mine.record.trials.values():
        train(watch, name, clock, 500.0)
    said = capsys.readouterr().err
    assert said.count("on this CPU. Quicker, on small images:\n  eailab ablate lr 1e-3 1e-2 --recipe digits-mlp") == 1


# --- stopping --------------------------------------------------------------------------------------------------------


def stop_at(monkeypatch, module, name, number=signal.SIGINT):
    """Let a signal come as a function is called."""
    called = getattr(module, name)

    def stopped(*arguments, **others):
        os.kill(os.getpid(), number)
        return called(*arguments, **others)

    monkeypatch.setattr(module, name, stopped)


GOES_ON = "The same command continues:\n  eailab ablate lr 1e-3"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_report_is_written_names_the_command_that_goes_on(eailab, monkeypatch, number, code):
    with monkeypatch.context() as patch:
        stop_at(patch, write, "write_study", number)
        done = eailab(*SMALL)
    assert done.code == code
    assert f"stopped. {GOES_ON}" in done.err
    assert "Traceback" not in done.err
    assert eailab(*SMALL).code == 0


def test_what_is_said_to_be_kept_is_what_the_store_has(eailab, monkeypatch):
    """It promised checkpoints where there were none."""

    def stop_in(epoch):
        reported = Watch.__call__

        def stopped(watch, event):
            reported(watch, event)
            if isinstance(event, EpochEnded) and event.epoch.number == epoch:
                os.kill(os.getpid(), signal.SIGINT)

        return stopped

    train = ("train-mlp", "--recipe", "digits-mlp", "--epochs", "50", "--checkpoint-every", "2")
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "__call__", stop_in(3))
        done = eailab(*train)
    assert done.code == 130
    assert "stopped. digits-mlp, block 0: kept up to epoch" in done.err
    kept = re.search(r"kept up to (epoch \d+(?:, step \d+)?)", done.err)[1]
    again = eailab(*train)
    assert f"continues after {kept}" in again.err


def test_nothing_kept_is_said_too(watch, study, tmp_path):
    watch(Started(study.record.trials[0, 0], "cpu", 1, 2, 0))
    assert what_is_kept(watch.trials, RunContext(tmp_path)) == (
        "stopped: 0 of 4 trials have ended and are kept.\nbatch_size 16, block 0: nothing of it is kept yet."
    )


def test_a_second_ctrl_c_says_so_too(spawn):
    """The first is taken up between two steps; a trial that is evaluated for long need not be waited for."""
    process = spawn("train-mlp", "--recipe", "digits-mlp", "-o", "epochs=10000", "-v")
    for line in process.stderr:
        if "epoch 2/" in line:
            break
    process.send_signal(signal.SIGSTOP)  # so that both come before the first is taken up
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=30)
    assert process.returncode in {-signal.SIGINT, 130, 143}
    assert "stopped. digits-mlp, block 0:" in err
    assert "The same command continues:" in err
