"""One store with every kind of ending, and what is asked of every tool."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from eailab.report.formats import EXPORTS
from eailab.report.write import write_report

ACCURACIES = [0.9, 0.92, 0.91]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def folder(shop):
    """A study whose second arm has a diverged trial, one that is not finished, and one that was never begun."""
    return shop.study({10: ACCURACIES, 20: ["diverged", "unfinished", "missing"]}, name=HOSTILE)


@pytest.fixture
def export(shop, tmp_path):
    """Hand studies on to one tool, and return the folder of what was written; skipped where it is not installed."""

    def write(tool, *folders):
        for package in EXPORTS[tool].needs:
            try:
                version(package)
            except PackageNotFoundError:
                pytest.skip(f'{package} is not installed: pip install ".[{EXPORTS[tool].extra}]"')
        return write_report(folders, tmp_path / "out", formats=(), exports=(tool,)).exports[tool]

    return write


@pytest.fixture
def content():
    """The files of a folder, with the times at which they were written."""

    def of(folder):
        return {
            path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
            for path in folder.rglob("*")
            if path.is_file()
        }

    return of
