"""Name the command that installs the libraries of an extra, which few commands need.

The names and bounds are those of `pyproject.toml`, as installed. `eailab[…]` itself is never advised: on an index the
name may be a stranger's.
"""

import re
import shlex
import shutil
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path


def install_command(extra: str) -> str:
    """Return the command that installs the libraries of an extra into this Python's environment."""
    executable = shlex.quote(sys.executable)
    if find_spec("pip") is None:  # an environment that uv made
        begin = f"uv pip install --python {executable}"
    else:
        begin = f"{'python' if shutil.which('python') == sys.executable else executable} -m pip install"
    return " ".join([begin, *(f'"{requirement}"' for requirement in requirements(extra))])


def requirements(extra: str) -> list[str]:
    """Return the libraries of an extra with their bounds, such as `onnx>=1.18`.

    Raises:
        KeyError: There is no such extra.
    """
    try:
        declared = requires("eailab") or []
    except PackageNotFoundError:  # run from a checkout, without an installation
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return list(project["optional-dependencies"][extra])
    found = [match[1].strip() for one in declared if (match := re.fullmatch(rf"(.*);\s*extra == .{extra}.", one))]
    if not found:
        raise KeyError(extra)
    return found
