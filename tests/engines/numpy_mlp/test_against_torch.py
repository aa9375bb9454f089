"""Whole trainings, step by step, against the same net in torch: an independent reference for every rule at once."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from eailab.data.dataset import Images, TrialData
from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.recipe.schema import MlpRecipe
from eailab.seeding import stream

INPUTS, CLASSES, IMAGES = 12, 4, 60
ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}


class TorchTrial:
    """The same trial written with torch's own parts, from the same initial weights and in the same order."""

    def __init__(self, recipe: MlpRecipe, data: TrialData, weights: dict[str, np.ndarray]) -> None:
        self.recipe, self.data = recipe, data
        widths = [INPUTS, *recipe.model.hidden, CLASSES]
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            linear = nn.Linear(inputs, outputs)
            linear.weight.data = torch.tensor(weights[f"layers.{number}.weight"])
            linear.bias.data = torch.tensor(weights[f"layers.{number}.bias"])
            layers.append(linear)
            if number < len(recipe.model.hidden):
                if recipe.model.norm == "batch":
                    layers.append(nn.BatchNorm1d(outputs))
                layers.append(ACTIVATIONS[recipe.model.activations[number]]())
        self.net = nn.Sequential(*layers).double()
        self.optimizer = OPTIMIZERS[recipe.optimizer.name](self.net.parameters(), recipe.optimizer)
        self.average = None
        if recipe.ema is not None:
            self.average = torch.optim.swa_utils.AveragedModel(
                self.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema)
            )

    def inputs(self, images: Images) -> torch.Tensor:
        """Normalise the images."""
        pixels = images.pixels.reshape(len(images), -1).astype(np.float64)
        return torch.tensor((pixels - np.float64(self.data.mean)) / np.float64(self.data.std))

    def train_epoch(self, number: int, rates: np.ndarray) -> None:
        """Train over the training split once."""
        inputs, labels = self.inputs(self.data.train), torch.tensor(self.data.train.labels)
        order = stream(0, "order", number).permutation(len(labels))
        for lr, start in zip(rates, range(0, len(order), self.recipe.batch_size), strict=True):
            rows = order[start : start + self.recipe.batch_size]
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                self.net(inputs[rows]), labels[rows], label_smoothing=self.recipe.label_smoothing
            )
            loss.backward()
            self.optimizer.step()
            if self.average is not None:
                self.average.update_parameters(self.net)

    def weights(self) -> dict[str, np.ndarray]:
        """Return the evaluated weights by the engine's names."""
        net = self.net if self.average is None else self.average.module
        linears = [layer for layer in net if isinstance(layer, nn.Linear)]
        norms = [layer for layer in net if isinstance(layer, nn.BatchNorm1d)]
        parts = {f"layers.{n}.{k}": v for n, layer in enumerate(linears) for k, v in layer.state_dict().items()}
        parts |= {f"norms.{n}.{k}": v for n, layer in enumerate(norms) for k, v in layer.state_dict().items()}
        return {k: v.numpy() for k, v in parts.items() if not k.endswith("num_batches_tracked")}

    def logits(self, images: Images) -> torch.Tensor:
        """Return the logits as in evaluation."""
        net = self.net if self.average is None else self.average.module
        net.eval()
        with torch.no_grad():
            values = net(self.inputs(images))
        net.train()
        return values


OPTIMIZERS = {
    "sgd": lambda p, s: torch.optim.SGD(
        p, lr=s.lr, momentum=s.momentum, nesterov=s.nesterov, weight_decay=s.weight_decay
    ),
    "adam": lambda p, s: torch.optim.Adam(p, lr=s.lr, betas=tuple(s.betas), weight_decay=s.weight_decay),
    "adamw": lambda p, s: torch.optim.AdamW(p, lr=s.lr, betas=tuple(s.betas), weight_decay=s.weight_decay),
}

TRAININGS: dict[str, dict[str, object]] = {
    "sgd": {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.0, "weight_decay": 0.0}},
    "sgd with momentum and decay": {"optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.01}},
    "sgd with nesterov": {"optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.8, "nesterov": True}},
    "adam": {},
    "adam with a penalty": {"optimizer": {"name": "adam", "lr": 0.003, "weight_decay": 0.02, "betas": [0.8, 0.99]}},
    "adamw": {"optimizer": {"name": "adamw", "lr": 0.003, "weight_decay": 0.1}},
    "one row a batch": {"batch_size": 1, "epochs": 4},
    "sgd, one row a batch": {"batch_size": 1, "epochs": 4, "optimizer": {"name": "sgd", "lr": 0.005}},
    "the whole set a batch": {"batch_size": IMAGES, "epochs": 200},
    "a last batch of one row": {"batch_size": 59, "epochs": 100},
    "relu, then sigmoid": {"model": {"name": "mlp", "hidden": [9, 7], "activation": ["relu", "sigmoid"]}},
    "tanh, then gelu": {"model": {"name": "mlp", "hidden": [9, 7], "activation": ["tanh", "gelu"]}},
    "batch normalisation": {"model": {"name": "mlp", "hidden": [9, 7], "norm": "batch", "init": "torch"}},
    "smoothed labels": {"label_smoothing": 0.1, "model": {"name": "mlp", "hidden": [16], "init": "xavier"}},
    "averaged weights": {"ema": 0.95, "model": {"name": "mlp", "hidden": [9], "norm": "batch"}},
    "one cycle": {"schedule": {"name": "onecycle"}},
    "cosine after a warm-up": {"schedule": {"name": "cosine", "warmup_epochs": 2.5}},
    "steps": {"schedule": {"name": "steplr", "step_size": 5, "gamma": 0.5}},
}


@pytest.mark.parametrize("changes", TRAININGS.values(), ids=TRAININGS.keys())
def test_every_epoch_of_a_training_ends_at_the_weights_that_torch_finds(changes: dict[str, object], recipe, trial_data):
    """200 steps and more, in 64 bits: an error of any rule would grow far beyond the tolerance."""
    data, asked = trial_data(IMAGES), recipe(**changes)
    engine = MlpEngine(asked, data, block=0, dtype=np.float64)
    initial = engine.weights()
    reference = TorchTrial(asked, data, initial)
    rates = engine.rates.reshape(asked.epochs, -1)
    for number in range(1, asked.epochs + 1):
        engine.train_epoch(number, lambda _: None)
        reference.train_epoch(number, rates[number - 1])
        ours, theirs = engine.weights(), reference.weights()
        assert ours.keys() == theirs.keys()
        for name, weights in ours.items():
            assert_allclose(weights, theirs[name], rtol=0, atol=1e-9, err_msg=f"{name} after epoch {number}")
    assert engine.steps >= 200
    assert np.abs(ours["layers.0.weight"] - initial["layers.0.weight"]).max() > 1e-2
    evaluation = engine.evaluate("test")
    logits = reference.logits(data.test)
    loss = nn.functional.cross_entropy(logits, torch.tensor(data.test.labels)).item()
    assert evaluation.scores["test_loss"] == pytest.approx(loss, abs=1e-9)
    assert evaluation.predictions.tolist() == logits.argmax(dim=1).tolist()
