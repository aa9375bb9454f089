"""Deform training images in each epoch: an affine map and a coarse elastic field (Simard et al., 2003).

For each image are drawn, all uniform: a rotation, a change of size along each axis, a shear, a shift along each axis,
and a displacement at each node of a coarse grid over the image, bilinear between the nodes. Each pixel of the new
image is read from the old one where these send it, bilinear between its four neighbours, 0 outside.

Shapes: `N` images, `H` rows, `W` columns, `C` channels, `G` nodes of the grid along each axis.
"""

import numpy as np

from eailab.data.dataset import Pixels
from eailab.engines.numpy_mlp import warp
from eailab.recipe.parts import Deform

CHUNK = 4096
"""Images whose draws are held in memory at once; part of what the draws mean, since they are made chunk by chunk."""


def deform(pixels: Pixels, settings: Deform, chance: np.random.Generator, out: Pixels) -> None:
    """Fill `out` with a deformed copy of each image.

    Args:
        pixels: `[N, H, W, C]`.
        settings: How far each draw may go.
        chance: Where the draws come from.
        out: `[N, H, W, C]`, written; not `pixels` itself.
    """
    for start in range(0, len(pixels), CHUNK):
        part = pixels[start : start + CHUNK]
        count, nodes = len(part), settings.nodes
        warp.sample(
            part,
            _affine_maps(count, settings, chance),
            _uniform(chance, settings.shift, (count, 2)),
            _uniform(chance, settings.elastic, (count, nodes, nodes, 2)),
            out[start : start + count],
        )


def _uniform(
    chance: np.random.Generator, bound: float, shape: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return draws within ±bound."""
    draws = chance.random(shape, dtype=np.float32)
    return (2.0 * draws - 1.0) * np.float32(bound)


def _affine_maps(
    count: int, settings: Deform, chance: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return `[count, 2, 2]`: where an offset (down, right) from the centre of the new image lies in the old one."""
    angle = _uniform(chance, np.deg2rad(settings.rotation), (count,))
    down, right = 1.0 + _uniform(chance, settings.scale, (2, count))
    shear = _uniform(chance, settings.shear, (count,))
    cos, sin = np.cos(angle), np.sin(angle)
    # rotation, then the shear of columns along rows, then the scale of each axis
    rows = np.stack([cos * down, (cos * shear - sin) * right], axis=1)
    columns = np.stack([sin * down, (sin * shear + cos) * right], axis=1)
    return np.stack([rows, columns], axis=1).astype(np.float32)
