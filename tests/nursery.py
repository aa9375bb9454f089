"""Processes that begin with everything imported, so that one more costs no seconds: forks of one that sits idle."""

import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.reduction import DupFd
from pathlib import Path

import pytest
from blank_figures import figures

TESTS = Path(__file__).parent
IMPORTED = (
    *("nursery", "study_process", "eailab.engines.numpy_mlp.engine", "eailab.engines.torch_resnet.engine"),
    *("matplotlib.figure", "rich.progress", "rich.table", "scipy.stats", "typer"),
    "warm",
    "frozen",  # after all others
)


@contextmanager
def open_nursery():
    """Yield the context that forks them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (TESTS, TESTS / "faults", TESTS.parent))))
        forkserver.ensure_running()
    assert ended(begun(context, os.getpid)) == 0  # it has imported everything now
    yield context


def begun(nursery, function, *arguments):
    """Start a function in a process."""
    process = nursery.Process(target=function, args=arguments)
    process.start()
    return process


def ended(process):
    """Wait for a process, and return its exit code."""
    process.join(timeout=300)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


class Program:
    """What `subprocess.Popen` makes of `python -m MODULE …` or `python SCRIPT …`, with pipes of text."""

    def __init__(self, nursery, name, *arguments, folder, forks_workers=False, **environment):
        """Start a module, or a script that ends in `.py`, in a folder; its environment is this process's, with changes.

        Its output and errors can be read from `stdout` and `stderr`. Workers that it forks are not of its environment.
        """
        read, written = zip(os.pipe(), os.pipe(), strict=True)
        self.stdout, self.stderr = map(os.fdopen, read)
        words = [str(name), *map(str, arguments)]
        passed = [_Passed(descriptor) for descriptor in written]
        self.process = begun(nursery, _become, words, str(folder), os.environ | environment, passed, forks_workers)
        for descriptor in written:
            os.close(descriptor)

    @property
    def returncode(self):
        return self.process.exitcode

    def send_signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()

    def communicate(self, timeout=None):
        """Read what it says until it has ended, and return its output and errors."""
        with ThreadPoolExecutor(2) as threads:
            said = [threads.submit(stream.read) for stream in (self.stdout, self.stderr)]
            self.process.join(timeout)
            if self.returncode is None:
                self.kill()
                raise subprocess.TimeoutExpired("the program", timeout)
        return [text.result() for text in said]

    def close(self):
        """End it, if it has not ended, and leave nothing of it."""
        self.kill()
        for stream in (self.stdout, self.stderr):
            stream.close()
        self.process.join()
        self.process.close()


class _Passed:
    """A descriptor on its way into a process."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def __reduce__(self):
        return _received, (DupFd(self.descriptor),)


def _received(duplicate):
    return duplicate.detach()


def _become(words, folder, environment, descriptors, forks_workers):
    """Be the program in this process, to the end, with blank figures."""
    for number, descriptor in enumerate(descriptors, start=1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
    )
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if forks_workers:  # of the process that this one was forked of: another would have nothing imported
        context = multiprocessing.get_context("forkserver")
        forkserver._forkserver.ensure_running = lambda: None
        multiprocessing.get_context = lambda _: context
    sys.argv = words
    try:
        with figures(drawn=False):
            _run(words[0])
    except KeyboardInterrupt:  # Python ends by the signal itself
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)


def _run(name):
    if name.endswith(".py"):
        runpy.run_path(name, run_name="__main__")
    else:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
