"""Identify what runs a person's program: a Python and its packages, as it reports them, a lock file, or a binary."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from eailab import files
from eailab.errors import DataError
from eailab.plain import plain

LOCK_FILES = (
    "uv.lock poetry.lock pdm.lock Pipfile.lock pixi.lock conda-lock.yml requirements.txt Cargo.lock go.sum "
    "Manifest.toml renv.lock package-lock.json flake.lock"
).split()
LAUNCHERS = frozenset(
    "uv poetry pdm pipenv pixi conda mamba micromamba hatch rye bash sh dash zsh fish ksh nice nohup time timeout "
    "taskset numactl stdbuf xargs make just srun mpirun mpiexec docker podman apptainer singularity npx npm nix cargo "
    "go".split()
)
"""Programs that start another one, which their lock file identifies."""

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*(?:\.exe)?")

_PROBE = """
import importlib.util, json, platform, site, sys
from importlib import metadata
packages, elsewhere = {}, {}
sites = [*site.getsitepackages(), site.getusersitepackages()]
by_module = None
for name in sys.argv[1:]:
    try:
        packages[name] = metadata.version(name)
        continue
    except Exception:
        pass
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        spec = None
    if spec is None or spec.origin in ("built-in", "frozen"):
        continue
    if by_module is None:
        by_module = metadata.packages_distributions()
    if name in by_module:
        packages[by_module[name][0]] = metadata.version(by_module[name][0])
    else:
        elsewhere[name] = spec.origin or str(list(spec.submodule_search_locations or [""])[0])
version = platform.python_implementation() + " " + platform.python_version()
print(json.dumps({"version": version, "packages": packages, "elsewhere": elsewhere, "sites": sites}))
"""
"""What a Python reports of itself and of packages, by the names under which code imports them."""


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file; one that has not changed is not read again.

    Raises:
        DataError: It cannot be read.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{plain(str(path))} cannot be read: {error.strerror}.") from error
    return _content_digest(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=1_000_000)
def _content_digest(path: Path, *_state: int) -> str:
    return files.sha256(path, files.ARRAYS)


def program_identity(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], imports: set[str]
) -> tuple[dict[str, str], list[str]]:
    """Return what identifies the program that a command starts, and what is not known of it."""
    words = [word for word in command if not _ASSIGNMENT.match(word) and word != "env"]
    first = words[0] if words else ""
    found = shutil.which(first if os.sep not in first else str(folder / first), path=environment.get("PATH"))
    if found is None:
        return {}, [f"the program {plain(first)} was not found."]
    python = _python_behind(found, environment)
    if python is not None:
        third_party = tuple(sorted(imports - sys.stdlib_module_names - {"eailab", "__main__"}))
        return _python(python, folder, environment, third_party)
    own = {}
    if Path(found).resolve().name not in LAUNCHERS and Path(found).name not in LAUNCHERS:
        own = {Path(found).name: content_digest(Path(found).resolve())}
        if not _shebang(found):
            return own, []
    locked = _lock_files(folder)
    if not locked:
        return own, [
            f"what {plain(first)} starts is not known: it has no lock file here. Its versions are not checked."
        ]
    return {**own, **locked}, []


def _shebang(file: str) -> list[str]:
    """Return the interpreter of a script and its arguments; none of a binary."""
    try:
        with files.opened(Path(file).resolve(), files.ARRAYS) as opened:
            line = opened.readline(512)
    except (OSError, DataError):
        return []
    return line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []


def _python_behind(file: str, environment: Mapping[str, str]) -> str | None:
    """Return the Python that a program is, or that its first line names."""
    if _PYTHON.fullmatch(Path(file).name):
        return file
    words = [word for word in _shebang(file) if not word.startswith("-")]
    if words and Path(words[0]).name == "env":
        words = [shutil.which(word, path=environment.get("PATH")) or "" for word in words[1:2]]
    return words[0] if words and _PYTHON.fullmatch(Path(words[0]).name) else None


_REPORTS: dict[tuple[Any, ...], dict[str, Any]] = {}
"""What a Python has reported, by its path and state, those of its folders of packages, and the names asked for."""


def _python(
    python: str, folder: Path, environment: Mapping[str, str], packages: tuple[str, ...]
) -> tuple[dict[str, str], list[str]]:
    """Return the versions of a Python and of packages, as it reports them."""
    asked = (python, _state(python), packages, environment.get("PYTHONPATH"), str(folder))
    report = _REPORTS.get(asked)
    if report is None or report["states"] != [_state(site) for site in report["sites"]]:
        command = [python, "-c", _PROBE, *packages]
        try:
            done = subprocess.run(  # noqa: S603 - the Python that the person's command starts
                command, cwd=folder, env=dict(environment), capture_output=True, check=True, timeout=120
            )
            report = json.loads(done.stdout.splitlines()[-1])
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            return {}, [f"{plain(python)} did not report its version."]
        report["states"] = [_state(site) for site in report["sites"]]
        _REPORTS[asked] = report
    notes = [
        f"{plain(name)} is imported from {plain(str(Path(path).parent))}, which is not hashed: add --code to name it."
        for name, path in report["elsewhere"].items()
    ]
    return {"python": report["version"], **report["packages"]}, notes


def _state(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _lock_files(folder: Path) -> dict[str, str]:
    """Return the digests of the lock files in the nearest folder that has any, up to the top of its repository."""
    for at in (folder.absolute(), *folder.absolute().parents):
        if found := [name for name in LOCK_FILES if (at / name).is_file()]:
            return {name: content_digest(at / name) for name in found}
        if (at / ".git").exists():
            break
    return {}
