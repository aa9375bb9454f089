"""The page "Your own training program" is right: its example runs, and its lists are those of the code."""

import re
import shlex
from pathlib import Path

import pytest

from eailab.engines.program.identity import PYTHON, SETTINGS, SOURCES

PAGE = (Path(__file__).parents[2] / "docs" / "own-program.md").read_text(encoding="utf-8")
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = re.findall(r"^eailab (.*)$", PAGE, flags=re.MULTILINE)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the page's program, in which commands are started."""
    (tmp_path / "train.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)


def test_the_example_runs(project, eailab):
    """Every command, one after the other, as a reader would copy them but for fewer seeds."""
    said = [eailab(*shlex.split(command.replace("--seeds 5", "--seeds 2")), "--jobs", "1") for command in COMMANDS]
    assert [done.code for done in said] == [0] * len(COMMANDS), [done.err for done in said if done.code]


def test_every_suffix_of_a_source_is_listed():
    assert set(re.findall(r"\.[a-z]+\d*\b(?=[ `\n])", PAGE)) >= PYTHON | SOURCES | SETTINGS
