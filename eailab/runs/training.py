"""The one loop: both engines are trained, measured and recorded by these lines."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits

from eailab.data.dataset import TrialData
from eailab.data.split import trial_data
from eailab.data.table import load
from eailab.engines.base import (
    COMPILATION,
    DeviceName,
    Engine,
    Expected,
    OnStep,
    Step,
    build,
    reporting_compilation,
)
from eailab.errors import DamagedError, DataError, DivergedError, LostLockError, MemoryShortageError, StoppedError
from eailab.recipe.schema import MlpRecipe, Recipe
from eailab.runs.cadence import EVERY_TEN_SECONDS, Cadence
from eailab.runs.events import Compiling, Ended, EpochEnded, Event, SetAside, Started, Stepped, Stopped, Waiting
from eailab.runs.provenance import Provenance, bits_depend_on, collect
from eailab.runs.records import Epoch, Position, Result
from eailab.runs.store import Store, Trial, TrialFolder

WAITING_SECONDS = 0.2
"""Between two tries to lock a trial that another process trains."""


def train(engine: Engine, first: int, epochs: int, on_step: Callable[[int, Step], None]) -> Iterator[Epoch]:
    """Train epochs `first` to `epochs`, yielding each as it ends. The test split is not read here.

    The engine goes on within epoch `first` where its state is from there.

    Raises:
        DivergedError: A loss is not finite.
    """
    for number in range(first, epochs + 1):
        trained = engine.train_epoch(number, _numbered(on_step, number))
        validated = engine.evaluate("validation").scores
        if not math.isfinite(validated.loss):
            raise DivergedError(number, 0, validated.loss)
        yield Epoch(number, trained, validated)


def run_trial(
    trial: Trial,
    store: Store,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    data_dir: Path | None = None,
    device: DeviceName = "auto",
    cadence: Cadence = EVERY_TEN_SECONDS,
) -> None:
    """Train one trial, from its last checkpoint if there is one; a finished trial is left alone.

    While another process trains it, this one waits.

    Args:
        trial: What to train.
        store: Where it is recorded.
        on_event: Told what happens; must not take long.
        should_stop: Asked between steps; when true, the state after the last step is written.
        data_dir: Folder of downloaded data sets; None for the usual one.
        device: Where the torch engine runs.
        cadence: How often the state is written.

    Raises:
        StoppedError: `should_stop` said so; the same call goes on from there.
        DataError: The data are missing, or are not those that the trial is named after.
        DeviceError: The device is not here.
        MemoryShortageError: The device's memory, or the machine's, does not suffice.
        StoreError: The store cannot be written.
    """
    folder = store.folder(trial.fingerprint)
    waiting = False
    while True:
        try:
            with folder.lock() as ours, _memory_shortage():
                if ours:
                    with (
                        limited_threads(trial.recipe),
                        reporting_compilation(trial.recipe, lambda: on_event(Compiling(trial.fingerprint))),
                    ):
                        _run_locked(trial, folder, on_event, should_stop, data_dir, device, cadence)
                    return
        except LostLockError:
            pass  # whoever took it brings it to its end; we wait like any other
        if not waiting:
            on_event(Waiting(trial.fingerprint))
            waiting = True
        if should_stop():
            raise StoppedError(f"stopped while another process trained {trial.fingerprint}.")
        time.sleep(WAITING_SECONDS)


def _run_locked(
    trial: Trial,
    folder: TrialFolder,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    data_dir: Path | None,
    device: DeviceName,
    cadence: Cadence,
) -> None:
    if is_finished(folder):
        _announce_end(trial, folder, on_event)
        return
    recipe = trial.recipe
    dataset = load(recipe.data.name, data_dir)
    if dataset.fingerprint != trial.data:
        raise DataError(
            f"the data set {recipe.data.name} has changed since the study was planned: put the old files back, or "
            "start the command again to train on the new ones as trials of their own."
        )
    data = trial_data(dataset, recipe.data, trial.block)
    engine = build(recipe, data, trial.block, device)
    provenance = _provenance(engine, trial)
    environment = bits_depend_on(provenance)
    if damage := folder.set_damage_aside():
        on_event(SetAside(trial.fingerprint, " ".join(damage)))
    done, anew = _resume(engine, trial, folder, environment)
    folder.begin(trial, done.epochs + 1)
    on_event(Started(trial.fingerprint, engine.device, recipe.threads, recipe.epochs, done.epochs, anew, done.step))
    keeper = _Keeper(engine, trial, folder, environment, cadence, done)
    result = _train_and_record(engine, trial, folder, data, keeper, provenance, on_event, should_stop)
    on_event(Ended(trial.fingerprint, result.status, result.test))


class _Keeper:
    """Writes a trial's state to the disk, at the cadence and when the trial is stopped."""

    def __init__(
        self, engine: Engine, trial: Trial, folder: TrialFolder, environment: str, cadence: Cadence, done: Position
    ) -> None:
        self.engine, self.trial, self.folder = engine, trial, folder
        self.environment, self.cadence = environment, cadence
        self.written, self.written_at, self.writing = done, time.perf_counter(), 0.0

    def is_due(self, epochs: int) -> bool:
        """Whether to write now that so many epochs are finished."""
        return self.cadence.is_due(epochs - self.written.epochs, time.perf_counter() - self.written_at, self.writing)

    def write(self, position: Position) -> None:
        """Write the engine's state, which is of this position."""
        began = time.perf_counter()
        self.folder.save_checkpoint(self.engine.state(), self.trial, position, self.environment)
        self.written, self.written_at = position, time.perf_counter()
        self.writing = self.written_at - began


class _Meter:
    """Measures what the epoch in progress takes, together with the earlier attempts that it goes on from.

    Compiling the engine's code is not part of it.
    """

    def __init__(self, engine: Engine, done: Position) -> None:
        self.engine = engine
        self.restart(done.seconds, done.joules)

    def restart(self, seconds: float = 0.0, joules: float | None = 0.0) -> None:
        """Start from what was taken before."""
        now = self.engine.joules()
        self.joules_at_start = None if now is None or joules is None else now - joules
        self.began = time.perf_counter() - COMPILATION.seconds - seconds

    def read(self) -> tuple[float, float | None]:
        """Return the seconds and joules up to now; None where the device does not count joules."""
        now = self.engine.joules()
        joules = None if now is None or self.joules_at_start is None else now - self.joules_at_start
        return time.perf_counter() - COMPILATION.seconds - self.began, joules


def _train_and_record(
    engine: Engine,
    trial: Trial,
    folder: TrialFolder,
    data: TrialData,
    keeper: _Keeper,
    provenance: Provenance,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> Result:
    def on_step(epoch: int, step: Step) -> None:
        is_stopped = should_stop()
        if is_stopped or keeper.is_due(epoch - 1):
            keeper.write(Position(epoch - 1, step.step, *meter.read()))
        if is_stopped:
            on_event(Stopped(trial.fingerprint, epoch, step))
            raise StoppedError(f"stopped in epoch {epoch}, step {step.step} of {step.steps}.")
        on_event(Stepped(trial.fingerprint, epoch, step))

    epochs, done = folder.epochs(), keeper.written
    meter = _Meter(engine, done)
    try:
        for epoch in train(engine, done.epochs + 1, trial.recipe.epochs, on_step):
            seconds, joules = meter.read()
            folder.add_epoch(epoch)
            folder.add_timing(epoch.number, seconds, len(data.train), provenance, joules)
            epochs.append(epoch)
            on_event(EpochEnded(trial.fingerprint, epoch, seconds))
            if epoch.number < trial.recipe.epochs and keeper.is_due(epoch.number):
                keeper.write(Position(epoch.number))
            meter.restart()
    except DivergedError as error:
        result = Result(
            status="diverged",
            epochs=len(epochs),
            train=None,
            validation=None,
            test=None,
            diverged_at=(error.epoch, error.step),
            parameters=engine.parameters,
            provenance=provenance,
        )
        folder.finish(trial, result, weights=None, predictions=None)
        return result
    validation, test = engine.evaluate("validation"), engine.evaluate("test")
    result = Result(
        status="finished",
        epochs=len(epochs),
        train=epochs[-1].train,
        validation=validation.scores,
        test=test.scores,
        diverged_at=None,
        parameters=engine.parameters,
        provenance=provenance,
        largest_pixel=int(data.train.pixels.max()),
    )
    predictions = {"validation": validation.predictions, "test": test.predictions}
    folder.finish(trial, result, engine.weights(), predictions, Expected.by(data).facts())
    return result


def is_finished(folder: TrialFolder) -> bool:
    """Whether a trial has a result that holds; nothing is written.

    Raises:
        StoreError: The result is of a newer version, or the system does not let us read it.
    """
    try:
        return folder.result() is not None
    except DamagedError:
        return False


def _resume(engine: Engine, trial: Trial, folder: TrialFolder, environment: str) -> tuple[Position, str]:
    """Take up the last checkpoint, and return its position, and why it is not taken up if it is not."""
    found = folder.load_checkpoint(trial, environment)
    if found is None or isinstance(found, str):
        return Position(), found or ""
    state, position = found
    engine.load_state(state)
    return position, ""


def _announce_end(trial: Trial, folder: TrialFolder, on_event: Callable[[Event], None]) -> None:
    result = folder.result()
    if result is not None:
        on_event(Ended(trial.fingerprint, result.status, result.test))


def _numbered(on_step: Callable[[int, Step], None], number: int) -> OnStep:
    return lambda step: on_step(number, step)


def _provenance(engine: Engine, trial: Trial) -> Provenance:
    uses = ("numpy", "numba") if isinstance(trial.recipe, MlpRecipe) else ("numpy", "torch", "torchvision")
    return collect(engine.device, trial.recipe.threads, uses)


@contextmanager
def limited_threads(recipe: Recipe) -> Iterator[None]:
    """Let this process compute with a recipe's number of threads, which changes bits."""
    with threadpool_limits(recipe.threads):
        if not isinstance(recipe, MlpRecipe):
            from eailab.engines.torch_resnet import devices

            devices.use_threads(recipe.threads)
        yield


@contextmanager
def _memory_shortage() -> Iterator[None]:
    """Turn what Python and torch raise when memory runs out into one error; torch is not imported for it."""
    try:
        yield
    except Exception as error:
        torch = sys.modules.get("torch")
        kinds = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
        if not isinstance(error, kinds):
            raise
        raise MemoryShortageError(
            f"there was not enough memory ({str(error).partition('.')[0] or 'on this machine'}). The batch size was "
            "not changed, since that would be another experiment: free memory, run one trial at a time with --jobs 1, "
            "or choose a smaller batch_size or model for all arms."
        ) from error
