"""Time a few steps of a trial with the real engine, in a process of its own, so that its memory is its own."""

import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from eailab.data.dataset import Images
from eailab.data.registry import load
from eailab.data.split import trial_data
from eailab.engines.base import COMPILATION, Engine, Step
from eailab.engines.registry import build, engine_of
from eailab.errors import DivergedError, EailabError, TrialFailedError, shortage_of
from eailab.runs.context import RunContext
from eailab.runs.executors.attempts import describe, out_of_memory_kills
from eailab.runs.machine import kept_bytes
from eailab.runs.training import limited_threads
from eailab.runs.trial import Trial

PROBE_SECONDS = 2.0
"""Of training, once warm, if that gives `REPORTS`; never more than `MOST_SECONDS`, or one report."""
REPORTS = 5
MOST_SECONDS = 20.0
EVALUATED = 512
"""Images on which evaluation is timed."""
SLOW_EVALUATION = 5.0
"""Seconds above which a first evaluation is not repeated: what it warms up is small compared with it."""
RECORD_SECONDS = 0.3
"""Writing a trial's files; it only matters where trials take seconds."""


@dataclass(frozen=True)
class Probe:
    """Hold what one trial takes."""

    device: str
    """In words, as the engine gives it."""
    epoch_seconds: float
    """Training and validation."""
    other_seconds: float
    """Before the first epoch and after the last: data, model, validation and test once more, files and figures."""
    memory_bytes: int | None
    """The most that a process training it, or one before it in the list, held at once; None where unknown."""
    gpu_bytes: int | None
    """The same on the GPU; None without one."""
    gpu_total_bytes: int | None
    """What that GPU has."""
    disk_bytes: int
    """What it leaves behind."""
    parameters: int | None = None
    """Trained parameters of its network; None of an engine without one."""


def probe(trials: Sequence[Trial], context: RunContext) -> list[Probe]:
    """Time some steps of each trial, one after another, with the threads that it will have; the store is not touched.

    Raises:
        DataError: The data are missing, or do not fit a recipe.
        DeviceError: The device is not here.
    """
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_measure_all, args=(theirs, list(trials), context.unfollowed()), daemon=True)
    kills = out_of_memory_kills()
    process.start()
    theirs.close()
    try:
        with ours:
            found: list[Probe] | EailabError = ours.recv()
    except EOFError:
        process.join()
        reason = describe(process.exitcode, kills, out_of_memory_kills())
        raise TrialFailedError(f"the steps of a trial could not be timed: {reason}.") from None
    finally:
        process.join()
    if isinstance(found, EailabError):
        raise found
    return found


def _measure_all(answer: Connection, trials: Sequence[Trial], context: RunContext) -> None:
    try:
        answer.send([_measure(trial, context) for trial in trials])
    except Exception as error:
        if (said := error if isinstance(error, EailabError) else shortage_of(error)) is None:
            raise  # a bug keeps its traceback
        answer.send(said)


def _measure(trial: Trial, context: RunContext) -> Probe:
    recipe, few = trial.recipe, None
    weights = validated = tested = 0
    an_image = 0.0
    reporting = engine_of(recipe).reporting_compilation
    with (
        limited_threads(recipe),
        reporting(lambda: None, COMPILATION.add),
        TemporaryDirectory(prefix="eailab-probe-") as folder,
    ):
        began = COMPILATION.clock()
        if recipe.images is not None:
            dataset = load(recipe.images.data.name, context.data_dir, download=False)
            data = trial_data(dataset, recipe.images.data, trial.block)
            validated, tested = len(data.validation), len(data.test)
            few = replace(
                data, validation=Images(data.validation.pixels[:EVALUATED], data.validation.labels[:EVALUATED])
            )
        engine = build(recipe, few, trial.block, context.device, Path(folder))
        setup = COMPILATION.clock() - began
        if few is not None:
            weights = sum(array.nbytes for array in engine.weights().values())
            an_image = _evaluation_seconds(engine) / len(few.validation)
        steps, seconds = _timed_steps(engine, recipe.epochs)
    if recipe.images is not None and few is not None and seconds > 0.0:
        # training evaluates an image too, and does more: what took longer had to wait for the machine
        an_image = min(an_image, seconds / min(recipe.images.batch_size, len(few.train)))
    held, gpu = engine_of(recipe).gpu_memory() or (None, None)
    return Probe(
        device=engine.device,
        epoch_seconds=seconds * steps + an_image * validated,
        other_seconds=setup + an_image * (validated + tested) + RECORD_SECONDS,
        memory_bytes=peak_memory(),
        gpu_bytes=held,
        gpu_total_bytes=gpu,
        disk_bytes=kept_bytes(weights, validated + tested, recipe.epochs),
        parameters=engine.parameters,
    )


def _evaluation_seconds(engine: Engine) -> float:
    """Return the time of one pass over the validation split, the first of which may compile code."""
    seconds = _timed_evaluation(engine)
    return seconds if seconds > SLOW_EVALUATION else _timed_evaluation(engine)


def _timed_evaluation(engine: Engine) -> float:
    began = COMPILATION.clock()
    engine.evaluate("validation")
    return COMPILATION.clock() - began


class _EnoughError(Exception):
    """The time for the probe is over."""


def _timed_steps(engine: Engine, epochs: int) -> tuple[int, float]:
    """Return the steps of an epoch and the seconds of a step.

    What comes before the first report only warms up. Of the times between reports the median is taken, so that a
    moment in which the machine does something else does not count. A trial that diverges before its first report takes
    next to no time: no step is counted.
    """
    began = COMPILATION.clock()
    marks: list[tuple[int, float]] = []
    steps = before = 0

    def on_step(step: Step) -> None:
        nonlocal steps
        steps = step.steps
        marks.append((before + step.step, COMPILATION.clock()))
        spent = marks[-1][1] - marks[0][1]
        if spent > MOST_SECONDS or (spent > PROBE_SECONDS and len(marks) > REPORTS):
            raise _EnoughError

    try:
        for epoch in range(1, epochs + 1):
            engine.train_epoch(epoch, on_step)
            before += steps
    except (_EnoughError, DivergedError):
        pass
    if not marks:
        return 0, 0.0
    between = [(until - since) / (last - first) for (first, since), (last, until) in pairwise(marks) if last > first]
    if not between:  # the whole trial in one report, so warming up is in it
        return steps, (marks[0][1] - began) / marks[0][0]
    return steps, median(between)


def peak_memory() -> int | None:
    """Return the most memory that this process held at once, in bytes.

    Linux's own mark is taken rather than `getrusage`, which counts what the parent held when it started the process.
    """
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
