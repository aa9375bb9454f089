"""What commands print: nothing in it is obeyed, and commands are named as this one was called."""

import ast
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eailab.cli
from eailab.cli import output

FILES = sorted(Path(eailab.cli.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_commands_print_through_one_function(file):
    """A command that prints by another way prints names as they are, escapes and all."""
    if file.name == "output.py":
        return
    used = {ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)}
    assert not used & {"typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write"}  # ruff refuses print


def test_nothing_that_is_printed_is_obeyed(capsys):
    output.echo("a\x1b[31mb\u202ec\n\udcb2\u200b")
    assert capsys.readouterr().out == "a\ufffd[31mb\ufffdc\n\\xb2\ufffd\n"


def test_every_command_is_known_where_advice_names_it(eailab):
    listed = re.findall(r"^  ([a-z-]+) ", eailab("-h").out.partition("Commands:")[2], flags=re.MULTILINE)
    assert set(listed) <= set(output.COMMANDS)


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Say how the program was called: the words before the command, and the folders on the path."""

    def call(script, *, python="python3", path=None, parent=None):
        monkeypatch.setattr(sys, "argv", [str(script), "ablate"])
        monkeypatch.setattr(sys, "orig_argv", [python, "-m", "eailab", "ablate"])
        monkeypatch.setenv("PATH", str(path or tmp_path))
        monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
        if parent is not None:
            monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
            of_parent = {"cmdline": "\0".join(parent), "environ": f"HOME=/\0PATH={path}\0"}
            monkeypatch.setattr(Path, "read_text", lambda self, **_: of_parent[self.name])
        return output.as_called("`eailab runs list` names them; eailab scales them.\n  eailab ablate lr 1 2")

    return call


def test_advice_names_the_program_as_it_was_called(called, tmp_path):
    """`eailab: command not found` is the worst of all answers to advice that was followed."""
    script = tmp_path / "bin" / "eailab"
    script.parent.mkdir()
    script.write_text("")
    script.chmod(0o755)
    said = "`{0} runs list` names them; eailab scales them.\n  {0} ablate lr 1 2"
    assert called("eailab") == said.format("eailab")
    assert called(script, path=script.parent) == said.format("eailab")
    assert called(script) == said.format(script)
    assert called("x/eailab/__main__.py", python="/opt/py/bin/python") == said.format("/opt/py/bin/python -m eailab")
    uv = ["/usr/bin/uv", "run", "--no-sync", "eailab", "ablate", ""]
    assert called(script, path=script.parent, parent=uv) == said.format("/usr/bin/uv run --no-sync eailab")
    uv[3:3] = ["--with", "eailab"]
    named = "/usr/bin/uv run --no-sync --with eailab eailab"
    assert called(script, path=script.parent, parent=uv) == said.format(named)
    assert called(script, path=script.parent, parent=["bash", ""]) == said.format("eailab")


def test_uv_on_the_path_is_named_alone(called, tmp_path):
    """A launcher such as pyenv's starts uv by a path of its own, which a person never typed."""
    script, uv = tmp_path / "bin" / "eailab", tmp_path / "bin" / "uv"
    script.parent.mkdir()
    for file in (script, uv):
        file.write_text("")
        file.chmod(0o755)
    other = tmp_path / "other" / "uv"
    other.parent.mkdir()
    other.symlink_to(uv)
    for path, word, named in (
        (uv.parent, str(uv), "uv"),
        (other.parent, str(uv), "uv"),
        (tmp_path, str(uv), str(uv)),
        (uv.parent, "uv", "uv"),
        (uv.parent, "./gone/uv", "./gone/uv"),
    ):
        said = called(script, path=path, parent=[word, "run", "-q", "eailab", "ablate", ""])
        assert said.splitlines()[-1] == f"  {named} run -q eailab ablate lr 1 2"


# --- layout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 40, 25])
def test_sentences_are_wrapped_at_words_and_commands_are_left_whole(width):
    text = "error: the trial `eailab runs list` shows is gone: do what follows here\n  eailab runs rm a/0 b/0 c/0"
    lines = output.wrapped(text, width, 2).split("\n")
    assert lines[-1] == "  eailab runs rm a/0 b/0 c/0"
    assert max(map(len, lines[:-1])) <= width
    assert " ".join(map(str.strip, lines[:-1])) == text.split("\n", maxsplit=1)[0]
    assert any("`eailab runs list`" in line for line in lines)


def test_nothing_is_wrapped_in_a_pipe_and_sentences_are_on_a_terminal(capsys, monkeypatch):
    text = "one two three four five six seven eight nine ten"
    output.echo(text, err=True)
    monkeypatch.setattr(output, "columns", lambda _: 20)
    output.echo(text, err=True)
    output.echo(text, hang=4)
    output.echo(text)
    out, err = capsys.readouterr()
    assert err.startswith(f"{text}\none two three four\n  five six")
    assert out == "one two three four\n    five six seven\n    eight nine ten\n" + text + "\n"


# --- JSON ------------------------------------------------------------------------------------------------------------

QUICK = "--recipe digits-mlp -o epochs=1 -o model.hidden=[4] -o data.limit=64 --seeds 1 --jobs 1"


def test_all_json_is_one_object_with_its_version(eailab, tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "seven.png")
    commands = [
        f"ablate lr 1e-3 1e-2 {QUICK} --json",
        f"ablate lr 1e-3 1e-2 {QUICK} --dry-run --json",
        "data list --json",
        "data check digits --json",
        "diff 0.001/0 0.01/0 --json",
        "explain digits-mlp mine.yaml --dry-run --json",
        "export 0.01/0 --to safetensors --json",
        "predict 0.01/0 seven.png --json",
        "recipes list --json",
        "recipes show digits-mlp --json",
        "report --format json --json",
        "runs list --json",
        "runs show 0.01/0 --json",
        "runs verify --json",
        "split --recipe digits-mlp --json",
        "split --recipe digits-mlp --check --json",
        "studies list --json",
        "studies show digits-mlp-lr --json",
        "verify report/report.json --json",
    ]
    assert eailab("recipes", "copy", "digits-mlp", "mine.yaml").code == 0
    (tmp_path / "mine.yaml").write_text((tmp_path / "mine.yaml").read_text().replace("relu", "tanh"))
    for command in commands:
        done = eailab(*command.split())
        assert done.code == 0, (command, done.err)
        assert json.loads(done.out)["schema_version"] >= 1, command
