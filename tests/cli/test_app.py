"""The program as a whole: help, version, names that are wrong, and terminals that know little."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from eailab import __version__
from eailab.cli import app as program
from eailab.cli import commands, output

FULL = Path("/dev/full")


def test_the_version_is_told(eailab):
    assert eailab("--version").out.strip() == f"eailab {__version__}"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands_with_an_example(eailab, option):
    done = eailab(option)
    assert done.code == 0
    assert all(name in done.out for name in ("split", "train-mlp", "train-resnet", "ablate", "report", "Example"))


def test_help_cuts_no_sentence_off(eailab):
    assert "..." not in eailab("-h").out.partition("Commands:")[2]
    assert "..." not in eailab("runs", "-h").out.partition("Commands:")[2]


def test_every_command_shows_an_example(eailab):
    """Help that shows no command to copy is half of a help."""
    listed = re.findall(r"^  ([a-z-]+) ", eailab("-h").out.partition("Commands:")[2], flags=re.MULTILINE)
    assert len(listed) >= 7
    for name in listed:
        text = eailab(name, "-h").out
        assert "Example" in text or "Commands:" in text, name


def test_a_mistyped_command_is_answered_with_the_nearest(eailab):
    done = eailab("train-mpl")
    assert done.code == 2
    assert "train-mlp" in done.err


def test_a_terminal_without_the_signs_shows_question_marks(eailab, tmp_path):
    """An encoding that lacks ± must not end the program after an hour of training."""
    study = "ablate lr 1e-3 1e-2 --recipe digits-mlp --seeds 2 --jobs 1 -o epochs=1"
    assert eailab(*shlex.split(study)).code == 0
    run = subprocess.run(
        [sys.executable, "-m", "eailab", *shlex.split(study)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert b"within ?0.5 pp" in run.stdout


@pytest.mark.parametrize("columns", ["0", "1", "-3", "wide", "", "120"])
def test_a_size_in_which_nothing_could_be_read_is_none(columns, eailab, monkeypatch):
    """With `COLUMNS=0`, as some services set it, tables were empty."""
    monkeypatch.setenv("COLUMNS", columns)
    assert "Usage: eailab [OPTIONS] COMMAND" in eailab("-h").out
    assert os.environ.get("COLUMNS") == ("120" if columns == "120" else None)


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_output_to_a_full_disk_is_an_error_and_no_bug():
    with FULL.open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "eailab", "data", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr.startswith("error: the output could not be written: No space left on device.")
    assert "\n" not in run.stderr.rstrip("\n")


@pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")
def test_closed_streams_are_as_good_as_none():
    """A scheduler may start a program without them; what is printed is then lost, and no bug."""
    command = ["sh", "-c", '"$0" -m eailab diff no/0 no/1 <&- >&-', sys.executable]
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert run.stderr.startswith("error: "), run.stderr
    run = subprocess.run([*command[:2], '"$0" -m eailab recipes list <&- >&- 2>&-', sys.executable], check=False)
    assert run.returncode == 0


LONG = "a" * 300


@pytest.mark.parametrize(
    "command",
    [
        f"ablate lr 1 2 --recipe {LONG} -n",
        f"ablate --study {LONG} -n",
        f"report {LONG}",
        f"report --runs {LONG}",
        f"verify {LONG}.html",
        f"train-mlp --recipe digits-mlp --runs {LONG} -o epochs=1",
        f"explain {LONG} digits-mlp",
        f"recipes copy digits-mlp {LONG}",
        f"runs show {LONG}",
        f"split --recipe digits-mlp -o data.name=./{LONG}",
    ],
)
def test_a_name_longer_than_the_disk_takes_is_one_error(eailab, command):
    """In every option and argument, without a traceback."""
    done = eailab(*command.split())
    assert done.code in (1, 2)
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_a_study_file_may_not_name_a_recipe_longer_than_the_disk_takes(eailab, tmp_path):
    (tmp_path / "s.yaml").write_text(f"recipe: {LONG}\nfactors:\n  - {{factor: lr, levels: [0.1, 0.2]}}\n")
    done = eailab("ablate", "--study", "s.yaml", "-n")
    assert done.code == 2
    assert done.err.startswith("error: ")


@pytest.mark.parametrize(("error", "says"), [(MemoryError(), "ulimit -v"), (OSError(24, "Too many"), "ulimit -n")])
def test_what_the_system_has_no_more_of_is_one_sentence(monkeypatch, capsys, error, says):
    def fail(**_):
        raise error

    monkeypatch.setattr(program, "command_tree", lambda *_: fail)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert says in said
    assert said.count("\n") == 1


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(**_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(program, "command_tree", lambda *_: fail)
    with pytest.raises(RuntimeError, match="a bug"):
        program.main()


@pytest.mark.parametrize("width", [80, 40])
def test_help_fits_a_terminal_however_the_program_was_called(eailab, monkeypatch, width):
    """Help was wrapped for the name `eailab`, and longer names went over the edge."""
    monkeypatch.setattr(commands, "columns", lambda _: width)
    monkeypatch.setattr(output, "program", lambda: "uv run eailab")
    monkeypatch.setattr(commands, "program", lambda: "uv run eailab")
    for command in ("", "ablate", "runs list", "export", "report"):
        said = eailab(*command.split(), "-h").out
        assert max(map(len, said.splitlines())) <= width
        assert "uv run eailab" in said
        assert "\u2011" not in said
        assert "<str>" not in said
