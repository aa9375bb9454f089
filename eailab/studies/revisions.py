"""Check out two revisions of a repository next to each other, in git worktrees that are always removed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from eailab.errors import EailabError, StudyError, UsageError
from eailab.plain import counted

_SUBMODULE = "160000"
"""How git lists one among the files of a tree."""
_SHOWN = 5
"""Names in a note; of more, their number is given."""


@dataclass(frozen=True)
class Revision:
    """A state of the code, checked out."""

    folder: Path
    """The working folder within the worktree: that in which the command was typed."""
    commit: str
    """40 hexadecimal digits; of a candidate with changes, a commit that no branch has."""


class Repository:
    """The git repository of a folder."""

    def __init__(self, here: Path) -> None:
        """Find it.

        Raises:
            UsageError: There is no git, no repository, or no commit.
        """
        self.here = here.resolve()
        if shutil.which("git") is None:
            raise UsageError("git is not installed here, and revisions are checked out with it: install git.")
        self.top = self.here
        try:
            self.top = Path(self._git("rev-parse", "--show-toplevel")).resolve()
        except EailabError as error:
            raise UsageError(
                f"{here} is not in a git repository: run this in the repository of your program."
            ) from error

    def commit_of(self, revision: str) -> str:
        """Return the commit that a revision names.

        Raises:
            UsageError: It names none.
        """
        try:
            return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except EailabError as error:
            raise UsageError(
                f"{revision} is not a revision of {self.top}: name a commit, branch or tag, as `git log` shows them."
            ) from error

    def snapshot(self, without: Path) -> tuple[str, list[str]]:
        """Return a commit of the files as they are now, changes that are not committed included, and notes on it.

        The index and the branches stay as they are.

        Runs folders are not code: neither the one that is given, nor others that lie in the repository.
        """
        head, notes = self.commit_of("HEAD"), list[str]()
        untracked = self._untracked()
        stores = {without, *self._stores(untracked)}
        inner = [store.relative_to(self.top) for store in stores if store.is_relative_to(self.top)]
        pathspec = ("--", ".", *(f":(exclude,literal){store}" for store in sorted(inner)))
        with tempfile.TemporaryDirectory(prefix="eailab-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._git("read-tree", head, more=index)
            self._git("add", "--all", *pathspec, at=self.top, more=index)
            tree = self._git("write-tree", more=index)
        if names := [name for name in untracked if not any(Path(name).is_relative_to(store) for store in inner)]:
            notes.append(f"{_listed(names)}: git does not track this yet; it is part of the candidate.")
        if tree == self._git("rev-parse", f"{head}^{{tree}}"):
            return head, notes
        who = {f"GIT_{role}_{part}": "eailab" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        return self._git("commit-tree", tree, "-p", head, "-m", "eailab gate: the candidate", more=who), notes

    def _untracked(self) -> list[str]:
        """Return the files that git would add, below the repository's folder."""
        listed = self._git("ls-files", "--others", "--exclude-standard", "-z", at=self.top)
        return [name for name in listed.split("\0") if name]

    def _stores(self, names: Sequence[str]) -> list[Path]:
        """Return the folders above some files that are runs folders."""
        folders = {folder for name in names for folder in (self.top / name).parents if folder != self.top}
        return [one for one in folders if (one / "trials").is_dir() and (one / "studies").is_dir()]

    def submodules(self, commit: str) -> list[str]:
        """Return the folders of a commit that are submodules."""
        lines = self._git("ls-tree", "-r", "-z", commit).split("\0")
        return [line.partition("\t")[2] for line in lines if line.startswith(_SUBMODULE)]

    @contextmanager
    def checked_out(self, commits: Mapping[str, str], note: Callable[[str], None]) -> Iterator[dict[str, Revision]]:
        """Check commits out, each in a worktree of its own under its name, for as long as the context lasts.

        What an earlier command was killed over is removed first.

        Raises:
            StudyError: Another command has worktrees of this repository.
            EailabError: git cannot check one out.
        """
        session = _own_folder() / sha256(os.fsencode(self.top)).hexdigest()[:16]
        try:
            with FileLock(session.with_suffix(".lock"), timeout=0):
                if session.exists():
                    note(f"{session} was left behind by a gate that was killed, and is removed.")
                    self._remove(session)
                try:
                    session.mkdir()
                    for name, commit in commits.items():
                        self._git("worktree", "add", "--detach", "--force", str(session / name), commit)
                    inner = self.here.relative_to(self.top)
                    found = {name: Revision(session / name / inner, commit) for name, commit in commits.items()}
                    for name, one in found.items():
                        if not one.folder.is_dir():
                            raise UsageError(
                                f"{name} ({one.commit[:8]}) has no folder {inner}: choose a later revision."
                            )
                    yield found
                finally:
                    self._remove(session)
                    if session.exists():
                        note(f"{session} could not be removed: the next gate of this repository removes it.")
        except Timeout as error:
            raise StudyError(f"another gate of {self.top} is at work: run this one after it.") from error

    def _remove(self, session: Path) -> None:
        shutil.rmtree(session, ignore_errors=True)
        for link in _own_folder().iterdir():
            if link.is_symlink() and not link.exists():
                link.unlink(missing_ok=True)
        with suppress(EailabError):
            self._git("worktree", "prune")

    def _git(self, *words: str, at: Path | None = None, more: Mapping[str, str] | None = None) -> str:
        """Return what a git command prints; no hook of the repository runs.

        Raises:
            EailabError: It failed.
        """
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(  # noqa: S603 - git, and words of ours
            ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(at or self.here), *words],  # noqa: S607 - found above
            env={**clean, **(more or {})},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise EailabError(f"git {words[0]} failed: {said[-1] if said else f'code {done.returncode}'}.")
        return os.fsdecode(done.stdout).strip("\n")


def named_by_code(revision: Revision, code: str) -> Path:
    """Return a path of a checked-out revision's folder that is the same whenever the fingerprint of its code is."""
    link = _own_folder() / code[:20]
    with suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(revision.folder, target_is_directory=True)
    return link


def _own_folder() -> Path:
    """Return the folder of this user's worktrees, in the system's folder for temporary files.

    Raises:
        EailabError: It is another user's.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()).resolve() / f"eailab-gate-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != user):
        raise EailabError(f"{folder} is not your folder: set TMPDIR to one of yours.")
    return folder


def _listed(names: Sequence[str]) -> str:
    more = f" and {counted(len(names) - _SHOWN, 'more file')}" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
