"""Deform training images in each epoch: an affine map and a coarse elastic field (Simard et al., 2003).

For each image are drawn, all uniform: a rotation, a change of size along each axis, a shear, a shift along each axis,
and a displacement at each node of a coarse grid over the image, bilinear between the nodes. Each pixel of the new
image is read from the old one where these send it, bilinear between its four neighbours, 0 outside.

Shapes: `N` images, `H` rows, `W` columns, `C` channels, `G` nodes of the grid along each axis.
"""

import numpy as np

from eailab.data.dataset import Pixels
from eailab.engines.numpy_mlp.compiling import compiled
from eailab.engines.spec import Augmented
from eailab.recipe.parts import Deform, MlpAugment
from eailab.seeding import stream

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
        resample(
            part,
            _affine_maps(count, settings, chance),
            _uniform(chance, settings.shift, (count, 2)),
            _uniform(chance, settings.elastic, (count, nodes, nodes, 2)),
            out[start : start + count],
        )


def augmented(settings: MlpAugment, pixels: Pixels, block: int, count: int) -> Augmented:
    """Return the first images of a block as its first epoch has them; see `ImageClassification.augmented`."""
    numbers = stream(block, "order", 1).permutation(len(pixels))[:count]
    if not isinstance(settings, Deform):
        return Augmented(numbers, pixels[numbers])
    deformed = np.empty_like(pixels)
    deform(pixels, settings, stream(block, "augment", 1), out=deformed)
    return Augmented(numbers, deformed[numbers])


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


# --- the compiled loops ----------------------------------------------------------------------------------------------


@compiled
def resample(pixels, maps, shifts, displacements, out):  # type: ignore[no-untyped-def]
    """Resample images at displaced positions: read each new pixel from where it lies in the old image.

    Args:
        pixels: `[N, H, W, C]`, bytes.
        maps: `[N, 2, 2]`, from an offset (down, right) to the new centre to one to the old centre.
        shifts: `[N, 2]`, (down, right) in pixels.
        displacements: `[N, G, G, 2]`, (down, right) in pixels, at nodes from corner to corner.
        out: `[N, H, W, C]`, bytes, written.
    """
    count, height, width, channels = pixels.shape
    # a border of zeros, one pixel before and two behind, makes every place that is read exist
    bordered = np.zeros((height + 3, width + 3), np.float32)
    shape = (height, width)
    rows, columns, values = np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.float32)
    for n in range(count):
        place(maps[n], shifts[n], displacements[n], rows, columns)
        for channel in range(channels):
            for i in range(height):
                for j in range(width):
                    bordered[i + 1, j + 1] = pixels[n, i, j, channel]
            interpolate(bordered.reshape(-1), width + 3, rows, columns, values)
            for i in range(height):
                for j in range(width):
                    out[n, i, j, channel] = np.uint8(values[i, j] + np.float32(0.5))


@compiled
def place(affine, shift, displacements, rows, columns):  # type: ignore[no-untyped-def]
    """Write where each pixel of one new image lies in the old one with its border of zeros, `[H, W]` each."""
    number = np.float32
    height, width = rows.shape
    nodes = displacements.shape[0]
    moved_down, moved_right = np.empty(nodes, number), np.empty(nodes, number)
    middle_row, middle_column = number(0.5 * (height - 1)), number(0.5 * (width - 1))
    node_row, node_column = number((nodes - 1) / max(height - 1, 1)), number((nodes - 1) / max(width - 1, 1))
    for i in range(height):
        above = min(np.int32(number(i) * node_row), np.int32(nodes - 2))
        below = number(i) * node_row - number(above)
        for node in range(nodes):  # the field along this row
            upper, under = displacements[above, node], displacements[above + 1, node]
            moved_down[node] = upper[0] + below * (under[0] - upper[0])
            moved_right[node] = upper[1] + below * (under[1] - upper[1])
        down = number(i) - middle_row
        row_start = middle_row + shift[0] + number(1.0) + affine[0, 0] * down
        column_start = middle_column + shift[1] + number(1.0) + affine[1, 0] * down
        for j in range(width):
            right = number(j) - middle_column
            g = min(np.int32(number(j) * node_column), np.int32(nodes - 2))
            beside = number(j) * node_column - number(g)
            row = row_start + affine[0, 1] * right + moved_down[g] + beside * (moved_down[g + 1] - moved_down[g])
            column = column_start + affine[1, 1] * right
            column += moved_right[g] + beside * (moved_right[g + 1] - moved_right[g])
            rows[i, j] = min(max(row, number(0.0)), number(height + 1))
            columns[i, j] = min(max(column, number(0.0)), number(width + 1))


@compiled
def interpolate(image, stride, rows, columns, values):  # type: ignore[no-untyped-def]
    """Read a flat image, with `stride` numbers a row, at places `[H, W]`, bilinear between the four neighbours."""
    flat_rows, flat_columns, flat_values = rows.reshape(-1), columns.reshape(-1), values.reshape(-1)
    for p in range(flat_rows.size):
        top, left = np.int32(flat_rows[p]), np.int32(flat_columns[p])
        lower, righter = flat_rows[p] - np.float32(top), flat_columns[p] - np.float32(left)
        k = top * np.int32(stride) + left
        upper = image[k] + righter * (image[k + 1] - image[k])
        under = image[k + stride] + righter * (image[k + stride + 1] - image[k + stride])
        flat_values[p] = upper + lower * (under - upper)
