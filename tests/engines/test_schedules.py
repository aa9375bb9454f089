"""Learning rates, step by step, against torch's schedulers."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.optim import lr_scheduler

from eailab.engines.schedules import MOST_STEPS, learning_rates, rates_by_epoch
from eailab.recipe.load import load, parse_override
from eailab.recipe.optimization import Constant, Cosine, Exponential, Lambda, MultiStep, OneCycle, StepLR

EPOCHS, STEPS, LR = 30, 7, 0.03

BY_EPOCH = {
    "constant": (Constant(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    "steplr": (StepLR(step_size=4, gamma=0.3), lambda o: lr_scheduler.StepLR(o, 4, 0.3)),
    "multistep": (
        MultiStep(milestones=[3, 11, 29], gamma=0.2),
        lambda o: lr_scheduler.MultiStepLR(o, [3, 11, 29], 0.2),
    ),
    "exponential": (Exponential(gamma=0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "inverse-sqrt": (Lambda(formula="inverse-sqrt"), lambda o: lr_scheduler.LambdaLR(o, lambda e: (1 + e) ** -0.5)),
    "inverse": (Lambda(formula="inverse"), lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + e))),
    "linear": (Lambda(formula="linear"), lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 - e / EPOCHS)),
    "poly2": (Lambda(formula="poly2"), lambda o: lr_scheduler.LambdaLR(o, lambda e: (1 - e / EPOCHS) ** 2)),
}
BY_STEP = {
    "cosine": (Cosine(), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS * STEPS)),
    "cosine to a tenth": (
        Cosine(final=0.1),
        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS * STEPS, eta_min=0.1 * LR),
    ),
    "onecycle": (OneCycle(), lambda o: lr_scheduler.OneCycleLR(o, max_lr=LR, total_steps=EPOCHS * STEPS)),
    "an early peak": (
        OneCycle(peak=0.1, start_divisor=10.0, final_divisor=100.0),
        lambda o: lr_scheduler.OneCycleLR(
            o, max_lr=LR, total_steps=EPOCHS * STEPS, pct_start=0.1, div_factor=10.0, final_div_factor=100.0
        ),
    ),
}


def torch_rates(make, every: int) -> np.ndarray:
    """Return the rate of each step under a scheduler that is stepped after every so many."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make(optimizer)
    rates = []
    for step in range(1, EPOCHS * STEPS + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step % every == 0 and step < EPOCHS * STEPS:
            scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize(("settings", "make"), BY_EPOCH.values(), ids=BY_EPOCH.keys())
def test_schedules_of_epochs_equal_torch_stepped_each_epoch(settings, make):
    assert_allclose(learning_rates(settings, LR, EPOCHS, STEPS), torch_rates(make, STEPS), rtol=1e-12)


@pytest.mark.parametrize(("settings", "make"), BY_STEP.values(), ids=BY_STEP.keys())
def test_schedules_of_steps_equal_torch_stepped_each_step(settings, make):
    rates = learning_rates(settings, LR, EPOCHS, STEPS)
    assert_allclose(rates, torch_rates(make, 1), rtol=1e-9, atol=1e-9 * LR)


@pytest.mark.parametrize("steps", [4, 5, 7])
def test_a_cycle_of_few_steps_begins_where_torchs_does(steps):
    """Its rise ends before the second step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=LR, total_steps=steps)
    expected = []
    for step in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    assert_allclose(learning_rates(OneCycle(), LR, 1, steps), expected, rtol=1e-9, atol=1e-9 * LR)


@pytest.mark.parametrize("warmup_epochs", [0.0, 0.5, 2.5, 100.0])
@pytest.mark.parametrize("make", [Constant, Cosine, StepLR])
def test_a_warm_up_multiplies_the_schedule_by_a_line_from_zero(make, warmup_epochs):
    """Step t (from 0) of w warm-up steps has the factor (t + 1) / w, then 1; the schedule does not wait."""
    rates = learning_rates(make(warmup_epochs=warmup_epochs), LR, EPOCHS, STEPS)
    plain = learning_rates(make(), LR, EPOCHS, STEPS)
    steps = warmup_epochs * STEPS
    expected = [rate * (min(1.0, (t + 1) / steps) if steps else 1.0) for t, rate in enumerate(plain)]
    assert_allclose(rates, expected, rtol=1e-12)
    assert (rates > 0.0).all()


def test_there_is_one_rate_for_every_step():
    assert learning_rates(OneCycle(), LR, 3, 5).shape == (15,)


@pytest.mark.parametrize("settings", [Constant(), Cosine(), OneCycle(), OneCycle(peak=0.9), StepLR()])
def test_a_trial_of_one_step_has_a_rate_that_is_finite(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates = learning_rates(settings, LR, 1, 1)
    assert np.isfinite(rates).all()
    assert (rates >= 0.0).all()


def test_the_rate_of_an_epoch_is_that_of_its_last_step():
    recipe = load("digits-mlp", [parse_override("schedule=cosine"), parse_override("epochs=4")]).recipe.images
    every = learning_rates(recipe.schedule, recipe.optimizer.lr, 4, 10)
    assert rates_by_epoch(recipe, 40) == pytest.approx([every[9], every[19], every[29], every[39]])
    assert rates_by_epoch(recipe, MOST_STEPS + 4) == ()
