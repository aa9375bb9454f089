"""Run submitted code in a process of its own, with limits on time, memory and files. It is not a sandbox.

The code keeps the rights of whoever grades: it can read files and use the network. Walls around it are for the machine.
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eailab import files
from eailab.engines.program.process import last_lines, run_program
from eailab.engines.program.watchdog import MARK
from eailab.errors import UsageError
from eailab.labs import limiting
from eailab.labs.rubric import Limits
from eailab.recipe.template import FilledCommand


@dataclass(frozen=True)
class LimitedRun:
    """Describe how limited code ended."""

    result: Mapping[str, Any] | None
    """The JSON document that it printed last; None where there is none."""
    code: int
    why: str
    """In words why there is no result; empty where there is one."""


def run_limited(arguments: Sequence[str], folder: Path, limits: Limits) -> LimitedRun:
    """Run a module of eailab on a copy of a submission, all but its `runs` and `figures`, with limits.

    Raises:
        UsageError: The submission has something else than files, folders and links.
    """

    def ignored(at: str, names: list[str]) -> set[str]:
        return {"runs", "figures"} & set(names) if Path(at) == folder else set()

    with TemporaryDirectory(prefix="eailab-submitted-") as name:
        place = Path(name)
        (place / "home").mkdir()
        try:
            shutil.copytree(folder, place / "copy", symlinks=True, ignore=ignored)
        except (OSError, shutil.Error) as error:
            raise UsageError(f"{folder} cannot be copied to run its code: {error}") from error
        bounds = f"{limits.seconds},{limits.memory_mb},{limits.file_mb}"
        argv = (sys.executable, "-I", "-S", limiting.__file__, MARK, bounds, *arguments)
        command = FilledCommand(argv, {"HOME": str(place / "home")})
        outputs = place / "stdout", place / "stderr"
        ended = run_program(command, {}, *outputs, folder=str(place / "copy"), timeout=float(limits.seconds))
        text = files.read(outputs[0], files.OUTPUT).decode(errors="replace").strip()
        last = last_lines(outputs[1]).strip().splitlines()
    if ended.has_timed_out:
        return LimitedRun(None, ended.code, f"it was ended after {limits.seconds} s")
    try:
        result = json.loads(text.splitlines()[-1])
        if not isinstance(result, dict):
            raise ValueError(result)
    except (ValueError, IndexError):
        said = f": {last[-1]}" if last else ""
        return LimitedRun(None, ended.code, f"it ended with {ended.code} and without a result{said}")
    return LimitedRun(result, ended.code, "")
