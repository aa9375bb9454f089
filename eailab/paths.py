"""Paths as people write them, where no shell has expanded them."""

from pathlib import Path

from eailab.errors import UsageError


def expanded(path: str | Path) -> Path:
    """Return a path whose `~` or `~user` at the beginning is the home folder.

    Raises:
        UsageError: There is no such user, or nothing says where the home folder is.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path}: the home folder is not known ({error}): write the path in full.") from error
