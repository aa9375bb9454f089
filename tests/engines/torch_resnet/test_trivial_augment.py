"""TrivialAugment on batches, against torchvision's operations on single images."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, autoaugment

from eailab.engines.torch_resnet import trivial_augment

TORCHVISION = {
    "identity": "Identity",
    "shear-x": "ShearX",
    "shear-y": "ShearY",
    "translate-x": "TranslateX",
    "translate-y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "colour": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
}


def pictures(count: int, channels: int) -> torch.Tensor:
    """Return smooth and noisy images of unlike ranges, `[count, channels, 24, 20]`."""
    random = np.random.default_rng(5)
    coarse = random.integers(0, 256, (count, channels, 6, 5)).repeat(4, 2).repeat(4, 3)
    noise = random.integers(-20, 21, (count, channels, 24, 20))
    narrow = np.linspace(0.2, 1.0, count)[:, None, None, None]
    return torch.from_numpy(np.clip((coarse + noise) * narrow, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", trivial_augment.OPERATIONS)
def test_each_operation_equals_torchvisions_at_every_strength(name, channels):
    """Pixels may differ where rounding decides (a tie of two neighbours, a last bit): one in a thousand, no more."""
    kind = trivial_augment.OPERATIONS[name]
    strengths = np.linspace(kind.first, kind.last, trivial_augment.STRENGTHS)
    strengths = np.rint(strengths) if name == "posterize" else strengths
    strengths = np.concatenate([strengths, -strengths]) if kind.signed else strengths
    images = pictures(len(strengths), channels)
    operation = torch.full((len(images),), trivial_augment.NUMBER[name])
    ours = trivial_augment.apply(images, operation, torch.from_numpy(strengths.astype(np.float32)))
    theirs = torch.stack(
        [
            autoaugment._apply_op(image, TORCHVISION[name], float(np.float32(level)), InterpolationMode.NEAREST, None)
            for image, level in zip(images, strengths, strict=True)
        ]
    )
    assert (ours != theirs).float().mean() <= 1e-3
    assert name == "identity" or (name, channels) == ("colour", 1) or (ours != images).any()


def test_a_batch_of_all_operations_is_each_image_alone():
    """No image may depend on what its neighbours are put through."""
    drawn = trivial_augment.draw(np.random.default_rng(1), 100)
    operation, strength = (torch.from_numpy(drawn[name]) for name in ("operation", "strength"))
    images = pictures(100, 3)
    together = trivial_augment.apply(images, operation, strength)
    alone = [trivial_augment.apply(images[i : i + 1], operation[i : i + 1], strength[i : i + 1]) for i in range(100)]
    assert len(operation.unique()) == len(trivial_augment.OPERATIONS)
    assert torch.equal(together, torch.cat(alone))


def test_operations_and_strengths_are_drawn_evenly_over_torchvisions_space():
    drawn = trivial_augment.draw(np.random.default_rng(0), 20_000)
    space = autoaugment.TrivialAugmentWide()._augmentation_space(trivial_augment.STRENGTHS)
    shares = np.bincount(drawn["operation"]) / 20_000
    assert shares == pytest.approx(1 / len(space), abs=0.006)
    for name, number in trivial_augment.NUMBER.items():
        strengths, signed = space[TORCHVISION[name]]
        allowed = np.atleast_1d(strengths.numpy()).astype(np.float64)
        found = np.unique(drawn["strength"][drawn["operation"] == number])
        assert np.unique(np.abs(found)) == pytest.approx(np.unique(allowed), abs=1e-4)
        assert (found.min() < 0.0) == signed
