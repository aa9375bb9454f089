"""Resample images at displaced positions: the compiled loops of `augment`."""

import numpy as np

from eailab.engines.numpy_mlp.compiling import compiled


@compiled
def sample(pixels, maps, shifts, displacements, out):  # type: ignore[no-untyped-def]
    """Read each pixel of the new images from where it lies in the old ones; see `augment`.

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
