"""What tests of several packages share."""

import atexit
import gc
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, chdir
from dataclasses import dataclass
from pathlib import Path

import pytest
from blank_figures import figures
from filelock import FileLock
from nursery import Program, open_nursery
from typer.testing import CliRunner

from eailab.cli import app as program

MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of this user's own below it


def pytest_configure(config: pytest.Config) -> None:
    """Let the tests' processes neither repeat nor hinder each other's work.

    Each module is compiled once, not once more in each of the hundreds of processes that tests start: where Python is
    told to leave no bytecode beside the sources, it is kept in pytest's own folder. And what says nothing of threads
    has one, since the workers fill the cores; trials have their recipe's (`tests/runs/test_training.py` sees to it).

    Tests interrupt themselves and the programs that they start. A shell starts what runs in its background (`pytest &`)
    with interrupts ignored, which such programs would inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.dont_write_bytecode and config.pluginmanager.hasplugin("cacheprovider"):
        sys.pycache_prefix = str(config.cache.mkdir("bytecode"))
        sys.dont_write_bytecode = False
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # `python -B` says the same without it
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if in_memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Take what the tests' modules import out of garbage collection: torch's million objects stay to the end anyway.

    And look for garbage less often than after every 700 new objects, which was 4% of the tests' time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()
        for last in (gc.unfreeze, gc.disable):  # one pass at the very end, after which libraries name what is left
            atexit.register(last)


def in_memory() -> bool:
    """Tell whether the tests' folders can lie in memory: their programs flush files thousands of times."""
    if not os.access(MEMORY, os.W_OK):
        return False
    may_execute = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    return may_execute and shutil.disk_usage(MEMORY).free > 4e9


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the real MNIST and CIFAR-10; tests that ask for it are skipped where there is none.

    `EAILAB_TEST_DATA` names one; else it is unpacked from `shared/data`, if that lies beside the repository.
    """
    if named := os.environ.get("EAILAB_TEST_DATA"):
        return Path(named)
    script = Path(__file__).resolve().parents[2] / "shared" / "data" / "unpack.py"
    if not script.is_file():
        pytest.skip("no real data: EAILAB_TEST_DATA is not set, and shared/data is not beside the repository")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "real-data"
    with FileLock(folder.with_suffix(".lock")):  # the workers share it
        if not folder.exists():
            part = folder.with_suffix(".part")
            subprocess.run([sys.executable, str(script), str(part)], check=True, capture_output=True)
            part.rename(folder)
    return folder


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def unflushed():
    """Flush no file in this process, since no power is lost; tests of flushing watch or replace the call itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


def run_here(*arguments):
    """Run a command line in this process."""
    runner = CliRunner()
    with pytest.MonkeyPatch.context() as patch, runner.isolation() as (out, err, *_):
        patch.setattr(sys, "argv", ["eailab", *map(str, arguments)])
        try:
            program.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        return Outcome(code, out.getvalue().decode(), err.getvalue().decode())


@pytest.fixture
def eailab(tmp_path, monkeypatch, request):
    """Run a command line in an empty folder, in this process; its figures are blank without `@pytest.mark.draws`."""
    monkeypatch.chdir(tmp_path)
    with figures(drawn=bool(request.node.get_closest_marker("draws"))):
        yield run_here


@pytest.fixture
def line(monkeypatch):
    """An engine without a data set, registered as a plug-in would be, here and in the processes that a test starts."""
    from line_engine import LINE

    from eailab.engines.registry import ENGINES, register
    from eailab.recipe.schema import RECIPES, settings, variants

    register(LINE)
    monkeypatch.setenv("LINE_ENGINE", "1")
    yield LINE
    for table in (ENGINES, RECIPES):
        del table[LINE.name]
    for cached in (settings, variants):
        cached.cache_clear()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Make a folder by commands the first time that it is asked for, and copy it from then on.

    Returns:
        A function of the folder to fill, the commands, the files that are there before them, and whether figures are
        drawn.
    """
    made = {}

    def fill(folder, *commands, files=(), draws=False):
        key = (commands, files, draws)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("made")
            for name, text in files:
                (made[key] / name).write_text(text)
            with figures(draws), chdir(made[key]):
                for command in commands:
                    done = run_here(*command)
                    assert done.code == 0, done.err
        shutil.copytree(made[key], folder, dirs_exist_ok=True)

    return fill


@pytest.fixture(scope="session")
def nursery():
    """Where processes are forked that have imported everything."""
    with open_nursery() as context:
        yield context


@pytest.fixture
def forked(nursery, monkeypatch):
    """Workers and probes that need not import everything; others start as they do in a study."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: nursery)


@pytest.fixture
def spawn(nursery, tmp_path):
    """Start a command line in an empty folder, as a process; its figures are blank."""
    with ExitStack() as programs:

        def start(*arguments):
            width = {"COLUMNS": "100", "NO_COLOR": "1"}
            program = Program(nursery, "eailab", *arguments, folder=tmp_path, forks_workers=True, **width)
            programs.callback(program.close)
            return program

        yield start
