"""Find out which mistake a wrong gradient is: formulas that would give it are tried.

Shape letters: `N` images of a batch, `I` inputs, `O` outputs.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, permutations, product

import numpy as np

from eailab.gradcheck.case import AGREES, Case
from eailab.gradcheck.expressions import formulas
from eailab.gradcheck.subject import Array

MOST_AXES = 4
MOST_SHIFT = 3
"""Pixels."""
FEW = 12
"""Entries that are looked at one by one."""


def suspects(case: Case) -> list[str]:
    """Return in words which mistakes would make this gradient; the first that is found is the likeliest."""
    if not np.isfinite(case.found).all():
        return ["it has entries that are not finite"]
    for formula in _SHAPES if case.found.shape != case.value.shape else _FORMULAS:
        said = list(formula(case))
        if said:
            return said
    return []


# --- another shape


def _transposed_shape(case: Case) -> Iterator[str]:
    """Find a product whose factors are in the wrong order."""
    found, shape = case.found, case.value.shape
    for axes in permutations(range(found.ndim)):
        if found.transpose(axes).shape == shape and case.agrees(found.transpose(axes)):
            yield f"it is right once transposed: its shape is {list(found.shape)}, of {case.name} {list(shape)}"
            return


def _not_summed(case: Case) -> Iterator[str]:
    """Find a sum over images or other axes that is missing."""
    found, shape = case.found, case.value.shape
    if case.is_found(case.dy):
        yield f"it is the output's gradient as it came: a bias adds up the gradients of all images ({_over(case)})"
    elif found.size == case.value.size and case.agrees(found.reshape(shape)):
        yield f"its numbers are right and its shape is {list(found.shape)}: reshape it to {list(shape)}"
    elif found.ndim > len(shape):
        for axes in _axes(found):
            if found.sum(axes).shape == shape and case.agrees(found.sum(axes)):
                yield f"it is not summed over {_named_axes(axes)}"
                return


def _otherwise_summed(case: Case) -> Iterator[str]:
    """Find a bias that is summed over other axes, or averaged."""
    for axes in _axes(case.dy):
        for kind, reduced in (("summed", case.dy.sum(axes)), ("averaged", case.dy.mean(axes))):
            if case.is_found(reduced):
                yield f"the output's gradient is {kind} over {_named_axes(axes)}: {_over(case)}"
                return


def _over(case: Case) -> str:
    for axes in _axes(case.dy):
        summed = case.dy.sum(axes)
        if summed.size == case.value.size and case.agrees(summed.reshape(case.value.shape)):
            return f"a sum over {_named_axes(axes)} is right"
    return "that is the wrong axis"


def _axes(array: Array) -> Iterator[tuple[int, ...]]:
    for number in range(1, min(array.ndim, MOST_AXES) + 1):
        yield from combinations(range(array.ndim), number)


def _named_axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


# --- the right shape


def _nothing(case: Case) -> Iterator[str]:
    if not case.found.any():
        yield "it is 0 everywhere: it is never set, or does not reach this far"


def _constant(case: Case) -> Iterator[str]:
    """Find a number times the right gradient, or one that is nearly right."""
    if case.agrees(case.found):
        yield (
            f"it is off by no more than {AGREES:g} of its largest entry: perhaps a small constant, such as epsilon, is "
            "left out or too many, or numbers are rounded"
        )
        return
    there = np.isfinite(case.numeric)
    numeric, found = case.numeric[there], case.found[there]
    factor = float(np.sum(found * numeric) / max(float(np.sum(numeric**2)), 1e-300))
    if factor != 0 and case.agrees(case.found / factor):
        yield factor_in_words(factor, case)


def factor_in_words(factor: float, case: Case) -> str:
    """Say what a constant factor between a gradient and the right one most likely is."""
    size = abs(factor)
    sign = " with the wrong sign" if factor < 0 else ""
    if abs(factor + 1) < 1e-3:
        return "its sign is wrong"
    numbers = {"the batch size": case.x.shape[0] if case.x.ndim else 1}
    numbers |= {f"the size of the output's axis {axis}": length for axis, length in enumerate(case.y.shape) if axis}
    numbers |= {f"the size of the input's axis {axis}": length for axis, length in enumerate(case.x.shape) if axis}
    numbers |= {"the number of the output's entries": case.y.size, "the number of the input's entries": case.x.size}
    numbers |= {"the number of pixels of the output": int(np.prod(case.y.shape[2:]))}
    for times, way, where_summed, otherwise in (
        (size, "large", "a sum where a mean is right", "a division by {} is missing"),
        (1 / size, "small", "a mean where a sum is right", "it is divided by {} once too often"),
    ):
        named = [name for name, number in numbers.items() if number > 1 and abs(times / number - 1) < 1e-3]
        last = case.x.shape[-1] if case.x.ndim > 1 else 1
        is_root = last > 1 and abs(times**2 / last - 1) < 1e-3 and (bool(named) or last**0.5 % 1 > 0)
        if named or is_root:
            root = f"the square root of the size of the input's last axis, {last}"
            which = " or ".join([*named[:1], *([root] if is_root else [])])
            number = numbers[named[0]] if named else f"{last**0.5:.6g}"
            cause = ", or ".join([*([where_summed] if named else []), otherwise.format(number)])
            return f"it is {number} times too {way}{sign}, which is {which}: {cause}"
    if abs(size - 2) < 1e-3:
        return f"it is twice too large{sign}: added up twice, or a factor of ½ is missing"
    return f"it is {factor:.6g} times what is right, everywhere: a constant factor is missing or too many"


def _rearranged(case: Case) -> Iterator[str]:
    """Find axes in another order, or reversed."""
    found = case.found
    identity = tuple(range(found.ndim))
    for axes in permutations(identity):
        if axes != identity and found.ndim <= MOST_AXES and case.agrees(found.transpose(axes)):
            yield (
                "it is right once transposed: a product's factors are in the wrong order, or one lacks a transpose"
                if found.ndim == 2
                else f"it is right with its axes in the order {list(axes)}"
            )
            return
    for axes in _axes(found):
        if case.agrees(np.flip(found, axes)):
            yield f"it is right once reversed along {_named_axes(axes)}: a kernel is flipped, or should be"
            return


def _masked(case: Case) -> Iterator[str]:
    """Find a mask that is missing, is too much, or is the other way round."""
    there = np.isfinite(case.numeric)
    size = float(np.max(np.abs(case.numeric[there]), initial=0.0))
    zero, found_zero = np.abs(case.numeric) <= AGREES * size, np.abs(case.found) <= AGREES * size
    alike = np.abs(case.found - case.numeric) <= AGREES * size
    if size == 0:
        yield f"it should be 0 everywhere: the output does not depend on {case.name}"
    elif (zero & there).any() and alike[there & ~zero].all() and (~found_zero & zero & there).any():
        yield (
            "its mask is missing: it is right where it is not 0, and has numbers where 0 is right "
            f"({int((zero & ~found_zero & there).sum())} of {int(there.sum())} entries)"
        )
    elif (found_zero & ~zero & there).any() and alike[there & ~found_zero].all() and (~found_zero & there).any():
        yield f"its mask takes too much: {int((found_zero & ~zero & there).sum())} entries are 0 that should not be"
    elif zero[there].any() and (zero == ~found_zero)[there].all():
        yield "its mask is the wrong way round: it is 0 exactly where the right one is not"


def _by_sign(case: Case) -> Iterator[str]:
    """Find wrong slopes on either side of 0, as of a leaky ReLU."""
    if not case.is_input or case.found.shape != case.x.shape or not np.isfinite(case.numeric).all():
        return
    factors = []
    for side in (case.x > 0, case.x < 0):
        right, found = case.numeric[side], case.found[side]
        if np.count_nonzero(right) < 2 or not found.any():
            return
        factors.append(float(np.sum(found * right) / np.sum(right**2)))
    above, below = factors
    if not case.agrees(case.found / np.where(case.x > 0, above, below)):
        return
    slopes = ": the slopes of the two sides are exchanged" if abs(above * below - 1) < 1e-3 else ""
    parts = [
        f"{'right' if abs(times - 1) < 1e-3 else f'{times:.6g} times what is right'} where {case.first} {side} 0"
        for times, side in ((above, ">"), (below, "<"))
    ]
    yield f"it is {', and '.join(parts)}{slopes}"


def _of_another_value(case: Case) -> Iterator[str]:
    for name, other in case.differences.items():
        if name != case.name and case.agrees(case.found, other):
            yield f"it is the gradient of {name}"


def _reduced(case: Case) -> Iterator[str]:
    """Find a bias that is summed over the wrong axes, where these have equal sizes."""
    for axes in _axes(case.dy):
        for kind, reduced in (("summed", case.dy.sum(axes)), ("averaged", case.dy.mean(axes))):
            if reduced.size == case.found.size and case.is_found(reduced.reshape(case.found.shape)):
                yield f"the output's gradient is {kind} over {_named_axes(axes)}: {_over(case)}"
                return
    if case.dy.ndim > 1 and case.dy[0].size == case.found.size:
        for place, word in ((0, "first"), (-1, "last")):
            if case.is_found(case.dy[place].reshape(case.found.shape)):
                yield f"it is the output's gradient of the {word} image: {_over(case)}"
                return


def _weight_turned(case: Case) -> Iterator[str]:
    """Find a gradient that is right for a layer whose weight is transposed or reversed."""
    if case.changed is None:
        return
    for name in case.others:
        shape = case.values[name].shape
        if len(shape) < 2:
            continue
        turns: list[tuple[str, Callable[[Array], Array]]] = []
        if len(shape) == 2 and shape[0] == shape[1]:
            turns.append((f"transposed: a transpose of {name} is missing or too many", np.transpose))
        if len(shape) > 2:
            turns.append(("with its window reversed: flip it along its last axes", lambda one: one[..., ::-1, ::-1]))
            if shape[-1] == shape[-2]:
                turns.append(("with its window transposed", lambda one: one.swapaxes(-1, -2)))
            if shape[0] == shape[1]:
                turns.append(("with its channels in and out exchanged", lambda one: one.swapaxes(0, 1)))
        for said, turn in turns:
            if case.agrees(case.found, case.changed(name, turn)):
                yield f"it would be right for {name} {said}"
                return


def _overwritten(case: Case) -> Iterator[str]:
    """Find a sum over images, pixels or windows of which one alone counts: overwritten where it should be added up."""
    if case.contributions is None or case.y.ndim == 0:
        return
    size = float(np.nanmax(np.abs(case.numeric)))
    wrong = np.flatnonzero(np.nan_to_num(np.abs(case.found - case.numeric)) > AGREES * size)
    parts = [(case.found.flat[place], case.contributions(int(place))) for place in wrong[:FEW]]
    for word, place in (("last", -1), ("first", 0)):
        if parts and all(_is_near(found, part[place].sum(), size) for found, part in parts):
            yield f"it counts the {word} image alone: it is overwritten where it should be added up, or indexed"
            return
        windows = [(found, (part.sum(1) if part.ndim > 2 else part).ravel()) for found, part in parts]
        several = [(found, part[np.abs(part) > 1e-9 * size]) for found, part in windows]
        if parts and all(len(part) > 1 and _is_near(found, part[place], size) for found, part in several):
            yield (
                f"it counts only the {word} of the places in the output that an entry goes into: it is overwritten (=) "
                "where it should be added up (+=)"
            )
            return


def _own_place(case: Case) -> Iterator[str]:
    """Find a sequence of which only the output at an entry's own step counts: `x [N, T, I]` to `y [N, T, O]`."""
    x, y = case.x.shape, case.y.shape
    if case.contributions is None or not case.is_input or len(x) != 3 or len(y) != 3 or x[:2] != y[:2]:
        return
    size = float(np.nanmax(np.abs(case.numeric)))
    wrong = np.flatnonzero(np.nan_to_num(np.abs(case.found - case.numeric)) > AGREES * size)[:FEW]
    own = ((place, np.unravel_index(place, x)[:2]) for place in map(int, wrong))
    if all(_is_near(case.found.flat[place], case.contributions(place)[at].sum(), size) for place, at in own):
        yield (
            "it counts only the output at its own place along axis 1: what an entry does to the other ones is missing, "
            "such as the gradient that comes back from the next step"
        )


def _is_near(one: float, other: float, size: float) -> bool:
    return abs(one - other) <= AGREES * size


def _shifted(case: Case) -> Iterator[str]:
    """Find images or signals that are some pixels off their place, as where padding is cut off at the wrong side."""
    if case.found.ndim < 3:
        return
    sizes = case.found.shape[2:]
    reach = range(-MOST_SHIFT, MOST_SHIFT + 1)
    for shift in sorted(product(reach, repeat=len(sizes)), key=lambda one: sum(map(abs, one))):
        if not any(shift) or any(2 * abs(by) > size for by, size in zip(shift, sizes, strict=True)):
            continue
        ours, right = case.found, case.numeric
        for axis, (by, size) in enumerate(zip(shift, sizes, strict=True), start=2):
            ours = ours.take(range(max(by, 0), size + min(by, 0)), axis)
            right = right.take(range(max(-by, 0), size + min(-by, 0)), axis)
        known = right[np.isfinite(right)]
        if known.size > 1 and np.ptp(known) > 0 and case.agrees(ours, right):
            places = ", ".join(f"{by:+d} along axis {axis}" for axis, by in enumerate(shift, start=2) if by)
            yield f"it is right but shifted by {places}: padding is cut off, or a window begins, at the wrong place"
            return


def _normalised(case: Case) -> Iterator[str]:
    """Find a normalisation whose mean or spread counts as constant."""
    if not case.is_input or case.found.shape != case.x.shape or case.x.ndim < 2 or not np.isfinite(case.numeric).all():
        return
    axes_tried = [(0,), (case.x.ndim - 1,)] + ([(0, 2, 3), (2, 3), (1, 2, 3)] if case.x.ndim == 4 else [])
    for axes in axes_tried:
        mean, sd = case.x.mean(axes, keepdims=True), case.x.std(axes, keepdims=True)
        if not sd.all():
            continue
        unit = (case.x - mean) / sd
        less_mean = case.found - case.found.mean(axes, keepdims=True)
        less_sd = case.found - unit * (case.found * unit).mean(axes, keepdims=True)
        size = (case.x**2).sum(axes, keepdims=True)
        less_size = case.found - case.x * (case.found * case.x).sum(axes, keepdims=True) / size
        less_both = less_mean - unit * (case.found * unit).mean(axes, keepdims=True)
        over = f"over {_named_axes(axes)}"
        for candidate, what in (
            (less_mean, "mean"),
            (less_sd, "variance"),
            (less_both, "mean and the variance"),
            (less_size, "mean square, or the norm,"),
        ):
            if case.agrees(candidate):
                yield f"the {what} {over} counts as a constant: it depends on the input too, and its term is missing"
                return


def _labels(case: Case) -> Iterator[str]:
    """Find a loss whose labels are left out."""
    if case.labels is None or case.labels.ndim != 1 or case.found.ndim != 2 or case.labels.dtype.kind not in "iu":
        return
    rest = case.found - case.numeric
    at = np.zeros(rest.shape, bool)
    at[np.arange(len(case.labels)), case.labels] = True
    size = float(np.nanmax(np.abs(case.numeric)))
    if (np.abs(rest[~at]) <= AGREES * size).all() and np.ptp(rest[at]) <= AGREES * size:
        yield f"it is off by {rest[at][0]:+.6g} at each image's label: its 1 is not subtracted, or too often"
    others = ~at & np.isin(np.arange(rest.shape[1]), case.labels)
    if others.any() and (np.abs(rest[~others]) <= AGREES * size).all() and np.ptp(rest[others]) <= AGREES * size:
        yield (
            "the labels of all images are taken off in every row: index the rows too, as in "
            "[np.arange(len(labels)), labels]"
        )


def _decayed(case: Case) -> Iterator[str]:
    """Find a term that forward does not have: a multiple of the value itself."""
    rest = case.found - case.numeric
    there = np.isfinite(rest)
    factor = float(np.sum(rest[there] * case.value[there]) / max(float(np.sum(case.value[there] ** 2)), 1e-300))
    if abs(factor) > 1e-9 and case.agrees(case.found - factor * case.value):
        yield f"it has {factor:.4g} times {case.name} too much, as of weight decay, which the output does not have"


_SHAPES = (_transposed_shape, _not_summed, _otherwise_summed)
_FORMULAS = (
    _nothing,
    _constant,
    _reduced,
    _rearranged,
    _labels,
    _decayed,
    _of_another_value,
    _masked,
    _by_sign,
    _overwritten,
    _own_place,
    _shifted,
    _weight_turned,
    _normalised,
    formulas,
)
"""In the order in which they are tried: the narrower first."""
