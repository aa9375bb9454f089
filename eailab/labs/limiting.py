"""Limit this process, and become submitted code; a script of the standard library alone, so that it starts at once."""

import os
import resource
import sys

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "EAILAB_DATA", "OMP_NUM_THREADS")
"""Variables that submitted code gets; others may hold secrets."""
MB = 2**20
FILES_AT_ONCE = 256


def limit(seconds: int, memory_mb: int, file_mb: int) -> None:
    """Limit this process, and those that it starts."""
    for what, most in (
        (resource.RLIMIT_CPU, seconds * (os.cpu_count() or 1)),
        (resource.RLIMIT_DATA, memory_mb * MB),
        (resource.RLIMIT_FSIZE, file_mb * MB),
        (resource.RLIMIT_NOFILE, FILES_AT_ONCE),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))


if __name__ == "__main__":
    mark, bounds, *arguments = sys.argv[1:]
    limit(*map(int, bounds.split(",")))
    kept = {name: os.environ[name] for name in (*KEPT, mark) if name in os.environ}
    os.execve(sys.executable, [sys.executable, *arguments], kept)  # noqa: S606 - the same Python, limited
