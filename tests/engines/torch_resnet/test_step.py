"""One training step: its loss, its mixtures, its moving average, and what a loss that is not finite does."""

import copy

import pytest
import torch
from torch.nn import functional

from eailab.engines.torch_resnet import models
from eailab.engines.torch_resnet.batches import Batch, Mix
from eailab.engines.torch_resnet.optimizers import OPTIMIZERS
from eailab.engines.torch_resnet.step import Average, Running, TrainingStep, batch_loss, count_correct
from eailab.recipe.optimization import Adam, AdamW, Sgd
from eailab.recipe.parts import ResNet

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0], [0.0, 0.0, 3.0]])
LABELS = torch.tensor([0, 2, 2])
IMAGES = torch.zeros(3, 3, 1, 1)


def test_label_smoothing_is_cross_entropy_with_an_even_share_of_the_target():
    target = 0.9 * functional.one_hot(LABELS, 3) + 0.1 / 3
    expected = -(target * LOGITS.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(batch_loss(LOGITS, Batch(IMAGES, LABELS), 0.1), expected)


def test_a_mixture_is_scored_by_the_shares_of_its_labels():
    """As in the mixup paper: equal to the cross-entropy with the mixed one-hot target."""
    batch = Batch(IMAGES, LABELS, Mix(torch.tensor([1, 2, 0]), torch.tensor(0.7)))
    target = 0.7 * functional.one_hot(LABELS, 3) + 0.3 * functional.one_hot(batch.mix.labels, 3)
    torch.testing.assert_close(batch_loss(LOGITS, batch, 0.0), functional.cross_entropy(LOGITS, target))
    assert count_correct(LOGITS, batch).item() == pytest.approx(0.7 + 0.0 + 0.7)


def small_step(settings, average=None):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    lr = torch.zeros(())
    optimizer = OPTIMIZERS[type(settings)](settings, dict(model.named_parameters()), lr)
    averaged = copy.deepcopy(model)
    mean = None if average is None else Average(averaged, model, average)
    return model, averaged, optimizer, TrainingStep(model, optimizer, lr, average=mean, smoothing=0.0, bf16=False)


def batch(seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(6, 3, 2, 2, generator=generator) * scale
    return Batch(images, torch.arange(6) % 3)


@pytest.mark.parametrize("settings", [Sgd(), Adam(), AdamW()], ids=lambda settings: settings.name)
def test_a_loss_that_is_not_finite_stops_the_optimizer_for_good(settings):
    """Neither weights nor moments move at that step or at a later, finite one."""
    model, _, optimizer, step = small_step(settings)
    step(batch(0), 0.1)
    before = copy.deepcopy((model.state_dict(), optimizer.moments))
    step(batch(1, scale=float("inf")), 0.1)
    step(batch(2), 0.1)
    for (name, value), old in zip(model.state_dict().items(), before[0].values(), strict=True):
        assert torch.equal(value, old), name
    for moment, by_name in optimizer.moments.items():
        assert all(torch.equal(value, before[1][moment][name]) for name, value in by_name.items())
    assert step.running.stopped.item() == 1.0
    assert step.running.steps.item() == 1
    assert not step.running.last_loss.isfinite()


def test_running_sums_weigh_each_step_by_its_images():
    running = Running(torch.device("cpu"))
    running.add(torch.tensor(2.0), torch.tensor(3.0), 4)
    running.add(torch.tensor(5.0), torch.tensor(1.0), 1)
    assert running.loss.item() / running.images.item() == pytest.approx((2.0 * 4 + 5.0) / 5)
    assert running.correct.item() / running.images.item() == pytest.approx(4 / 5)
    running.clear()
    assert running.images.item() == running.loss.item() == running.steps.item() == 0


def test_the_average_follows_the_weights_by_its_decay():
    """Against the recurrence written out: decay times the old average plus the rest of the new weight."""
    model, averaged, _, step = small_step(Sgd(), average=0.8)
    expected = model[1].weight.detach().clone()
    for seed in range(5):
        step(batch(seed), 0.1)
        expected = 0.8 * expected + 0.2 * model[1].weight.detach()
    torch.testing.assert_close(averaged[1].weight.detach(), expected)
    assert not torch.allclose(averaged[1].weight, model[1].weight, atol=1e-3)


def test_the_average_takes_running_statistics_along():
    """Batch statistics belong to the weights they were taken with, so they are averaged alike; counts are copied."""
    model = models.build(ResNet(width=0.125), 4, block=0).train()
    averaged = copy.deepcopy(model)
    model(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    Average(averaged, model, 0.75).update()
    torch.testing.assert_close(averaged.bn1.running_mean, 0.25 * model.bn1.running_mean)
    torch.testing.assert_close(averaged.bn1.running_var, 0.75 + 0.25 * model.bn1.running_var)
    assert averaged.bn1.num_batches_tracked.item() == 1
