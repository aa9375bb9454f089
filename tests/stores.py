"""Small stores with hand-made results, written through the store's own functions."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from plans import one_factor
from scores import scored

from eailab.data.dataset import Dataset
from eailab.data.npz import pack_counts
from eailab.engines.spec import PREDICTIONS, WEIGHTS
from eailab.findings.path import best_move
from eailab.findings.study import StudyFindings, study_findings
from eailab.recipe.validate import recipe_from
from eailab.runs.records import Epoch, Provenance, Result
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.studies.design import Study, single, updates
from eailab.studies.heads import ENDS, STEPS_FOLDER
from eailab.studies.path_ablation import Move, PathAblation
from eailab.studies.storage import StudyRecord, read_record, write_record

TRAINING_IMAGES = 100
EPOCHS = 3

PROVENANCE = Provenance(
    eailab="0.1.0",
    python="3.12.1",
    packages={"numpy": "2.3.4"},
    platform="linux x86_64",
    processor="a processor",
    cores=2,
    host="a-secret-host",
    device="cpu",
    threads=1,
    finished="2026-01-02T03:04:05+00:00",
)


def recipe(**settings):
    plain = {
        "name": "tiny",
        "engine": "numpy-mlp",
        "data": {"name": "digits"},
        "optimizer": {"name": "adam"},
        "epochs": EPOCHS,
        "batch_size": 10,
    }
    return recipe_from(plain | settings)


class Predicted(float):
    """The validation accuracy of a trial, with the classes that it predicted."""

    classes: np.ndarray


@dataclass
class Shop:
    """A store in the making."""

    root: Path
    digits: Dataset | None = None
    """The real data set, whose test labels are then predicted as often right as a trial's outcome says."""
    largest_class: float | None = None
    """Share of the data's largest class, as studies record it."""
    validation_images: int = 4
    """On how many each trial was validated."""
    joules: float | None = None
    """That every epoch is said to have used."""
    scored: Callable[..., dict[str, float]] = scored
    """What is recorded for the loss and the accuracy of some splits."""

    @property
    def store(self) -> Store:
        """The store, as eailab opens it."""
        return Store(self.root)

    def study(self, outcomes, *, factor="batch-size", baseline=None, devices=None, **settings):
        """Write a study.

        Args:
            outcomes: For each level its outcome block by block: the last validation accuracy, be it with predictions,
                or `diverged`, `unfinished`, `missing` or `damaged`.
            factor: The varied field.
            baseline: A level.
            devices: Of the trials, block by block; all on the CPU where left out.
            settings: Of the recipe.

        Returns:
            The study's folder.
        """
        blocks = range(len(next(iter(outcomes.values()))))
        made = one_factor(recipe(**settings), factor, list(outcomes), blocks, baseline)
        return self.of(made, list(outcomes.values()), devices)

    def path(self, asked: PathAblation, ends, *steps) -> Path:
        """Write a path ablation and return its folder.

        Args:
            asked: Its recipes and moves.
            ends: Outcomes of its two recipes, block by block.
            steps: Of each step the outcomes of its candidates; None for one whose trials are there already.
        """
        folder = self.root / "studies" / asked.folder_name / STEPS_FOLDER
        folder.mkdir(parents=True)
        self.of(asked.ends(), ends).rename(folder / ENDS)
        taken: list[Move] = []
        there = ["missing"] * len(asked.blocks)
        for number, outcomes in enumerate(steps, start=1):
            made = self.of(asked.step(taken), [there, *(outcomes or [there])])
            taken.append(asked.candidates(taken)[best_move(self.findings(made))])
            made.rename(folder / str(number))
        return folder.parent

    def beside(self, name: str) -> "Shop":
        """Another store."""
        return Shop(self.root.parent / name)

    def trial(self, outcome, **settings):
        """Write the study of a single trial and return its folder."""
        return self.of(single(recipe(**settings), 0), [[outcome]])

    def findings(self, folder: Path) -> StudyFindings:
        """Return what is found in a study."""
        return study_findings(self.store, read_record(folder), widen=True)

    def trial_folder(self, folder: Path, arm: int, block: int):
        """Return the folder of a study's trial."""
        return self.store.folder(read_record(folder).trials[arm, block])

    def train_again(self, folder: Path, arm: int, block: int, epoch: int, seconds: float) -> None:
        """Record a second attempt at an epoch, as after a kill; of 60 images."""
        self.trial_folder(folder, arm, block).add_timing(epoch, seconds, 60, PROVENANCE)

    def of(self, made: Study, outcomes, devices=None) -> Path:
        """Write any study, with the outcomes of each arm block by block, and return its folder."""
        trials = made.trials([self.digits.fingerprint if self.digits else "d" * 64] * len(made.arms))
        record = StudyRecord(
            study=made,
            trials={key: trial.fingerprint for key, trial in trials.items()},
            updates=tuple(updates(arm.recipe, TRAINING_IMAGES) for arm in made.arms),
            training_images=TRAINING_IMAGES,
            largest_class=self.largest_class,
        )
        folder = self.root / "studies" / made.folder_name
        write_record(folder, record)
        for (arm, block), trial in trials.items():
            place = made.blocks.index(block)
            device = devices[place] if devices else "cpu"
            self._train(trial, outcomes[arm][place], Provenance(**PROVENANCE | {"device": device}))
        return folder

    def _train(self, trial: Trial, outcome, provenance) -> None:
        if outcome == "missing":
            return
        folder = self.store.folder(trial.fingerprint)
        if folder.path.exists():  # of a study that had it before
            return
        folder.path.mkdir(parents=True)
        folder.begin(trial, 1)
        accuracy = outcome if isinstance(outcome, float) else 0.5
        last = trial.recipe.epochs if isinstance(outcome, float) or outcome == "damaged" else 1
        for number in range(1, last + 1):
            loss, share = (2.0 - accuracy) / number, accuracy * number / last
            folder.add_epoch(Epoch(number, self.scored((loss, share), (loss + 0.125, share))))
            folder.add_timing(number, 0.5, TRAINING_IMAGES, provenance, self.joules)
        if outcome == "unfinished":
            return
        result = Result(
            status="diverged" if outcome == "diverged" else "finished",
            epochs=last,
            values={}
            if outcome == "diverged"
            else self.scored((loss, share), (loss + 0.125, share), (loss, accuracy - 0.01)),
            diverged_at=(2, 7) if outcome == "diverged" else None,
            parameters=1234,
            provenance=provenance,
        )
        validated = outcome.classes if isinstance(outcome, Predicted) else np.zeros(self.validation_images, np.uint16)
        predictions = {"validation": validated, "test": self._predicted(accuracy)}
        kept = {WEIGHTS.name: b"", PREDICTIONS.name: pack_counts(predictions)}
        folder.finish(trial, result, {} if outcome == "diverged" else kept)
        if outcome == "damaged":
            text = folder.result_file.read_text()
            record = json.loads(text)
            record["metrics"]["validation_accuracy"] = 0.999
            folder.result_file.write_text(json.dumps(record))

    def _predicted(self, accuracy: float):
        """Predictions of the test images: the first ones wrong by one class, as many as the accuracy leaves."""
        if self.digits is None:
            return np.zeros(25, np.uint16)
        predicted = self.digits.test.labels.astype(np.uint16)
        wrong = round((1.0 - accuracy) * len(predicted))
        predicted[:wrong] = (predicted[:wrong] + 1) % len(self.digits.classes)
        return predicted


@pytest.fixture(scope="session")
def shop_at():
    """Opens a shop anywhere, for tests that share one."""
    return Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    # Made up results contradict themselves; `tests/faults/test_lies.py` has true ones.
    monkeypatch.setattr("eailab.report.verify.check_study", lambda *_: ())
    monkeypatch.setattr(
        "eailab.report.verify.check_result", lambda folder: (found := folder.result()) and (found, None)
    )
    return Shop(tmp_path / "runs")
