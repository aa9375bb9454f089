"""Processes that begin with everything imported, so that a kill costs no seconds: forks of one that sits idle."""

import multiprocessing
import os
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

import pytest
import study_process

PROGRAM = Path(study_process.__file__)
IMPORTED = ("study_process", "eailab.engines.numpy_mlp.engine", "eailab.engines.torch_resnet.engine")


@contextmanager
def open_nursery():
    """Yield the context that forks them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join((str(PROGRAM.parent), str(PROGRAM.parents[2]))))
        forkserver.ensure_running()
    assert ended(begun(context, os.getpid)) == 0  # it has imported everything now
    yield context


def fork(nursery, root, engine, *flags, said=None):
    """Start the program; what it says goes to a file, by default beside the folder."""
    return begun(nursery, study_process.forked, str(said or f"{root}.said"), str(root), engine, *flags)


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


def epochs_of(root):
    """The epochs of every trial, as bytes."""
    return {file.parent.name: file.read_bytes() for file in (root / "trials").glob("*/epochs.jsonl")}
