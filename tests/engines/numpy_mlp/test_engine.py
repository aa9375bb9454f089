"""What the runner counts on: bits, states, reports, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from eailab.engines.base import Step
from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.engines.registry import build
from eailab.errors import DataError, DivergedError

DEMANDING = {
    "data": {"name": "made", "augment": {"name": "deform", "shift": 0.5, "nodes": 2}},
    "model": {"name": "mlp", "hidden": [9, 7], "activation": ["relu", "sigmoid"], "dropout": 0.2, "norm": "batch"},
    "optimizer": {"name": "adamw", "lr": 0.003},
    "schedule": {"name": "onecycle"},
    "label_smoothing": 0.1,
    "ema": 0.9,
}
"""A recipe in which everything that has a state or draws is in use."""


def train(engine: MlpEngine, epochs: range) -> list[object]:
    return [(engine.train_epoch(number, lambda _: None), engine.evaluate("validation").scores) for number in epochs]


def bits(engine: MlpEngine) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in (engine.state() | engine.weights()).items()}


@pytest.mark.parametrize("changes", [{}, DEMANDING, {"batch_size": 1}], ids=["plain", "demanding", "one row"])
def test_equal_seeds_give_equal_bits_and_others_do_not(changes, recipe, trial_data):
    engines = [MlpEngine(recipe(**changes), trial_data(), block) for block in (4, 4, 5)]
    scores = [train(engine, range(1, 4)) for engine in engines]
    assert scores[0] == scores[1] != scores[2]
    assert bits(engines[0]) == bits(engines[1]) != bits(engines[2])


@pytest.mark.parametrize("changes", [{}, DEMANDING, {"optimizer": {"name": "sgd"}}], ids=["adam", "demanding", "sgd"])
def test_a_resumed_trial_ends_with_the_bits_of_an_unbroken_one(changes, recipe, trial_data):
    unbroken, first, second = (MlpEngine(recipe(**changes), trial_data(), 0) for _ in range(3))
    expected = train(unbroken, range(1, 7))
    train(first, range(1, 4))
    second.load_state(first.state())
    assert train(second, range(4, 7)) == expected[3:]
    assert bits(second) == bits(unbroken)


ODD = DEMANDING | {"batch_size": 7, "model": DEMANDING["model"] | {"hidden": [9, 6]}}
"""Dropout draws 15 numbers an image here, and an odd count a batch."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_trial_stopped_after_any_step_ends_with_the_bits_of_an_unbroken_one(dtype, recipe, trial_data, monkeypatch):
    """The sums of the epoch go on, the rest of its order, images and dropped units is drawn as if nothing had been."""
    monkeypatch.setattr("eailab.engines.numpy_mlp.engine.REPORT_SECONDS", 0.0)
    unbroken = MlpEngine(recipe(**ODD), trial_data(), 0, dtype)
    train(unbroken, range(1, 2))
    states = []
    expected = unbroken.train_epoch(2, lambda _: states.append(unbroken.state()))
    assert len(states) == 9
    for state in states:
        resumed = MlpEngine(recipe(**ODD), trial_data(), 0, dtype)
        resumed.load_state(state)
        assert resumed.train_epoch(2, lambda _: None) == expected
        assert bits(resumed) == bits(unbroken)


def test_a_state_between_two_epochs_is_as_earlier_versions_wrote_it(recipe, trial_data):
    """So theirs are gone on from."""
    engine = MlpEngine(recipe(), trial_data(), 0)
    assert set(engine.state()) == {"trained", "running", "moment.first", "moment.second", "steps"}
    train(engine, range(1, 2))
    assert set(engine.state()) == {"trained", "running", "moment.first", "moment.second", "steps"}


def test_a_state_is_a_copy_and_comes_back_as_it_was(recipe, trial_data):
    engine = MlpEngine(recipe(**DEMANDING), trial_data(), 0)
    train(engine, range(1, 3))
    state = engine.state()
    kept = {name: array.copy() for name, array in state.items()}
    train(engine, range(3, 4))
    for name, array in state.items():
        assert_array_equal(array, kept[name])
    engine.load_state(state)
    assert {name: array.tobytes() for name, array in engine.state().items()} == {
        name: array.tobytes() for name, array in kept.items()
    }


def test_arithmetic_is_in_32_bits(recipe, trial_data):
    engine = build(recipe(**DEMANDING), trial_data(), 0)
    engine.train_epoch(1, lambda _: None)
    assert {array.dtype for array in engine.weights().values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("batch_size", [1, 7, 59, 60])
def test_every_image_is_seen_once_an_epoch_whatever_the_batch_size(batch_size, recipe, trial_data):
    """With a learning rate too small to move anything, the running scores are those of the untrained net."""
    data = trial_data(60)
    still = {"optimizer": {"name": "sgd", "lr": 1e-30, "momentum": 0.0, "weight_decay": 0.0}}
    engine = MlpEngine(recipe(batch_size=batch_size, **still), replace(data, validation=data.train), 0)
    before = engine.evaluate("validation").scores
    steps: list[Step] = []
    scores = engine.train_epoch(1, steps.append)
    assert scores["train_accuracy"] == pytest.approx(before["validation_accuracy"])
    assert scores["train_loss"] == pytest.approx(before["validation_loss"], rel=1e-5)
    assert steps[-1] == Step(engine.steps_per_epoch, -(-60 // batch_size), scores["train_loss"])


def test_a_tiny_set_is_learnt_by_heart(recipe, trial_data):
    data = trial_data(20)
    engine = MlpEngine(recipe(epochs=500, optimizer={"name": "adam", "lr": 0.01}), data, 0)
    for number in range(1, 501):
        scores = engine.train_epoch(number, lambda _: None)
    assert scores["train_loss"] < 1e-3
    assert scores["train_accuracy"] == 1.0


def test_training_with_everything_on_learns_what_can_be_learnt(recipe, trial_data):
    """Deformation, dropout, normalisation, smoothing and averaging together still find the class's own pixel."""
    engine = MlpEngine(recipe(**DEMANDING | {"epochs": 60}), trial_data(400), 0)
    before = engine.evaluate("test").scores["test_loss"]
    train(engine, range(1, 61))
    assert engine.evaluate("test").scores["test_loss"] < 0.8 * before


def test_a_loss_that_is_not_finite_stops_before_the_optimizer_acts(recipe, trial_data):
    engine = MlpEngine(recipe(optimizer={"name": "sgd", "lr": 1e30}), trial_data(), 0)
    with pytest.raises(DivergedError) as caught:
        train(engine, range(1, 10))
    assert caught.value.epoch == 1
    assert engine.steps == caught.value.step - 1 < 7
    assert not np.isfinite(caught.value.value)


def test_progress_is_reported_now_and_then_and_a_report_may_stop_the_epoch(recipe, trial_data, monkeypatch):
    monkeypatch.setattr("eailab.engines.numpy_mlp.engine.REPORT_SECONDS", 0.0)
    engine = MlpEngine(recipe(), trial_data(60), 0)
    steps: list[Step] = []
    engine.train_epoch(1, steps.append)
    assert [step.step for step in steps] == list(range(1, 9))

    def stop(_: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.train_epoch(2, stop)


def test_an_epoch_without_much_to_tell_reports_its_end_only(recipe, trial_data, monkeypatch):
    monkeypatch.setattr("eailab.engines.numpy_mlp.engine.REPORT_SECONDS", 3600.0)
    steps: list[Step] = []
    MlpEngine(recipe(), trial_data(60), 0).train_epoch(1, steps.append)
    assert [step.step for step in steps] == [8]


def test_the_averaged_weights_are_what_is_evaluated(recipe, trial_data):
    averaged, plain = (MlpEngine(recipe(**changes), trial_data(), 0) for changes in ({"ema": 0.99}, {}))
    for engine in (averaged, plain):
        train(engine, range(1, 3))
    assert_array_equal(averaged.trained, plain.trained)
    assert averaged.evaluate("test").scores != plain.evaluate("test").scores
    assert (averaged.weights()["layers.0.weight"] != plain.weights()["layers.0.weight"]).any()


def test_predictions_are_the_classes_behind_the_accuracy(recipe, trial_data):
    data = trial_data()
    engine = MlpEngine(recipe(), data, 0)
    train(engine, range(1, 10))
    evaluation = engine.evaluate("test")
    assert evaluation.predictions.dtype == np.uint16
    assert np.mean(evaluation.predictions == data.test.labels) == evaluation.scores["test_accuracy"]


def test_parameters_are_counted_without_the_gaps_between_them(recipe, trial_data):
    assert MlpEngine(recipe(), trial_data(), 0).parameters == 12 * 9 + 9 + 9 * 7 + 7 + 7 * 4 + 4


def test_evaluation_in_chunks_leaves_out_nothing(recipe, trial_data, monkeypatch):
    data = trial_data()
    engine = MlpEngine(recipe(), data, 0)
    at_once = engine.evaluate("test")
    monkeypatch.setattr("eailab.engines.numpy_mlp.engine.EVALUATION_ROWS", 7)
    in_chunks = engine.evaluate("test")
    assert_array_equal(in_chunks.predictions, at_once.predictions)
    assert in_chunks.scores["test_loss"] == pytest.approx(at_once.scores["test_loss"], rel=1e-6)


def test_a_batch_over_the_training_split_is_refused(recipe, trial_data):
    with pytest.raises(
        DataError, match="batch_size 61 is larger than the training split of 60 images: take 60 or fewer"
    ):
        build(recipe(batch_size=61), trial_data(60), 0)


def test_batch_normalisation_of_single_images_is_refused(recipe, trial_data):
    with pytest.raises(DataError, match=r"take batch_size 2 or batch_size 3 or model\.norm none"):
        build(recipe(batch_size=1, model={"name": "mlp", "norm": "batch"}), trial_data(), 0)
