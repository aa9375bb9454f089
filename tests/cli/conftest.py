"""Run the program as a person does, in a process of its own or in this one."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from eailab.cli import app as program


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def eailab(tmp_path, monkeypatch):
    """Run a command line in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["eailab", *map(str, arguments)])
        runner = CliRunner()
        with runner.isolation() as (out, err, *_):
            try:
                program.main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(bool(end.code))
            return Outcome(code, out.getvalue().decode(), err.getvalue().decode())

    return run


@pytest.fixture
def spawn(tmp_path):
    """Start a command line in an empty folder, as a process."""

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "eailab", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start
