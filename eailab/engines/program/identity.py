"""Identify what a program's result can depend on: its code, the data that its user names, and what runs it."""

import ast
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Self

from eailab import files
from eailab.engines.program.launched import content_digest, program_identity
from eailab.errors import UsageError
from eailab.own_code.identity import imported_modules, tree_digest
from eailab.plain import plain
from eailab.recipe.describe import nearest
from eailab.units import size

PYTHON = frozenset({".py", ".pyi", ".pyw"})
"""Hashed by syntax tree: comments, blank lines and the width of indents change nothing."""
SOURCES = frozenset(
    ".bash .c .cc .cpp .cs .cu .cuh .cxx .f .f90 .go .h .hh .hpp .hs .java .jl .js .kt .lua .m .mjs .ml .nim .pl .pxd "
    ".pyx .r .rb .rs .scala .sh .swift .ts .zig .zsh".split()
)
"""Hashed by content."""
SETTINGS = frozenset(".cfg .gin .ini .json .toml .yaml .yml".split())
"""Hashed by content; programs also write such files, which are not part of their identity."""
EVERY_SUFFIX = PYTHON | SOURCES | SETTINGS
LARGEST_SETTINGS = files.MB
"""A larger file of settings is taken for data."""
MOST_FILES, MOST_ENTRIES, MOST_BYTES = 10_000, 200_000, 256 * files.MB
"""Of source files, of all files in a folder without git, and of all source files together."""

_SKIPPED = {"__pycache__", "node_modules", "site-packages"}


@dataclass(frozen=True)
class Identity:
    """Hold what a program's result can depend on, besides its command and seed."""

    code: Mapping[str, str]
    """Digests of files by path, below the working folder or as the command names them."""
    data: Mapping[str, str]
    """Digests of content, by path as it was given."""
    program: Mapping[str, str]
    """Versions of a Python and its packages, or digests of a lock file or of the program; empty where not known."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What is not known or not hashed."""

    @cached_property
    def fingerprint(self) -> str:
        """Return 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()

    def record(self) -> dict[str, dict[str, str]]:
        """Return the record that `read` takes."""
        return {"code": dict(self.code), "data": dict(self.data), "program": dict(self.program)}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Return the identity that a record holds.

        Raises:
            ValueError: It is not one.
        """
        parts = [record.get(name) for name in ("code", "data", "program")]
        for part in parts:
            if not isinstance(part, dict) or any(type(text) is not str for text in (*part, *part.values())):
                raise ValueError("it does not have code, data and program")
        return cls(*parts)  # type: ignore[arg-type]  # checked above


def identify(
    command: Sequence[str],
    folder: Path,
    *,
    code: Sequence[str] = (),
    data: Sequence[str] = (),
    excluded: Collection[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Identity:
    """Return the identity of a program as its files are now. Files that have not changed are not read again.

    Args:
        command: Its words, placeholders included.
        folder: In which it is started.
        code: Files and folders that are its code; by default, the sources below the folder that git tracks or would
            add, and the sources that the command names.
        data: Files and folders that it reads.
        excluded: Files and folders that are not code, such as the runs folder.
        environment: Of the program.

    Raises:
        UsageError: A path of `code` or `data` does not exist, or the code is too large.
        DataError: A file cannot be read.
    """
    notes: list[str] = []
    folder = Path(os.path.normpath(folder.absolute()))
    outside = frozenset(os.path.normpath(path.absolute()) for path in excluded)
    if code:
        paths = dict(_named(code, folder, outside, notes))
    else:
        paths = {**_sources(folder, outside, notes), **dict(_words_that_are_files(command, folder))}
    kept = {name: path for name, path in paths.items() if not _is_within(path, outside)}
    digests, imports = _hashed(kept, folder, notes, is_named=bool(code))
    environment = os.environ if environment is None else environment
    local = frozenset[str]().union(*map(_modules, kept))
    program, unknown = program_identity(command, folder, environment, imports - local)
    return Identity(digests, _data(data, folder), program, (*notes, *unknown))


def written_while_running(before: Identity, after: Identity) -> list[str]:
    """Return which files of code a program has written or removed while it ran: they are not part of its identity.

    These are new files, and files of settings that are different now. A program does not change its own sources.
    """
    names = {*before.code, *after.code}
    different = (name for name in names if before.code.get(name) != after.code.get(name))
    return sorted(name for name in different if name not in before.code or _suffix(name) in SETTINGS)


def changed_while_running(before: Identity, after: Identity) -> list[str]:
    """Return in words what a person has changed while a program ran, so that it is not known which of both it has used.

    A lock file that has appeared is none of these, since launchers such as `uv run` write it before they start the
    program; nor is a package that only code imports which the program has written.
    """
    written = set(written_while_running(before, after))
    code = {name: digest for name, digest in after.code.items() if name not in written}
    had = {name: digest for name, digest in before.code.items() if name not in written}
    program = {name: version for name, version in after.program.items() if name in before.program}
    return changes(Identity(had, before.data, before.program), Identity(code, after.data, program))


def changes(before: Identity, after: Identity) -> list[str]:
    """Return in words what differs between two identities."""
    found = []
    for old, new in ((before.code, after.code), (before.data, after.data)):
        found += [f"{plain(path)} has changed" for path in new if path in old and new[path] != old[path]]
        found += [f"{plain(path)} is new" for path in new if path not in old]
        found += [f"{plain(path)} is gone" for path in old if path not in new]
    for name in sorted({*before.program, *after.program}):
        was, now = (plain(one.program.get(name, "not there"))[:40] for one in (before, after))
        if was != now:
            found.append(f"{name}: {was} before, {now} now" if len(now) < 40 > len(was) else f"{name} has changed")
    return found


# --- which files are the code


def _sources(folder: Path, outside: frozenset[str], notes: list[str]) -> dict[str, str]:
    """Return the source files below a folder, by their paths there."""
    is_in_git = any((one / ".git").exists() for one in (folder, *folder.parents))
    listed = (is_in_git and _listed_by_git(folder, outside, notes)) or _listed_by_walking(str(folder), outside)
    return {name: f"{folder}/{name}" for name in listed if _suffix(name) in EVERY_SUFFIX}


def _is_within(path: str, folders: Collection[str]) -> bool:
    return any(path == one or path.startswith(f"{one}{os.sep}") for one in folders)


def _listed_by_git(folder: Path, outside: Iterable[str], notes: list[str]) -> list[str]:
    """Return the files that git tracks or would add; none where there is no git or it has none with a source suffix.

    Folders below it that are not code are not looked into: a store has more files than most projects.
    """
    below = sorted(os.path.relpath(path, folder) for path in outside if _is_within(path, [str(folder)]))
    skipped = [f":(exclude,literal){name}" for name in below if name != "." and (folder / name).is_dir()]
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    command += ["--", ".", *skipped] if skipped else []
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)  # noqa: S603 - git, on a folder
    except (OSError, subprocess.SubprocessError):
        notes.append(f"git does not list the files of {plain(str(folder))}: all sources below it count as code.")
        return []
    names = sorted(set(map(os.fsdecode, done.stdout.split(b"\0"))) - {""})
    notes += [
        f"{plain(name)} is another git repository, whose code is not hashed: add --code to name it."
        for name in names
        if name.endswith("/")
    ]
    found = [name for name in names if not name.endswith("/")]
    return found if any(_suffix(name) in PYTHON | SOURCES for name in found) else []


def _listed_by_walking(top: str, outside: frozenset[str]) -> list[str]:
    """Return the files below a folder, without hidden ones and those of environments.

    Raises:
        UsageError: There are too many to look at.
    """
    found: list[str] = []
    entries = 0
    for at, folders, names in os.walk(top):
        below = f"{at[len(top) + 1 :]}/" if len(at) > len(top) else ""
        folders[:] = [one for one in sorted(folders) if _may_hold_code(at, one, outside)]
        entries += len(names)
        if entries > MOST_ENTRIES:
            raise UsageError(
                f"{plain(top)} has more than {MOST_ENTRIES:,} files, and git does not say which are code: "
                "name the files or folders of code with --code, or start eailab in the folder of the program."
            )
        found += [below + name for name in sorted(names) if not name.startswith(".")]
    return found


def _may_hold_code(at: str, name: str, outside: frozenset[str]) -> bool:
    """Return whether to look into a folder."""
    path = f"{at}{os.sep}{name}"
    is_other = name.startswith(".") or name in _SKIPPED or path in outside
    return not is_other and not Path(path, "pyvenv.cfg").exists()


def _named(paths: Iterable[str], folder: Path, outside: frozenset[str], notes: list[str]) -> Iterator[tuple[str, str]]:
    """Return the files that `--code` names: files whatever their suffix, and the sources of folders."""
    for name in paths:
        path = Path(os.path.normpath(_existing(name, folder, "--code")))
        if path.is_dir():
            inside = _sources(path, outside, notes)
            if not inside:
                raise UsageError(f"--code {plain(name)}: the folder has no source files.")
            yield from ((f"{name.rstrip('/')}/{one}", file) for one, file in inside.items())
        else:
            yield name, str(path)


def _existing(name: str, folder: Path, option: str) -> Path:
    path = folder / name
    if not path.exists():
        near = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(f"{option} {plain(name)}: there is no such file or folder{nearest(path.name, near)}.")
    return path


def _words_that_are_files(command: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """Return the sources that a command names and that are not below the folder, or not where git adds them."""
    for word in command:
        path = folder / word
        if "\0" not in word and len(word) < 4096 and _suffix(word) in EVERY_SUFFIX and path.is_file():
            real = path.resolve()
            inside = real.is_relative_to(folder.resolve())
            yield (real.relative_to(folder.resolve()).as_posix() if inside else word), os.path.normpath(path)


@lru_cache(maxsize=4 * MOST_FILES)
def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    is_suffix = dot and stem and not stem.endswith("/") and "/" not in suffix
    return f".{suffix.lower()}" if is_suffix else ""


@lru_cache(maxsize=2 * MOST_FILES)
def _modules(name: str) -> frozenset[str]:
    """Return the names of modules and packages that a file of code is, or lies in."""
    path = PurePosixPath(name)
    return frozenset((path.stem, *path.parent.parts)) if _suffix(name) in PYTHON else frozenset()


# --- their digests


_OF_EAILAB = (
    (rb"(?m)^name: ", rb"(?m)^engine: *(?:program|function|numpy-mlp|torch-resnet) *$"),
    (rb"(?m)^recipe: ", rb"(?m)^factors:"),
    (
        rb"\A\{\s*\"schema_version\": *\d+,\s*\"(?:studies\":|error\": *\{\s*\"what\":|holds\":|verdict\":"
        rb"|name\": *\"[^\"]*\",\s*\"fingerprint\":)",
    ),
)
"""Patterns by which eailab's own files are known: recipes, study files, and reports and output of commands in JSON.

They are not code of a program: what a trial depends on in a recipe or study file is part of its command."""


def _hashed(
    paths: Mapping[str, str], folder: Path, notes: list[str], *, is_named: bool
) -> tuple[dict[str, str], set[str]]:
    """Return the digests of files, and what they import; files of eailab's own count only where a person names code."""
    digests: dict[str, str] = {}
    imports: set[str] = set()
    total = 0
    for name in sorted(paths):
        try:
            stat = os.stat(paths[name])  # noqa: PTH116 - of thousands of files, at each trial
        except OSError:
            continue  # git lists a file that was removed
        if _suffix(name) in SETTINGS and stat.st_size == 0 and not is_named:
            continue  # such as the file that the shell has made for this command's `--json`
        if _suffix(name) in SETTINGS and stat.st_size > LARGEST_SETTINGS:
            notes.append(
                f"{plain(name)} has {size(stat.st_size)} and is not hashed: if results depend on it, add --data."
            )
            continue
        total += stat.st_size
        if total > MOST_BYTES or len(digests) >= MOST_FILES:
            raise UsageError(
                f"the code below {plain(str(folder))} has more than {MOST_FILES:,} files or {size(MOST_BYTES)}: "
                "name the files or folders that matter with --code."
            )
        digest, imported, is_ours = _digest(paths[name], stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if not is_ours or is_named:
            digests[name] = digest
        imports |= imported
    return digests, imports


@lru_cache(maxsize=2 * MOST_FILES)
def _digest(path: str, *_state: int) -> tuple[str, frozenset[str], bool]:
    """Return the digest of a file of code in its present state, the packages that it imports, and if it is eailab's."""
    content = files.read(Path(path), files.CODE)
    if _suffix(path) in PYTHON:
        try:
            tree = ast.parse(content)
            packages = (name.partition(".")[0] for name in imported_modules(tree) if not name.startswith("."))
            return tree_digest(tree), frozenset(packages), False
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass  # of another version of Python: by its bytes
    is_ours = _suffix(path) in SETTINGS and any(all(re.search(one, content) for one in kind) for kind in _OF_EAILAB)
    return hashlib.sha256(content).hexdigest(), frozenset(), is_ours


def _data(paths: Iterable[str], folder: Path) -> dict[str, str]:
    """Return the digests of data by their content: of a file, or of the names and contents of a folder's files."""
    digests = {}
    for name in paths:
        path = _existing(name, folder, "--data")
        if path.is_dir():
            parts = [(one.relative_to(path).as_posix(), content_digest(one)) for one in _files_below(path)]
            digests[name] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        else:
            digests[name] = content_digest(path)
    return digests


def _files_below(folder: Path) -> Iterator[Path]:
    """Return the files of a folder of data in order, links followed once."""
    seen: set[str] = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [] if os.path.realpath(at) in seen else sorted(folders)
        seen.add(os.path.realpath(at))
        yield from (Path(at) / name for name in sorted(names))
