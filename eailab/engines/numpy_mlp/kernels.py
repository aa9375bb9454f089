"""Compile loops for what takes numpy many passes.

`compiling` says how they are compiled. All are for one thread. Their arithmetic is the dtype of the arrays handed in.

Shapes: `N` images, `Z` nonzeros, `B` rows of a batch, `I` inputs, `O` outputs, `K` classes, `P` parameters.
"""

import math

import numpy as np

from eailab.engines.numpy_mlp import compiling
from eailab.engines.numpy_mlp.compiling import compiled

TINY = 1e-30
"""Moments below this count as 0: they move nothing, and numbers below 1e-38 would slow every later step."""
BLOCK = 256
"""Columns of an image, or rows of a batch, that a list of terms tells apart: as many as a byte can."""
TERMS_A_LINE = 32
"""Of 2 bytes, in a cache line."""


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
def add_bias(values, bias, least):  # type: ignore[no-untyped-def]
    """Add `[O]` to each row of `[B, O]`, set what is below `least` to it, and leave NaN; in place.

    `least` is 0 for a rectified layer, and minus infinity for another.
    """
    least = values.dtype.type(least)
    for b in range(values.shape[0]):
        for j in range(values.shape[1]):
            total = values[b, j] + bias[j]
            values[b, j] = least if total < least else total  # noqa: FURB136 - max(NaN, 0) may be 0


@compiled
def find_nonzeros(pixels, edges, terms):  # type: ignore[no-untyped-def]
    """List the pixels of each image that are not 0, block of columns by block.

    Args:
        pixels: `[N, I]`, bytes.
        edges: `[N, C + 1]`, written: where the `C` blocks of each image start and end in the list.
        terms: `[Z + 1]`, written: the column within its block in the upper byte, the pixel in the lower one.
    """
    place = 0
    for n in range(pixels.shape[0]):
        image = pixels[n]
        edges[n, 0] = place
        for number in range(edges.shape[1] - 1):
            start = number * BLOCK
            for i in range(start, min(start + BLOCK, image.size)):
                terms[place] = (i - start) << 8 | image[i]  # overwritten by the next, unless it counts
                place += image[i] != 0
            edges[n, number + 1] = place


@compiled
def nonzeros_forward(edges, terms, levels, rows, weight, offset, bias, least, black, out):  # type: ignore[no-untyped-def]
    """Multiply rows of listed images by a weight: `out = max(nonzeros weight + (offset weight + bias), least)`.

    It goes block by block of columns, so that a block of the weight stays in the cache.

    Args:
        edges: `[N, C + 1]`, from `find_nonzeros`.
        terms: `[Z + 1]`, as above.
        levels: `[256]`, what each pixel counts.
        rows: `[B]`, which images.
        weight: `[I, O]`.
        offset: `[I]`, what an image without nonzeros holds.
        bias: `[O]`.
        least: As for `add_bias`.
        black: `[O]`, written: what an image without nonzeros gives, before `least`.
        out: `[B, O]`, written.
    """
    inputs, outputs = weight.shape
    for b in range(rows.size):
        compiling.fetch(edges, rows[b] * edges.shape[1])
    for b in range(rows.size):
        for j in range(outputs):
            out[b, j] = 0.0
        for k in range(edges[rows[b], 0], edges[rows[b], -1], TERMS_A_LINE):
            compiling.fetch(terms, k)
    for j in range(outputs):
        black[j] = bias[j]
    for number in range(edges.shape[1] - 1):
        above = number * BLOCK
        for i in range(above, min(above + BLOCK, inputs)):  # in order, which brings the block into the cache
            factor, values = offset[i], weight[i]
            for j in range(outputs):
                black[j] += factor * values[j]
        for b in range(rows.size):
            first, last = edges[rows[b], number], edges[rows[b], number + 1]
            compiling.add_terms(out, b, weight, above, terms, levels, first, last, outputs)
    add_bias(out, black, least)


@compiled
def nonzeros_backward(edges, terms, levels, rows, gradient, offset, sums, ends, turned, out):  # type: ignore[no-untyped-def]
    """Write a weight's gradient: `out = nonzeros' gradient + offset sums`.

    The nonzeros of a block of columns are first listed again, column by column, so that each row of `out` is summed up
    in registers and written once.

    Args:
        edges: `[N, C + 1]`, from `find_nonzeros`.
        terms: `[Z + 1]`, as above.
        levels: `[256]`, what each pixel counts.
        rows: `[B]`, which images.
        gradient: `[B, O]`, of the layer's output.
        offset: `[I]`, what an image without nonzeros holds.
        sums: `[O]`, of `gradient` over the rows.
        ends: `[BLOCK]`, written; see `turn`.
        turned: `[BLOCK, min(B, BLOCK)]` or more, written; see `turn`.
        out: `[I, O]`, written.
    """
    inputs, outputs = out.shape
    room = turned.shape[1]
    lists = turned.reshape(-1)
    for number in range(edges.shape[1] - 1):
        above = number * BLOCK
        for start in range(0, rows.size, BLOCK):
            turn(edges[:, number : number + 2], terms, rows[start : start + BLOCK], ends, turned)
            for column in range(min(BLOCK, inputs - above)):
                if start == 0:
                    factor, slopes = offset[above + column], out[above + column]
                    for j in range(outputs):
                        slopes[j] = factor * sums[j]
                first, last = column * room, np.int64(ends[column])
                compiling.add_terms(out, above + column, gradient, start, lists, levels, first, last, outputs)


@compiled
def turn(edges, terms, rows, ends, turned):  # type: ignore[no-untyped-def]
    """List the nonzeros of one block of columns by column, where `find_nonzeros` has them by image.

    Args:
        edges: `[N, 2]`: where the block starts and ends in the list.
        terms: `[Z + 1]`, from `find_nonzeros`.
        rows: `[R]`, which images; at most `BLOCK`.
        ends: `[BLOCK]`, written: where each column's list ends, in the flat `turned`.
        turned: `[BLOCK, R]` or more, written: a list for each column, of terms like those of `find_nonzeros` with the
            row in place of the column.
    """
    lists = turned.reshape(-1)
    for column in range(BLOCK):
        ends[column] = column * turned.shape[1]
    for b in range(rows.size):
        row = np.uint64(b << 8)  # unsigned numbers, so that numba need not ask whether an index is negative
        for k in range(np.uint64(edges[rows[b], 0]), np.uint64(edges[rows[b], 1])):
            term = np.uint64(terms[k])
            place = ends[term >> np.uint64(8)]
            lists[place] = np.uint16(row | (term & np.uint64(255)))
            ends[term >> np.uint64(8)] = place + np.uint32(1)


@compiled
def shift_logits(logits, labels, smoothing, shifted, targets):  # type: ignore[no-untyped-def]
    """Take each row's largest logit off; the first half of `losses`.

    What follows goes class by class over many rows at once, so the logits are turned.

    Args:
        logits: `[B, K]`.
        labels: `[B]`.
        smoothing: Share of the target's probability that is spread evenly over all classes.
        shifted: `[K, B]`, written: the logits less their row's largest.
        targets: `[B]`, written: the target's mean of the shifted logits, `sum_k t_k shifted_k`.

    Returns:
        How many rows have their first largest logit at their label.
    """
    rows, classes = logits.shape
    for b in range(rows):
        for k in range(classes):
            shifted[k, b] = logits[b, k]
        targets[b] = logits[b, 0]
    for k in range(1, classes):
        values = shifted[k]
        for b in range(rows):
            targets[b] = values[b] if values[b] > targets[b] else targets[b]  # noqa: FURB136 - the loss reports NaN
    correct = hits(logits, labels, targets)
    for k in range(classes):
        values = shifted[k]
        for b in range(rows):
            values[b] -= targets[b]
    for b in range(rows):
        targets[b] = (1.0 - smoothing) * shifted[labels[b], b]
    elsewhere = smoothing / classes
    for k in range(classes):
        values = shifted[k]
        for b in range(rows):
            targets[b] += elsewhere * values[b]
    return correct


@compiled
def hits(logits, labels, largest):  # type: ignore[no-untyped-def]
    """Return how many rows of `[B, K]` have the first of their largest, `[B]`, at their label."""
    found = 0
    for b in range(labels.size):
        if logits[b, labels[b]] == largest[b]:
            earlier = 0
            for k in range(labels[b]):
                earlier += logits[b, k] == largest[b]
            found += earlier == 0
    return found


@compiled
def cross_entropy(labels, smoothing, targets, exponentials, normalisers, gradient):  # type: ignore[no-untyped-def]
    """Score a batch and write the gradient of its mean loss; the second half of `losses`.

    Args:
        labels: `[B]`.
        smoothing: As for `shift_logits`.
        targets: `[B]`, from `shift_logits`.
        exponentials: `[K, B]`, of the shifted logits.
        normalisers: `[B]`, overwritten.
        gradient: `[B, K]`, written: `(p - t) / B`.

    Returns:
        The sum of the losses, `log sum_k exp(shifted_k) - sum_k t_k shifted_k`.
    """
    rows, classes = gradient.shape
    normalisers[:] = exponentials[0]
    for k in range(1, classes):
        values = exponentials[k]
        for b in range(rows):
            normalisers[b] += values[b]
    total = 0.0
    for b in range(rows):
        total += math.log(normalisers[b]) - targets[b]
    per_row = 1.0 / rows
    for b in range(rows):
        normalisers[b] = per_row / normalisers[b]
    elsewhere = smoothing / classes * per_row
    for b in range(rows):
        for k in range(classes):
            gradient[b, k] = exponentials[k, b] * normalisers[b] - elsewhere
        gradient[b, labels[b]] -= (1.0 - smoothing) * per_row
    return total


@compiled
def relu_forward(values):  # type: ignore[no-untyped-def]
    """Set what is below 0 to 0, and leave NaN. `[B, O]`; in place."""
    flat = values.reshape(-1)
    zero = flat.dtype.type(0.0)
    for i in range(flat.size):
        flat[i] = zero if flat[i] < zero else flat[i]  # noqa: FURB136 - max(NaN, 0) may be 0


@compiled
def relu_backward(output, gradient):  # type: ignore[no-untyped-def]
    """Set the gradient to 0 where the output is 0. Both `[B, O]`; in place."""
    flat_output, flat_gradient = output.reshape(-1), gradient.reshape(-1)
    zero = flat_gradient.dtype.type(0.0)
    for i in range(flat_output.size):
        flat_gradient[i] = flat_gradient[i] if flat_output[i] > zero else zero


@compiled
def rectified_backward(output, gradient, sums):  # type: ignore[no-untyped-def]
    """Do as `relu_backward`, and write the sums of the gradient over the rows, `[O]`, which are those of the bias."""
    zero = gradient.dtype.type(0.0)
    for j in range(sums.size):
        sums[j] = zero
    for b in range(gradient.shape[0]):
        for j in range(sums.size):
            slope = gradient[b, j] if output[b, j] > zero else zero
            gradient[b, j] = slope
            sums[j] += slope


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
