"""What installs a missing library: packages with their bounds, never a name that a stranger could register."""

import re
import shlex
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from eailab import extras

DECLARED = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def bounds(requirement):
    """A name and its bounds, in any order."""
    name, limits = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    return name, set(limits.split(","))


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("extra", DECLARED)
def test_the_command_installs_what_the_project_declares(extra, installed, monkeypatch):
    if not installed:
        monkeypatch.setattr(extras, "requires", lambda _: (_ for _ in ()).throw(PackageNotFoundError))
    words = shlex.split(extras.install_command(extra))
    packages = words[words.index("install") + 1 :]
    packages = packages[2:] if packages[0] == "--python" else packages
    assert sorted(map(bounds, packages)) == sorted(map(bounds, DECLARED[extra]))
    assert "eailab" not in {bounds(package)[0] for package in packages}


@pytest.mark.parametrize("pip", [True, False])
def test_the_command_is_one_that_this_environment_has(pip, monkeypatch):
    """An environment that uv made has no pip."""
    monkeypatch.setattr(extras, "find_spec", lambda name: object() if pip else None)
    monkeypatch.setattr(extras.shutil, "which", lambda name: None)
    expected = f"{sys.executable} -m pip install " if pip else f"uv pip install --python {sys.executable} "
    assert extras.install_command("onnx").startswith(expected)


def test_no_document_or_message_names_an_extra_of_a_package_on_an_index():
    """`pip install "eailab[onnx]"` fetches whatever has that name there."""
    root = Path(__file__).parents[1]
    files = [
        *root.glob("*.md"),
        *root.glob("docs/**/*.md"),
        *root.glob("eailab/**/*.py"),
        *root.glob("benchmarks/*.py"),
    ]
    named = [
        file
        for file in files
        if re.search(r"(?:pip|pipx|uvx|uv tool) install \"?eailab\b|eailab\[[a-z]", file.read_text("utf-8"))
    ]
    assert named == []
