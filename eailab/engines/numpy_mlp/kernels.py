"""Compiled loops for what numpy needs many passes for.

numba compiles each at its first call (about 0.1 s) and keeps the machine code beside this module, or in the user's
cache folder where that is not writable (`NUMBA_CACHE_DIR` names another). All are for one thread. Their arithmetic is
the dtype of the arrays handed in.

The flags allow a product and a sum to be contracted, sums to be taken in another order, and a division to be made by
an approximate reciprocal with a Newton step (about 1 unit in the last place): on one machine the bits are always the
same, between machines they may differ, as with BLAS. Infinities and NaNs keep their meaning.

Shapes: `N` images, `B` rows of a batch, `I` inputs, `O` outputs, `K` classes, `P` parameters.
"""

import math

import numpy as np
from numba import njit

FLAGS = {"contract", "reassoc", "arcp", "afn", "nsz"}
TINY = 1e-30
"""Moments below this count as 0: they move nothing, and numbers below 1e-38 would slow every later step."""

compiled = njit(cache=True, fastmath=FLAGS, error_model="numpy")


@compiled
def gather(pixels, rows, scale, offset, out):  # type: ignore[no-untyped-def]
    """Normalise rows of the images into a batch.

    Args:
        pixels: `[N, I]`, bytes.
        rows: `[B]`, which images.
        scale: `[I]`, one over the standard deviation of each input.
        offset: `[I]`, minus the mean over the standard deviation of each input.
        out: `[B, I]`, `pixels[rows] * scale + offset`.
    """
    for row in range(rows.size):
        image = pixels[rows[row]]
        target = out[row]
        for i in range(target.size):
            target[i] = image[i] * scale[i] + offset[i]


@compiled
def softmax_cross_entropy(logits, labels, smoothing, gradient):  # type: ignore[no-untyped-def]
    """Score a batch and write the gradient of its mean loss; see `losses`.

    Args:
        logits: `[B, K]`.
        labels: `[B]`.
        smoothing: Share of the target's probability that is spread evenly over all classes.
        gradient: `[B, K]`, written: of the mean loss, with respect to the logits. May be `logits` itself.

    Returns:
        The sum of the losses, and how many rows have their largest logit at their label.
    """
    rows, classes = logits.shape
    total = 0.0
    correct = 0
    per_row = 1.0 / rows
    elsewhere = smoothing / classes
    for b in range(rows):
        label = labels[b]
        best = 0
        for k in range(1, classes):
            if logits[b, k] > logits[b, best]:
                best = k
        largest = logits[b, best]
        target = logits[b, label] - largest
        normaliser = 0.0
        below = 0.0
        for k in range(classes):
            shifted = logits[b, k] - largest
            exponential = math.exp(shifted)
            below += shifted
            normaliser += exponential
            gradient[b, k] = exponential
        # -sum_k t_k log p_k, with t = (1 - smoothing) onehot + smoothing / K and log p = logit - largest - log(sum)
        total += math.log(normaliser) - (1.0 - smoothing) * target - elsewhere * below
        correct += best == label
        for k in range(classes):
            gradient[b, k] = (gradient[b, k] / normaliser - elsewhere) * per_row
        gradient[b, label] -= (1.0 - smoothing) * per_row
    return total, correct


@compiled
def relu_backward(output, gradient):  # type: ignore[no-untyped-def]
    """Set the gradient to 0 where the output is 0. Both `[B, O]`; in place."""
    flat_output, flat_gradient = output.reshape(-1), gradient.reshape(-1)
    for i in range(flat_output.size):
        if not flat_output[i] > 0.0:
            flat_gradient[i] = 0.0


@compiled
def drop(values, draws, probability, scale):  # type: ignore[no-untyped-def]
    """Turn uniform draws into the mask 0 or `scale`, and multiply the values by it. Both `[B, O]`; in place."""
    flat_values, flat_draws = values.reshape(-1), draws.reshape(-1)
    for i in range(flat_values.size):
        keep = scale if flat_draws[i] >= probability else flat_draws.dtype.type(0.0)
        flat_draws[i] = keep
        flat_values[i] *= keep


@compiled
def sgd_rule(parameter, slope, velocity, c):  # type: ignore[no-untyped-def]
    """Return one parameter and its velocity after a step; `c` are the coefficients of `optimizers.SgdRule`."""
    slope += c[1] * parameter
    velocity = c[2] * velocity + slope
    return parameter - c[0] * (c[3] * slope + c[4] * velocity), velocity


@compiled
def sgd(parameters, gradient, velocities, coefficients):  # type: ignore[no-untyped-def]
    """Take one step over `[P]` numbers."""
    c = (coefficients[0], coefficients[1], coefficients[2], coefficients[3], coefficients[4])
    for i in range(parameters.size):
        parameters[i], velocities[i] = sgd_rule(parameters[i], gradient[i], velocities[i], c)


@compiled
def sgd_outer(parameters, left, right, velocities, coefficients):  # type: ignore[no-untyped-def]
    """Take one step over `[I, O]` numbers, whose gradient is the outer product of `left` `[I]` and `right` `[O]`."""
    c = (coefficients[0], coefficients[1], coefficients[2], coefficients[3], coefficients[4])
    for i in range(left.size):
        factor, row, speeds = left[i], parameters[i], velocities[i]
        for j in range(right.size):
            row[j], speeds[j] = sgd_rule(row[j], factor * right[j], speeds[j], c)


@compiled
def adam_rule(parameter, slope, first, second, c, one, zero, tiny):  # type: ignore[no-untyped-def]
    """Return one parameter and its moments after a step; `c` are the coefficients of `optimizers.AdamRule`."""
    slope += c[5] * parameter
    first += c[1] * (slope - first)
    second += c[2] * (slope * slope - second)
    first = first if abs(first) > tiny else zero
    second = second if second > tiny else zero
    # the square root by way of 1/sqrt and the quotient by way of 1/x: both have fast vector forms, see FLAGS
    root = second * (one / math.sqrt(max(second, tiny)))
    return c[6] * parameter - c[0] * first * (one / (root * c[3] + c[4])), first, second


@compiled
def adam(parameters, gradient, firsts, seconds, coefficients):  # type: ignore[no-untyped-def]
    """Take one step over `[P]` numbers."""
    number = parameters.dtype.type
    one, zero, tiny = number(1.0), number(0.0), number(TINY)
    c = (
        coefficients[0],
        coefficients[1],
        coefficients[2],
        coefficients[3],
        coefficients[4],
        coefficients[5],
        coefficients[6],
    )
    for i in range(parameters.size):
        parameters[i], firsts[i], seconds[i] = adam_rule(
            parameters[i], gradient[i], firsts[i], seconds[i], c, one, zero, tiny
        )


@compiled
def adam_outer(parameters, left, right, firsts, seconds, coefficients):  # type: ignore[no-untyped-def]
    """Take one step over `[I, O]` numbers, whose gradient is the outer product of `left` `[I]` and `right` `[O]`."""
    number = parameters.dtype.type
    one, zero, tiny = number(1.0), number(0.0), number(TINY)
    c = (
        coefficients[0],
        coefficients[1],
        coefficients[2],
        coefficients[3],
        coefficients[4],
        coefficients[5],
        coefficients[6],
    )
    for i in range(left.size):
        factor, row, means, squares = left[i], parameters[i], firsts[i], seconds[i]
        for j in range(right.size):
            row[j], means[j], squares[j] = adam_rule(
                row[j], factor * right[j], means[j], squares[j], c, one, zero, tiny
            )


@compiled
def average(mean, parameters, share):  # type: ignore[no-untyped-def]
    """Move a running mean `[P]` towards the parameters by a share of the way; in place."""
    share = mean.dtype.type(share)
    for i in range(mean.size):
        mean[i] += share * (parameters[i] - mean[i])


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
