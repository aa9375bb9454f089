import dataclasses
import hashlib

import numpy as np
import pytest

from eailab.data.dataset import Images, fingerprint


def test_the_fingerprint_is_what_its_description_says():
    """By hand, for one image of one pixel: each array after its type and shape."""
    one = Images(np.array([[[[7]]]], np.uint8), np.array([1], np.int64))
    array = b'["|u1", [1, 1, 1, 1]]\x07["<i8", [1]]\x01\0\0\0\0\0\0\0'
    expected = hashlib.sha256(b'["eailab data 1", ["a", "b"]]' + array + array).hexdigest()
    assert fingerprint(one, one, ("a", "b")) == expected


@pytest.mark.parametrize("part", ["train", "test"])
def test_every_pixel_and_label_counts(dataset, part):
    content = {"train": dataset.train, "test": dataset.test, "classes": dataset.classes}
    pixels, labels = content[part].pixels.copy(), content[part].labels.copy()
    pixels[-1, -1, -1, -1] ^= 1
    labels[0] += 1
    changed = [
        dataclasses.replace(content[part], pixels=pixels),
        dataclasses.replace(content[part], labels=labels),
        Images(content[part].pixels.reshape(-1, 3, 4, 2), content[part].labels),
    ]
    prints = {dataset.fingerprint, *(fingerprint(**{**content, part: images}) for images in changed)}
    assert len(prints) == 4


def test_the_names_of_classes_count(dataset):
    assert fingerprint(dataset.train, dataset.test, (*dataset.classes[1:], "ant")) != dataset.fingerprint


def test_how_the_arrays_lie_in_memory_does_not_count(dataset):
    """A view in another order of memory, or of the other byte order, holds the same images."""
    train = Images(np.asfortranarray(dataset.train.pixels), dataset.train.labels.astype(">i8"))
    assert fingerprint(train, dataset.test, dataset.classes) == dataset.fingerprint
