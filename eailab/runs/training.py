"""Train one trial: the loop that all engines share, read from top to bottom."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from threadpoolctl import threadpool_limits

from eailab.data.dataset import TrialData
from eailab.data.npz import pack_counts
from eailab.data.registry import load
from eailab.data.split import trial_data
from eailab.engines.base import COMPILATION, Engine, Expected, Scores, Step
from eailab.engines.registry import build, engine_of, metrics_of
from eailab.engines.spec import PREDICTIONS, WEIGHTS
from eailab.errors import DamagedError, DataError, DivergedError, LostLockError, StoppedError, TimedOutError
from eailab.metrics import TEST, VALIDATION, recorded
from eailab.recipe.base import Recipe
from eailab.runs.checkpoint import CheckpointWriter, packed
from eailab.runs.context import Compiling, Ended, EpochEnded, RunContext, SetAside, Started, Stepped, Stopped, Waiting
from eailab.runs.damage import set_damage_aside
from eailab.runs.records import Epoch, Position, Provenance, Result, bits_depend_on, collect
from eailab.runs.trial import Trial
from eailab.runs.trial_folder import TrialFolder

WAITING_SECONDS = 0.2
"""Between two tries to lock a trial that another process trains."""


def run_trial(trial: Trial, context: RunContext) -> None:
    """Train one trial, from its last checkpoint if there is one; a finished trial is left alone.

    While another process trains it, this one waits.

    Raises:
        StoppedError: `context.should_stop` said so; the same call goes on from there.
        DataError: The data are missing, or are not those that the trial is named after.
        DeviceError: The device is not here.
        StoreError: The store cannot be written.
    """
    folder = context.store.folder(trial.fingerprint)
    is_waiting = False
    while True:
        try:
            with folder.lock() as ours:
                if ours:
                    if (result := result_for(trial, folder)) is None:
                        folder.reopen(trial)
                        train(trial, folder, context)
                    else:
                        context.on_event(Ended(trial.fingerprint, result.status, result.values))
                    return
        except LostLockError:
            pass  # another process has taken the trial over: wait for its result
        if not is_waiting:
            context.on_event(Waiting(trial.fingerprint))
            is_waiting = True
        if context.should_stop():
            raise StoppedError(f"stopped while another process trained {trial.fingerprint}.")
        time.sleep(WAITING_SECONDS)


def train(trial: Trial, folder: TrialFolder, context: RunContext) -> None:
    """Train the epochs that are left, test once, and record the result; the trial is locked. See `run_trial`."""
    recipe, name = trial.recipe, trial.fingerprint
    reporting = engine_of(recipe).reporting_compilation
    with limited_threads(recipe), reporting(lambda: context.on_event(Compiling(name)), COMPILATION.add):
        # Build the engine, and go on from the last checkpoint if there is one.
        data = _load_data(trial, context)
        engine = build(recipe, data, trial.block, context.device, folder.path)
        provenance = collect(engine.device, recipe.threads, engine_of(recipe).packages)
        environment = bits_depend_on(provenance)
        done, unused = _resume(engine, trial, folder, environment, context)
        folder.begin(trial, done.epochs + 1)
        context.on_event(Started(name, engine.device, recipe.threads, recipe.epochs, done.epochs, unused, done.step))
        epochs, meter = folder.epochs(), Meter(engine, done)
        checkpoints = CheckpointWriter(
            context.cadence, lambda position: folder.save_checkpoint(engine.state(), trial, position, environment), done
        )

        def on_step(number: int, step: Step) -> None:
            is_stopped = context.should_stop()
            if is_stopped or checkpoints.is_due(number - 1):
                checkpoints.write(Position(number - 1, step.step, *meter.read()))
            if is_stopped:
                context.on_event(Stopped(name, number, step))
                raise StoppedError(f"stopped in epoch {number}, step {step.step} of {step.steps}.")
            context.on_event(Stepped(name, number, step))

        reason = ""
        try:
            # Train, validate and record each epoch that is left. The test split is not read here.
            for number in range(done.epochs + 1, recipe.epochs + 1):
                trained = engine.train_epoch(number, partial(on_step, number))
                validated = {} if data is None else engine.evaluate(VALIDATION).scores
                epochs.append(Epoch(number, _finite({**trained, **validated}, number)))
                seconds, joules = meter.read()
                folder.add_epoch(epochs[-1])
                folder.add_timing(number, seconds, None if data is None else len(data.train), provenance, joules)
                context.on_event(EpochEnded(name, epochs[-1], seconds))
                if number < recipe.epochs and checkpoints.is_due(number):
                    checkpoints.write(Position(number))
                meter.restart()
        except (DivergedError, TimedOutError) as error:
            # A divergence is a result too: of the recipe. So is a program that does not end in its time.
            result = _result_of_failure(error, recipe, len(epochs), engine, provenance)
            folder.finish(trial, result, {})
            reason = str(error) if isinstance(error, TimedOutError) else ""
        else:
            # Test once, and record the result.
            tested, artifacts = ({}, engine.artifacts()) if data is None else _test(engine, data, trial)
            result = Result(
                status="finished",
                epochs=len(epochs),
                values={**epochs[-1].values, **tested},
                diverged_at=None,
                parameters=engine.parameters,
                provenance=provenance,
                largest_pixel=None if data is None else int(data.train.pixels.max()),
                network=engine.summary,
            )
            folder.finish(trial, result, artifacts)
        context.on_event(Ended(name, result.status, result.values, reason))


def _result_of_failure(
    error: DivergedError | TimedOutError, recipe: Recipe, epochs: int, engine: Engine, provenance: Provenance
) -> Result:
    """Return the result of a trial that has no values."""
    result = Result(
        status="diverged",
        epochs=epochs,
        values=dict.fromkeys(metric.key for metric in recorded(metrics_of(recipe))),
        diverged_at=None,
        parameters=engine.parameters,
        provenance=provenance,
    )
    if isinstance(error, TimedOutError):
        return replace(result, status="timed-out", limit_seconds=error.seconds)
    return replace(result, diverged_at=(error.epoch, error.step))


def result_for(trial: Trial, folder: TrialFolder) -> Result | None:
    """Return the result of a trial, as `result_of`; None where it timed out and now has more time."""
    result = result_of(folder)
    return None if result is None or result.has_more_time(trial.recipe.limit_seconds) else result


def result_of(folder: TrialFolder) -> Result | None:
    """Return the result of a trial if there is one and it holds; nothing is written.

    Raises:
        StoreError: The result is of a newer version, or the system does not let us read it.
    """
    try:
        return folder.result()
    except DamagedError:
        return None


def _finite(scores: Scores, epoch: int) -> Scores:
    """Return the scores of an epoch, whose loss has diverged where one of them is not a number."""
    for value in scores.values():
        if not math.isfinite(value):
            raise DivergedError(epoch, 0, value)
    return scores


def _test(engine: Engine, data: TrialData, trial: Trial) -> tuple[Scores, dict[str, bytes]]:
    """Score the trained weights on the validation and the test split, and return the scores and the files to keep."""
    scored = {split: engine.evaluate(split) for split in (VALIDATION, TEST)}
    predictions = pack_counts({split: one.predictions for split, one in scored.items()})
    weights = packed(engine.weights(), trial=trial.fingerprint, **Expected.by(data).facts())
    values = {**scored[VALIDATION].scores, **scored[TEST].scores}
    return values, {WEIGHTS.name: weights, PREDICTIONS.name: predictions}


def _load_data(trial: Trial, context: RunContext) -> TrialData | None:
    """Return the splits of a trial, of the data set that it is named after; None of an engine without one."""
    if trial.recipe.images is None:
        spec = engine_of(trial.recipe)
        if not context.keep_code and spec.inputs(trial.recipe, context.data_dir, context.runs_dir) != trial.data:
            what = spec.what_changed(trial.recipe, context.runs_dir, trial.data)
            raise DataError(
                f"{what or f'what {trial.recipe.name} depends on has changed'} since the study was planned: put it "
                "back as it was, or start the command again to train with what is there now, as trials of their own."
            )
        return None
    settings = trial.recipe.images.data
    dataset = load(settings.name, context.data_dir)
    if dataset.fingerprint != trial.data:
        raise DataError(
            f"the data set {settings.name} has changed since the study was planned: put the old files back, or "
            "start the command again to train on the new ones as trials of their own."
        )
    return trial_data(dataset, settings, trial.block)


def _resume(
    engine: Engine, trial: Trial, folder: TrialFolder, environment: str, context: RunContext
) -> tuple[Position, str]:
    """Load the last checkpoint that can be used, and return its position, and why another is not used."""
    if damage := set_damage_aside(folder):
        context.on_event(SetAside(trial.fingerprint, " ".join(damage)))
    checkpoint = folder.load_checkpoint(trial, environment)
    if checkpoint.state is not None:
        engine.load_state(checkpoint.state)
    return checkpoint.position, checkpoint.unused


class Meter:
    """Measures the seconds and the energy of the epoch in progress, with those of the attempts that it goes on from.

    Compiling the engine's code is not counted.
    """

    def __init__(self, engine: Engine, done: Position) -> None:
        self.engine = engine
        self.restart(done.seconds, done.joules)

    def restart(self, seconds: float = 0.0, joules: float | None = 0.0) -> None:
        """Start from what was taken before."""
        now = self.engine.joules()
        self.joules_at_start = None if now is None or joules is None else now - joules
        self.began = COMPILATION.clock() - seconds

    def read(self) -> tuple[float, float | None]:
        """Return the seconds and joules up to now; None where the device does not count joules."""
        now = self.engine.joules()
        joules = None if now is None or self.joules_at_start is None else now - self.joules_at_start
        return COMPILATION.clock() - self.began, joules


@contextmanager
def limited_threads(recipe: Recipe) -> Iterator[None]:
    """Let this process compute with a recipe's number of threads, which changes bits."""
    with threadpool_limits(recipe.threads):
        engine_of(recipe).use_threads(recipe.threads)
        yield
