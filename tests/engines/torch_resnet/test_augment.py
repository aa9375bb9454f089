"""Augmentation, against torchvision's own operations on the same draws."""

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as reference

from eailab.engines.torch_resnet import augment
from eailab.engines.torch_resnet.augment import PixelTable
from eailab.recipe.parts import CropFlip, Cutout, NoAugment, Resize224, TrivialAugment


def table(count=12, height=10, width=8, channels=3):
    """Return pixels `[count, height, width, channels]`, and the table of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, channels)).astype(np.uint8)
    pixels.flags.writeable = False
    return torch.tensor(pixels).permute(0, 3, 1, 2), PixelTable(pixels, torch.device("cpu"))


def drawn_by(way, count, seed=0):
    draws = way.draw(np.random.default_rng(seed), count)
    return {name: torch.from_numpy(values) for name, values in draws.items()}


def build(settings, height=10, width=8, mean=(10.0, 20.0, 30.0)):
    return augment.build(settings, height, width, torch.tensor(mean)[:, None, None])


CHOSEN = torch.tensor([3, 3, 0, 11, 7, 3, 5, 1])


def test_crop_flip_is_exactly_torchvisions_pad_crop_flip():
    images, split = table()
    way = build(CropFlip(padding=4))
    drawn = drawn_by(way, len(CHOSEN))
    expected = []
    for number, top, left, flipped in zip(CHOSEN, drawn["top"], drawn["left"], drawn["flipped"], strict=True):
        image = reference.crop(reference.pad(images[number], [4]), int(top), int(left), 10, 8)
        expected.append(reference.horizontal_flip(image) if flipped else image)
    assert 0 < drawn["flipped"].sum() < len(CHOSEN)
    assert torch.equal(way.train(split, CHOSEN, drawn), torch.stack(expected))


def test_crops_and_flips_are_drawn_evenly():
    """Each of the nine places of a padding of 4, and either side, as often as any other."""
    drawn = build(CropFlip(padding=4)).draw(np.random.default_rng(0), 30_000)
    for name, places in (("top", 9), ("left", 9), ("flipped", 2)):
        shares = np.bincount(drawn[name].astype(np.int64)) / 30_000
        assert shares == pytest.approx(np.full(places, 1 / places), abs=0.01)


def test_no_augmentation_gives_the_images_as_they_are():
    images, split = table()
    way = build(NoAugment())
    assert torch.equal(way.train(split, CHOSEN, {}), images[CHOSEN])
    assert torch.equal(way.evaluate(images[CHOSEN]), images[CHOSEN])


def test_cutout_covers_one_square_with_the_training_mean():
    images, split = table()
    way = build(Cutout(padding=0, size=4))
    drawn = drawn_by(way, len(CHOSEN)) | {"flipped": torch.zeros(len(CHOSEN), dtype=torch.bool)}
    expected = images[CHOSEN].float()
    for image, row, column in zip(expected, drawn["centre_row"], drawn["centre_column"], strict=True):
        rows = slice(max(0, int(row) - 2), int(row) + 2)
        columns = slice(max(0, int(column) - 2), int(column) + 2)
        image[:, rows, columns] = torch.tensor([10.0, 20.0, 30.0])[:, None, None]
    assert torch.equal(way.train(split, CHOSEN, drawn), expected)


def test_trivial_augment_varies_the_crops_and_leaves_evaluation_alone():
    images, split = table()
    way = build(TrivialAugment(padding=4))
    drawn = drawn_by(way, len(CHOSEN))
    cropped = build(CropFlip(padding=4)).train(split, CHOSEN, drawn)
    varied = way.train(split, CHOSEN, drawn)
    identity = drawn["operation"] == 0
    assert torch.equal(varied[identity], cropped[identity])
    assert not torch.equal(varied, cropped)
    assert torch.equal(way.evaluate(images[CHOSEN]), images[CHOSEN])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 32), (300, 280)])
def test_resize_224_is_torchvisions_before_rounding(height, width):
    """The mean absolute difference from the chain of float resizings is far below one pixel value (bar: 1/255)."""
    images, split = table(count=4, height=height, width=width)
    way = build(Resize224(scale_min=0.3), height, width)
    chosen = torch.tensor([2, 0, 3, 1, 1])
    drawn = drawn_by(way, len(chosen))
    expected = []
    for row, number in enumerate(chosen):
        top, left, rows, columns = (int(drawn[name][row]) for name in ("top", "left", "rows", "columns"))
        resized = reference.resize(images[number].float(), [256], antialias=True)
        image = reference.resized_crop(resized, top, left, rows, columns, [224, 224], antialias=True)
        expected.append(reference.horizontal_flip(image) if drawn["flipped"][row] else image)
    ours = way.train(split, chosen, drawn)
    assert ours.shape == (5, 3, 224, 224)
    torch.testing.assert_close(ours, torch.stack(expected), rtol=0.0, atol=2e-3)
    assert (ours - torch.stack(expected)).abs().mean() < 1.0 / 255.0
    seen = reference.center_crop(reference.resize(images[chosen].float(), [256], antialias=True), [224, 224])
    torch.testing.assert_close(way.evaluate(images[chosen]), seen, rtol=0.0, atol=2e-3)


@pytest.mark.parametrize(("height", "width", "scale_min"), [(32, 32, 0.8), (32, 64, 0.8), (64, 32, 0.2)])
def test_resized_crops_are_distributed_as_torchvisions(height, width, scale_min):
    """Means and deviations of place and size, over 3,000 draws of each, differ by less than five standard errors."""
    way = build(Resize224(scale_min=scale_min), height, width)
    drawn = way.draw(np.random.default_rng(1), 3000)
    resized = torch.empty(1, *augment.scaled_size(height, width, 256))
    torch.manual_seed(0)
    ratio = list(augment.Resized224.RATIO)
    theirs = np.array([RandomResizedCrop.get_params(resized, [scale_min, 1.0], ratio) for _ in range(3000)])
    for column, name in enumerate(("top", "left", "rows", "columns")):
        ours, other = drawn[name].astype(float), theirs[:, column].astype(float)
        error = np.sqrt((ours.var() + other.var()) / 3000) + 1e-9
        assert abs(ours.mean() - other.mean()) < 5 * error
        assert ours.std() == pytest.approx(other.std(), rel=0.15, abs=1e-9)
    assert min(drawn["top"].min(), drawn["left"].min()) >= 0
    assert (drawn["top"] + drawn["rows"]).max() <= resized.shape[1]
    assert (drawn["left"] + drawn["columns"]).max() <= resized.shape[2]


def test_normalisation_scales_by_the_training_split_and_repeats_grey(make_data):
    data = make_data(channels=1)
    normalise = augment.Normalisation(data, torch.device("cpu"), torch.contiguous_format)
    images = torch.tensor(data.train.pixels).permute(0, 3, 1, 2)
    scaled = normalise(images)
    assert scaled.shape == (40, 3, 32, 32)
    assert torch.equal(scaled[:, 0], scaled[:, 2])
    assert scaled.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert scaled.std(correction=0).item() == pytest.approx(1.0, abs=1e-5)
