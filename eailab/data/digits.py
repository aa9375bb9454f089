"""The UCI digits, which come with the package: 1,797 images of 8x8 pixels, so that nothing has to be downloaded.

`digits.npz` holds scikit-learn's copy of the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, 1998; CC BY 4.0, see `digits.LICENSE.txt`). It has no official division, so 360 test images were chosen once,
by class: class `c` with `n` of the 1,797 images gives `360 n / 1797` of them, rounded by largest remainder (34 to 37),
namely the first ones of ``RandomState(0).permutation(indices of the class)``, classes taken from 0 to 9 with one
generator. Each part keeps scikit-learn's order. Writers are not recorded, so the same hand may be in both parts.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np

from eailab.data.dataset import Content, Images, Pixels
from eailab.data.published import Source

CLASSES = tuple("0123456789")


def read(_: Path) -> Content:
    """Return the digits as they are published: one channel, pixels from 0 to 16 (all ink)."""
    with files("eailab.data").joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        train, test = (
            Images(arrays[f"x_{part}"][..., np.newaxis], arrays[f"y_{part}"].astype(np.int64))
            for part in ("train", "test")
        )
    return Content(train, test, CLASSES)


def read_rgb32(folder: Path) -> Content:
    """Return the digits as 32x32 RGB for networks made for photographs: ink is 255, paper is 0."""
    train, test, classes = read(folder)
    return Content(Images(_enlarged(train.pixels), train.labels), Images(_enlarged(test.pixels), test.labels), classes)


def _enlarged(pixels: Pixels) -> Pixels:
    """Turn `[N, 8, 8, 1]` with values to 16 into `[N, 32, 32, 3]` with values to 255; each pixel becomes 4x4 equal."""
    full_scale = (pixels.astype(np.uint16) * 255 // 16).astype(np.uint8)
    return full_scale.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)


DIGITS = Source("digits", "UCI handwritten digits", 1437, 360, (8, 8, 1), 10, read)
DIGITS32 = Source("digits32", "UCI handwritten digits, enlarged and in RGB", 1437, 360, (32, 32, 3), 10, read_rgb32)
