"""The one loop: both engines are trained, measured and recorded by these lines."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from threadpoolctl import threadpool_limits

from eailab.data.dataset import TrialData
from eailab.data.split import trial_data
from eailab.data.table import load
from eailab.engines.base import DeviceName, Engine, OnStep, Step, build
from eailab.errors import DataError, DivergedError, StoppedError, StoreError
from eailab.recipe.schema import MlpRecipe
from eailab.runs.events import Ended, EpochEnded, Event, Started, Stepped, Waiting
from eailab.runs.provenance import Provenance, collect
from eailab.runs.store import Epoch, Result, Store, Trial, TrialFolder

CHECKPOINT_SECONDS = 10.0
"""At most this much finished work, and the epoch in progress, is lost when a trial is stopped or killed."""


def train(engine: Engine, first: int, epochs: int, on_step: Callable[[int, Step], None]) -> Iterator[Epoch]:
    """Train epochs `first` to `epochs`, yielding each as it ends. The test split is not looked at here.

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
) -> None:
    """Bring one trial to its result, from its last checkpoint if there is one; a finished trial is left alone.

    Args:
        trial: What to train.
        store: Where it is recorded.
        on_event: Told what happens; must not take long.
        should_stop: Asked between steps; when true, the epoch in progress is given up.
        data_dir: Folder of downloaded data sets; None for the usual one.
        device: Where the torch engine runs.

    Raises:
        StoppedError: `should_stop` said so; the same call goes on from the last checkpoint.
        DataError: The data are missing, or are not those that the trial is named after.
        DeviceError: The device is not here.
        StoreError: The store cannot be written.
    """
    folder = store.folder(trial.fingerprint)
    with folder.lock(wait=False) as ours:
        if ours:
            _run_locked(trial, folder, on_event, should_stop, data_dir, device)
            return
    on_event(Waiting(trial.fingerprint))
    while not should_stop():
        with folder.lock(wait=False) as ours:
            if ours:
                _run_locked(trial, folder, on_event, should_stop, data_dir, device)
                return
        time.sleep(0.2)
    raise StoppedError(f"stopped while another process trained {trial.fingerprint}.")


def _run_locked(
    trial: Trial,
    folder: TrialFolder,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    data_dir: Path | None,
    device: DeviceName,
) -> None:
    if is_finished(folder):
        _announce_end(trial, folder, on_event)
        return
    recipe = trial.recipe
    dataset = load(recipe.data.name, data_dir)
    if dataset.fingerprint != trial.data:
        raise DataError(
            f"the data set {recipe.data.name} has changed since the study was planned: start the command again."
        )
    with threadpool_limits(recipe.threads):
        _limit_torch_threads(trial)
        data = trial_data(dataset, recipe.data, trial.block)
        engine = build(recipe, data, trial.block, device)
        done = _resume(engine, trial, folder)
        folder.begin(trial, done + 1)
        on_event(Started(trial.fingerprint, engine.device, recipe.threads, recipe.epochs, done))
        result = _train_and_record(engine, trial, folder, data, done, on_event, should_stop)
        on_event(Ended(trial.fingerprint, result.status, result.test))


def _train_and_record(
    engine: Engine,
    trial: Trial,
    folder: TrialFolder,
    data: TrialData,
    done: int,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> Result:
    provenance = _provenance(engine, trial)

    def on_step(epoch: int, step: Step) -> None:
        if should_stop():
            raise StoppedError(f"stopped in epoch {epoch}.")
        on_event(Stepped(trial.fingerprint, epoch, step))

    epochs = folder.epochs()
    began = saved = time.perf_counter()
    try:
        for epoch in train(engine, done + 1, trial.recipe.epochs, on_step):
            now = time.perf_counter()
            folder.add_epoch(epoch)
            folder.add_timing(epoch.number, now - began, len(data.train), provenance)
            epochs.append(epoch)
            on_event(EpochEnded(trial.fingerprint, epoch, now - began))
            if now - saved > CHECKPOINT_SECONDS and epoch.number < trial.recipe.epochs:
                folder.save_checkpoint(engine.state(), trial, epoch.number)
                saved = time.perf_counter()
            began = time.perf_counter()
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
    folder.finish(trial, result, engine.weights(), predictions)
    return result


def is_finished(folder: TrialFolder) -> bool:
    """Whether a trial has a result that holds; a damaged one is set aside, to be trained again."""
    try:
        return folder.result() is not None
    except StoreError:
        folder.set_aside(folder.result_file)
        return False


def _resume(engine: Engine, trial: Trial, folder: TrialFolder) -> int:
    """Take up the last checkpoint, and return the epochs that it has behind it."""
    found = folder.load_checkpoint(trial)
    if found is None:
        return 0
    state, epoch = found
    engine.load_state(state)
    return epoch


def _announce_end(trial: Trial, folder: TrialFolder, on_event: Callable[[Event], None]) -> None:
    result = folder.result()
    if result is not None:
        on_event(Ended(trial.fingerprint, result.status, result.test))


def _numbered(on_step: Callable[[int, Step], None], number: int) -> OnStep:
    return lambda step: on_step(number, step)


def _provenance(engine: Engine, trial: Trial) -> Provenance:
    uses = ("numpy",) if isinstance(trial.recipe, MlpRecipe) else ("numpy", "torch", "torchvision")
    return collect(engine.device, trial.recipe.threads, uses)


def _limit_torch_threads(trial: Trial) -> None:
    if not isinstance(trial.recipe, MlpRecipe):
        import torch

        torch.set_num_threads(trial.recipe.threads)
