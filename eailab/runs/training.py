"""The one loop: both engines are trained, measured and recorded by these lines."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from threadpoolctl import threadpool_limits

from eailab.data.dataset import TrialData
from eailab.data.split import trial_data
from eailab.data.table import load
from eailab.engines.base import Arrays, DeviceName, Engine, Expected, OnStep, Step, Turns, alone, build, train_in_turns
from eailab.errors import DamagedError, DataError, DivergedError, LostLockError, MemoryShortageError, StoppedError
from eailab.recipe.schema import MlpRecipe, Recipe
from eailab.runs.atomic import set_aside
from eailab.runs.cadence import EVERY_TEN_SECONDS, Cadence
from eailab.runs.events import Ended, EpochEnded, Event, SetAside, Started, Stepped, Waiting
from eailab.runs.provenance import Provenance, bits_depend_on, collect
from eailab.runs.records import Epoch, Result
from eailab.runs.store import Store, Trial, TrialFolder

COPYING_SHARE = 0.01
"""Of a thread's time, at most, goes into copies of its trials' states that are written only if they are stopped."""
WAITING_SECONDS = 0.2
"""Until a trial that another process holds is looked at again."""


Build: TypeAlias = Callable[[Recipe, TrialData, int, DeviceName], Engine]
"""What returns a trial's engine at the trial's beginning; see `engines.base.build`."""


def train(engine: Engine, first: int, epochs: int, on_step: Callable[[int, Step], None]) -> Iterator[Epoch | float]:
    """Train epochs `first` to `epochs`, yielding each as it ends. The test split is not looked at here.

    Where other trials may be served it yields a number; see `engines.base.Turns`.

    Raises:
        DivergedError: A loss is not finite.
    """
    for number in range(first, epochs + 1):
        trained = yield from train_in_turns(engine, number, _numbered(on_step, number))
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
    """Bring one trial to its result, with nothing beside it in this process; see `trial_in_turns`."""
    with limited_threads(trial.recipe):
        alone(trial_in_turns(trial, store, on_event, should_stop, data_dir, device, cadence, build))


def trial_in_turns(
    trial: Trial,
    store: Store,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    data_dir: Path | None,
    device: DeviceName,
    cadence: Cadence,
    build: Build,
) -> Turns[None]:
    """Bring one trial to its result, from its last checkpoint if there is one; a finished trial is left alone.

    While another process trains it, this one waits. To be driven within `limited_threads`, which is the process's.

    Args:
        trial: What to train.
        store: Where it is recorded.
        on_event: Told what happens; must not take long.
        should_stop: Asked between steps; when true, the epoch in progress is given up.
        data_dir: Folder of downloaded data sets; None for the usual one.
        device: Where the torch engine runs.
        cadence: How often the state is written.
        build: What gives the engine.

    Raises:
        StoppedError: `should_stop` said so; the same call goes on from the last checkpoint.
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
                    yield from _run_locked(trial, folder, on_event, should_stop, data_dir, device, cadence, build)
                    return
        except LostLockError:
            pass  # whoever took it brings it to its end; we wait like any other
        if not waiting:
            on_event(Waiting(trial.fingerprint))
            waiting = True
        if should_stop():
            raise StoppedError(f"stopped while another process trained {trial.fingerprint}.")
        yield WAITING_SECONDS


def _run_locked(
    trial: Trial,
    folder: TrialFolder,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    data_dir: Path | None,
    device: DeviceName,
    cadence: Cadence,
    build: Build,
) -> Turns[None]:
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
    folder.begin(trial, done + 1)
    on_event(Started(trial.fingerprint, engine.device, recipe.threads, recipe.epochs, done, anew))
    keeper = _Keeper(engine, trial, folder, environment, cadence, done)
    result = yield from _train_and_record(engine, trial, folder, data, keeper, provenance, on_event, should_stop)
    on_event(Ended(trial.fingerprint, result.status, result.test))


class _Keeper:
    """Sees to it that a trial's state is on the disk when it is needed.

    It is written at the cadence. Between two writings the state after each epoch is copied in memory, as long as that
    takes next to no time, so that a trial that is stopped leaves its last finished epoch.
    """

    def __init__(
        self, engine: Engine, trial: Trial, folder: TrialFolder, environment: str, cadence: Cadence, done: int
    ) -> None:
        self.engine, self.trial, self.folder = engine, trial, folder
        self.environment, self.cadence = environment, cadence
        self.began = self.saved_at = time.perf_counter()
        self.saved = done
        self.writing = self.copying = 0.0
        self.copy: tuple[Arrays, int] | None = None

    def epoch_ended(self, epoch: int) -> None:
        """Write or copy the state; after the last epoch there is nothing to go on to."""
        now = time.perf_counter()
        if epoch >= self.trial.recipe.epochs:
            return
        if self.cadence.is_due(epoch - self.saved, now - self.saved_at, self.writing):
            self._write(self.engine.state(), epoch)
            self.writing = time.perf_counter() - now
        elif self.copying * self.cadence.trials <= COPYING_SHARE * (now - self.began):
            self.copy = (self.engine.state(), epoch)
            self.copying += time.perf_counter() - now

    def stopped(self) -> None:
        """Write the last state that was copied, if it is newer than the one on the disk."""
        if self.copy is not None:
            self._write(*self.copy)

    def _write(self, state: Arrays, epoch: int) -> None:
        self.folder.save_checkpoint(state, self.trial, epoch, self.environment)
        self.saved, self.saved_at, self.copy = epoch, time.perf_counter(), None


def _train_and_record(
    engine: Engine,
    trial: Trial,
    folder: TrialFolder,
    data: TrialData,
    keeper: _Keeper,
    provenance: Provenance,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> Turns[Result]:
    def on_step(epoch: int, step: Step) -> None:
        if should_stop():
            keeper.stopped()
            raise StoppedError(f"stopped in epoch {epoch}.")
        on_event(Stepped(trial.fingerprint, epoch, step))

    epochs = folder.epochs()
    began, used = time.perf_counter(), engine.joules()
    try:
        for epoch in train(engine, keeper.saved + 1, trial.recipe.epochs, on_step):
            if not isinstance(epoch, Epoch):
                yield epoch  # others may be served now
                continue
            seconds = time.perf_counter() - began
            folder.add_epoch(epoch)
            now = engine.joules()
            joules = None if used is None or now is None else now - used
            folder.add_timing(epoch.number, seconds, len(data.train), provenance, joules)
            epochs.append(epoch)
            on_event(EpochEnded(trial.fingerprint, epoch, seconds))
            keeper.epoch_ended(epoch.number)
            began, used = time.perf_counter(), engine.joules()
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
    )
    predictions = {"validation": validation.predictions, "test": test.predictions}
    folder.finish(trial, result, engine.weights(), predictions, Expected.by(data).facts())
    return result


def is_finished(folder: TrialFolder) -> bool:
    """Whether a trial has a result that holds; a damaged one is set aside, to be trained again.

    Raises:
        StoreError: The result is of a newer version, or the system does not let us read or rename it.
    """
    try:
        return folder.result() is not None
    except DamagedError:
        set_aside(folder.result_file)
        return False


def _resume(engine: Engine, trial: Trial, folder: TrialFolder, environment: str) -> tuple[int, str]:
    """Take up the last checkpoint, and return the epochs behind it, and why it is not taken up if it is not."""
    found = folder.load_checkpoint(trial, environment)
    if found is None or isinstance(found, str):
        return 0, found or ""
    state, epoch = found
    engine.load_state(state)
    return epoch, ""


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
