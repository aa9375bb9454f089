"""What commands print: nothing in it is obeyed, and commands are named as this one was called."""

import ast
import re
import sys
from pathlib import Path

import pytest

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
            monkeypatch.setattr(Path, "read_text", lambda self, **_: "\0".join(parent))
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
    assert called(script, path=script.parent, parent=["bash", ""]) == said.format("eailab")
