"""The torch engine as a whole, against plain torch, and against itself."""

import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
import torch
from nursery import Program
from torch.nn import functional

from eailab.data.registry import load
from eailab.data.split import trial_data
from eailab.engines.base import Step
from eailab.engines.registry import build
from eailab.engines.torch_resnet import models
from eailab.engines.torch_resnet.engine import ResNetEngine, evaluation_batch
from eailab.errors import DataError, DivergedError
from eailab.seeding import stream

OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=2**-8, momentum=0.9, weight_decay=5e-4),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=2**-8, momentum=0.5, nesterov=True),
    "plain-sgd": lambda parameters: torch.optim.SGD(parameters, lr=2**-8),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=2**-10, weight_decay=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=2**-10, betas=(0.8, 0.95), weight_decay=0.1),
}
SETTINGS = {
    "sgd": {"name": "sgd", "lr": 2**-8},
    "nesterov": {"name": "sgd", "lr": 2**-8, "momentum": 0.5, "nesterov": True, "weight_decay": 0.0},
    "plain-sgd": {"name": "sgd", "lr": 2**-8, "momentum": 0.0, "weight_decay": 0.0},
    "adam": {"name": "adam", "lr": 2**-10, "weight_decay": 0.1},
    "adamw": {"name": "adamw", "lr": 2**-10, "betas": [0.8, 0.95], "weight_decay": 0.1},
}


def quiet(_: Step) -> None:
    """Take note of nothing."""


def train(engine, epochs):
    return [engine.train_epoch(number, quiet) for number in epochs]


def same(first, second):
    """Whether two states are equal to the bit."""
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and first[name].tobytes() == second[name].tobytes() for name in first
    )


def plain_losses(recipe, data, make_optimizer, make_scheduler):
    """Train as a tutorial would: one step after the other, torch's optimizer and scheduler, no tricks."""
    model = models.build(recipe.model, len(data.classes), block=0).train()
    optimizer = make_optimizer(model.parameters())
    scheduler = make_scheduler(optimizer)
    pixels = torch.tensor(data.train.pixels).permute(0, 3, 1, 2).contiguous()
    mean, std = (torch.from_numpy(values)[:, None, None] for values in (data.mean, data.std))
    images = ((pixels - mean.double()) / std.double()).to(torch.get_default_dtype())
    labels = torch.tensor(data.train.labels)
    losses = []
    for epoch in range(1, recipe.epochs + 1):
        order = torch.from_numpy(stream(0, "order", epoch).permutation(len(labels)))
        sums = 0.0
        for chosen in order.split(recipe.batch_size):
            loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums += loss.item() * len(chosen)
        scheduler.step()
        losses.append(sums / len(labels))
    return losses, model


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_equal_a_plain_loop_with_torchs_own_optimizer_and_scheduler(name, make_recipe, make_data, double):
    """Epoch losses agree to 1e-9 over ten epochs of five steps: only the fused optimizers round in another order.

    A weight decay or a moment's constant that is 1% off moves a loss by 1e-6 or more within these steps.
    """
    data = make_data(count=80, side=8)
    schedule = {"name": "steplr", "step_size": 4, "gamma": 0.5}
    recipe = make_recipe(
        augment="none",
        model={"stem": "3x3-nopool"},
        optimizer=SETTINGS[name],
        schedule=schedule,
        epochs=10,
        batch_size=16,
    )
    expected, model = plain_losses(
        recipe, data, OPTIMIZERS[name], lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5)
    )
    engine = ResNetEngine(recipe, data, 0, "cpu")
    found = [scores["train_loss"] for scores in train(engine, range(1, 11))]
    assert found == pytest.approx(expected, abs=1e-9)
    assert found[-1] < 0.7 * found[0]
    weights = engine.weights()
    assert weights.keys() == model.state_dict().keys()
    np.testing.assert_allclose(weights["fc.weight"], model.fc.weight.detach(), atol=1e-9)


def test_the_loss_falls_and_accuracy_rises(make_recipe, make_data):
    """With everything on; but no flips, which would swap the classes of these images."""
    recipe = make_recipe(augment="none", epochs=6, ema=0.9, mixup=0.2, label_smoothing=0.1)
    engine = ResNetEngine(recipe, make_data(200), 0, "cpu")
    before = engine.evaluate("validation").scores
    first, *_, last = train(engine, range(1, 7))
    after = engine.evaluate("validation").scores
    assert last["train_loss"] < first["train_loss"]
    assert last["train_accuracy"] > first["train_accuracy"]
    assert after["validation_loss"] < 0.75 * before["validation_loss"]
    assert after["validation_accuracy"] > 0.75


def test_the_loss_falls_on_the_real_cifar10(make_recipe, real_data):
    """Photographs, not made squares: three passes over 640 of them take the training loss clearly below chance."""
    recipe = make_recipe(
        augment="none", model={"width": 0.25}, optimizer={"name": "adam", "lr": 1e-3}, schedule={"name": "cosine"}
    )
    settings = recipe.data.model_copy(update={"limit": 640})
    data = trial_data(load("cifar10", real_data, download=False), settings, block=0)
    engine = ResNetEngine(recipe, data, 0, "cpu")
    first, _, last = train(engine, (1, 2, 3))
    assert last["train_loss"] < first["train_loss"] - 0.3
    assert last["train_loss"] < np.log(10) - 0.4
    assert engine.evaluate("validation").scores["validation_accuracy"] > 0.2


VARIANTS = [
    {"augment": "trivial-augment", "optimizer": {"name": "adam", "lr": 0.01}, "ema": 0.9},
    {"augment": "cutout", "mixup": 0.4, "label_smoothing": 0.1},
    {"augment": "crop-flip", "optimizer": {"name": "adamw"}, "precision": "bf16", "deterministic": True},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_trial_ends_with_the_same_bits(variant, make_recipe, make_data):
    recipe, data = make_recipe(**variant), make_data()
    whole = ResNetEngine(recipe, data, 3, "cpu")
    whole_scores = train(whole, (1, 2, 3))
    stopped = ResNetEngine(recipe, data, 3, "cpu")
    train(stopped, (1,))
    kept = stopped.state()
    train(stopped, (2,))
    resumed = ResNetEngine(recipe, data, 3, "cpu")
    resumed.load_state(kept)
    assert train(resumed, (2, 3)) == whole_scores[1:]
    assert same(resumed.state(), whole.state())
    assert resumed.evaluate("test").scores == whole.evaluate("test").scores


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trial_stopped_after_any_step_ends_with_the_same_bits(variant, make_recipe, make_data, monkeypatch):
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    recipe, data, states = make_recipe(**variant), make_data(), []
    whole = ResNetEngine(recipe, data, 3, "cpu")
    train(whole, (1,))
    expected = whole.train_epoch(2, lambda _: states.append(whole.state()))
    assert len(states) == 3
    for state in states:
        resumed = ResNetEngine(recipe, data, 3, "cpu")
        resumed.load_state(state)
        assert resumed.train_epoch(2, quiet) == expected
        assert same(resumed.state(), whole.state())


def test_a_state_between_two_epochs_is_as_earlier_versions_wrote_it(make_recipe, make_data):
    """So theirs are gone on from."""
    engine = ResNetEngine(make_recipe(), make_data(), 3, "cpu")
    train(engine, (1,))
    assert {name.partition("/")[0] for name in engine.state()} == {"model", "momentum_buffer"}


def test_the_same_block_repeats_and_another_differs(make_recipe, make_data):
    states = []
    for block in (5, 5, 6):
        engine = ResNetEngine(make_recipe(deterministic=True), make_data(), block, "cpu")
        train(engine, (1, 2))
        states.append(engine.state())
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


def test_evaluation_neither_changes_nor_draws_anything(make_recipe, make_data):
    engine = ResNetEngine(make_recipe(), make_data(), 0, "cpu")
    train(engine, (1,))
    before = engine.state()
    assert engine.evaluate("test").scores == engine.evaluate("test").scores
    assert same(engine.state(), before)


def test_evaluation_is_torchs_cross_entropy_of_the_weights_it_returns(make_recipe, make_data):
    """With a moving average, the averaged weights; grey images are repeated to three channels."""
    data = make_data(channels=1)
    engine = ResNetEngine(make_recipe(ema=0.9), data, 0, "cpu")
    train(engine, (1, 2))
    found = engine.evaluate("validation")
    model = models.build(make_recipe().model, 4, block=0).eval()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in engine.weights().items()})
    pixels = torch.tensor(data.validation.pixels).permute(0, 3, 1, 2).repeat(1, 3, 1, 1)
    logits = model((pixels - data.mean.item()) / data.std.item()).detach()
    labels = torch.tensor(data.validation.labels)
    assert found.scores["validation_loss"] == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert np.array_equal(found.predictions, logits.argmax(1).numpy())
    assert found.scores["validation_accuracy"] == (logits.argmax(1) == labels).double().mean().item()


def test_what_is_returned_is_a_copy_that_a_file_can_hold(make_recipe, make_data):
    """Row by row, though bf16 lays its weights out channels last."""
    engine = ResNetEngine(make_recipe(precision="bf16"), make_data(), 0, "cpu")
    before, weights = engine.state(), engine.weights()
    kept = {name: value.copy() for name, value in before.items()}
    train(engine, (1,))
    assert same(before, kept)
    assert np.array_equal(weights["fc.weight"], kept["model/fc.weight"])
    assert all(array.flags.c_contiguous for array in (before | weights).values())


def test_a_state_of_another_recipe_is_refused_and_changes_nothing(make_recipe, make_data):
    engine = ResNetEngine(make_recipe(), make_data(), 0, "cpu")
    before = engine.state()
    other = ResNetEngine(make_recipe(optimizer={"name": "adam"}), make_data(), 1, "cpu").state()
    with pytest.raises(DataError, match="another recipe"):
        engine.load_state(other)
    assert same(engine.state(), before)


def test_a_diverging_trial_stops_before_the_optimizer_acts(make_recipe, make_data):
    engine = ResNetEngine(make_recipe(optimizer={"lr": 1e30, "momentum": 0.0}), make_data(), 0, "cpu")
    with pytest.raises(DivergedError, match=r"epoch 1, step \d: the trial has diverged") as raised:
        train(engine, (1,))
    assert raised.value.step > 1
    assert not np.isfinite(raised.value.value)
    weights = {name: value for name, value in engine.weights().items() if "running" not in name}
    assert all(np.isfinite(value).all() for value in weights.values())


def test_progress_is_reported_now_and_then(make_recipe, make_data, monkeypatch):
    monkeypatch.setattr("eailab.engines.torch_resnet.engine.REPORT_SECONDS", 0.0)
    steps = []
    scores = ResNetEngine(make_recipe(), make_data(40), 0, "cpu").train_epoch(1, steps.append)
    assert [(step.step, step.steps) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert steps[-1].loss == scores["train_loss"]


def test_a_batch_larger_than_the_training_split_is_refused(make_recipe, make_data):
    with pytest.raises(DataError, match="batch_size 41 is larger than the training split of 40 images"):
        build(make_recipe(batch_size=41), make_data(40), 0, "cpu")


@pytest.mark.parametrize(("count", "batch_size"), [(33, 16), (33, 1)])
def test_a_batch_of_one_image_is_refused_where_batchnorm_cannot_have_it(count, batch_size, make_recipe, make_data):
    """Torch itself would stop in the last step; dropping the image would change the experiment without a word."""
    with pytest.raises(DataError, match=r"leaves a batch of one of the 33 training images.*take batch_size (\d+)") as e:
        build(make_recipe(batch_size=batch_size), make_data(count), 0, "cpu")
    offered = int(str(e.value).split("take batch_size ")[1].split(" ")[0])
    train(build(make_recipe(batch_size=offered), make_data(count), 0, "cpu"), (1,))


def test_a_batch_of_one_image_is_taken_on_larger_maps(make_recipe, make_data):
    recipe = make_recipe(model={"stem": "3x3"}, batch_size=16)
    scores = train(ResNetEngine(recipe, make_data(33), 0, "cpu"), (1,))
    assert np.isfinite(scores[0]["train_loss"])


def test_images_of_two_channels_are_refused(make_recipe, make_data):
    with pytest.raises(DataError, match="2 channels"):
        build(make_recipe(), make_data(channels=2), 0, "cpu")


def test_evaluation_batches_shrink_with_the_size_of_the_maps(make_recipe):
    """A thousand small images at once, but about 80 of those that resize-224 makes, on a full-width network."""
    wide = {"model": {"width": 1.0}}
    assert evaluation_batch(make_recipe(**wide), 32, 32) == 1000
    assert 50 <= evaluation_batch(make_recipe(augment="resize-224", **wide), 32, 32) <= 100


def test_a_trial_starts_without_torchs_compiler(nursery, tmp_path):
    """`torch._dynamo` and sympy take seconds to import, and every worker would wait for them before its first step."""
    code = """
import sys
import numpy as np
from eailab.data.dataset import Images, TrialData
from eailab.engines.registry import build
from eailab.recipe.validate import recipe_from
recipe = {"name": "r", "engine": "torch-resnet", "data": {"name": "d"}, "model": {"width": 0.02, "stem": "3x3-nopool"}}
recipe |= {"optimizer": {"name": "adam"}, "epochs": 1, "batch_size": 2}
images = Images(np.zeros((2, 5, 5, 3), np.uint8), np.zeros(2, np.int64))
data = TrialData(images, images, images, np.zeros(3, np.float32), np.ones(3, np.float32), ("a", "b"))
build(recipe_from(recipe), data, 0, "cpu").train_epoch(1, lambda step: None)
print(sorted({"torch._dynamo", "sympy", "torchvision"} & set(sys.modules)))
"""
    (tmp_path / "trial.py").write_text(code)
    with closing(Program(nursery, "trial.py", folder=tmp_path)) as trial:  # a process with torch, and no trial yet
        out, err = trial.communicate(timeout=120)
    assert out.strip() == "[]", err


def test_the_protocol_is_known_without_torch():
    """`--help`, the MLP and reports must not wait for torch."""
    code = "import sys, eailab.engines.base, eailab.engines.schedules; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
