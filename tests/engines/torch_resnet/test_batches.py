"""Batches: every image once an epoch, and mixtures whose images and labels are mixed alike."""

from itertools import chain

import numpy as np
import pytest
import torch

from eailab.data.dataset import Images, TrialData
from eailab.data.split import channel_stats
from eailab.engines.torch_resnet.augment import Normalisation, Unvaried, build, pixel_table
from eailab.engines.torch_resnet.batches import EvaluationBatches, TrainingBatches, augmented
from eailab.recipe.validate import recipe_from

CPU = torch.device("cpu")
COUNT = 37


def numbered():
    """Images of one grey each, whose label is that grey: what is in a batch can be read off its pixels."""
    labels = np.random.default_rng(0).permutation(COUNT)
    pixels = np.repeat(labels, 4 * 4).reshape(COUNT, 4, 4, 1).astype(np.uint8)
    return Images(pixels, labels.astype(np.int64))


def unscaled(images):
    nothing, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    data = TrialData(images, images, images, nothing, one, tuple(map(str, range(COUNT))))
    return Normalisation(data, CPU, torch.contiguous_format)


def training(mixup=None, block=3):
    images = numbered()
    return TrainingBatches(images, Unvaried(), unscaled(images), batch_size=8, mixup=mixup, block=block, device=CPU)


def greys(batch):
    """The one grey of each image."""
    assert batch.images.shape[1:] == (3, 4, 4)
    flat = batch.images.flatten(1)
    torch.testing.assert_close(flat.amin(1), flat.amax(1))
    return flat.mean(1)


@pytest.mark.parametrize("mixup", [None, 0.4])
def test_an_epoch_has_every_image_once_in_an_order_of_its_own(mixup):
    batches = training(mixup)
    epochs = [[batch.labels.tolist() for batch in batches.epoch(number)] for number in (1, 2)]
    for epoch in epochs:
        assert [len(labels) for labels in epoch] == [8, 8, 8, 8, 5]
        assert sorted(chain.from_iterable(epoch)) == list(range(COUNT))
    assert epochs[0] != epochs[1]
    assert [batch.labels.tolist() for batch in training(None).epoch(1)] == epochs[0]  # whatever else is drawn


def test_images_stay_with_their_labels():
    seen = EvaluationBatches(numbered(), Unvaried(), unscaled(numbered()), batch_size=8, device=CPU)
    for batch in [*training().epoch(1), *seen]:
        assert greys(batch).tolist() == batch.labels.tolist()
        assert batch.mix is None


def test_images_and_labels_are_mixed_in_the_same_shares():
    """Zhang et al. (2018), equation 1: a share of the first image and label, the rest of the second image and label."""
    shares = []
    for batch in training(mixup=0.4).epoch(1):
        share = batch.mix.share.item()
        expected = share * batch.labels.float() + (1.0 - share) * batch.mix.labels.float()
        torch.testing.assert_close(greys(batch), expected)
        assert sorted(batch.mix.labels.tolist()) == sorted(
            batch.labels.tolist()
        )  # partners are of the batch, each once
        assert not torch.equal(batch.mix.labels, batch.labels)
        shares.append(share)
    assert len(set(shares)) == 5
    assert all(0.0 <= share <= 1.0 for share in shares)


def test_trials_on_the_same_pixels_share_one_table_of_them():
    """A study's trials would else hold their data once each on the GPU."""
    one, other = numbered().pixels, numbered().pixels
    table = pixel_table(one, CPU)
    assert pixel_table(one, CPU) is table
    assert pixel_table(other, CPU) is not table


@pytest.mark.parametrize("mixup", [None, 0.4])
def test_the_images_of_a_sheet_are_those_that_are_trained_on(mixup):
    """As the network has them, scaled back to pixel values."""
    augment = {"name": "cutout", "padding": 2, "size": 2}
    settings = {"name": "t", "engine": "torch-resnet", "epochs": 1, "batch_size": 8, "mixup": mixup}
    recipe = recipe_from(settings | {"data": {"name": "digits", "augment": augment}, "optimizer": {"name": "sgd"}})
    images = numbered()
    data = TrialData(images, images, images, *channel_stats(images.pixels), tuple(map(str, range(COUNT))))
    found = augmented(recipe, data, 3, 20)

    normalise = Normalisation(data, CPU, torch.contiguous_format)
    cutout = build(recipe.data.augment, 4, 4, normalise.mean)
    trained = TrainingBatches(images, cutout, normalise, batch_size=8, mixup=mixup, block=3, device=CPU)
    batches = list(trained.epoch(1))[:3]
    seen = torch.cat([batch.images for batch in batches])[:20, :1] * normalise.std + normalise.mean
    assert np.abs(found.pixels[..., 0] - seen[:, 0].numpy()).max() <= 0.501
    assert images.labels[found.numbers].tolist() == torch.cat([batch.labels for batch in batches])[:20].tolist()
    assert bool(found.mixed_with) == (mixup is not None)
    if mixup is not None:
        second = torch.cat([batch.mix.labels for batch in batches])[:20].tolist()
        shares = np.repeat([1.0 - batch.mix.share.item() for batch in batches], 8)[:20]
        assert [images.labels[number] for number, _ in found.mixed_with] == second
        assert [share for _, share in found.mixed_with] == pytest.approx(shares.tolist())
