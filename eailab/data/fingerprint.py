"""The fingerprint of a data set: over what is decoded, so that the same images in other files have the same one."""

import hashlib
import json

import numpy as np

from eailab.data.dataset import Images


def fingerprint(train: Images, test: Images, classes: tuple[str, ...]) -> str:
    """Return the SHA-256, in hex, of all pixels, labels and class names, each array preceded by its type and shape."""
    digest = hashlib.sha256(json.dumps(["eailab data 1", classes]).encode())
    for array in (train.pixels, train.labels, test.pixels, test.labels):
        little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(json.dumps([little_endian.dtype.str, little_endian.shape]).encode())
        digest.update(little_endian.data)
    return digest.hexdigest()
