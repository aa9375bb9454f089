"""Compile Python loops by numba, notice when it does, and give it what it lacks.

numba compiles each at its first call (0.1 to 0.8 s) and keeps the machine code next to its module, or in the user's
cache folder where that is not writable (`NUMBA_CACHE_DIR` names another). Where neither is, each process
compiles again.

The flags allow a product and a sum to be contracted, sums to be taken in another order, and a division to be made by
an approximate reciprocal with a Newton step (about 1 unit in the last place): on one machine the bits are always the
same, between machines they may differ, as with BLAS. Infinities and NaNs keep their meaning.

numba compiles a loop over the numbers of a row well, but a sum over many rows goes through memory row by row, and each
row is first checked for overlapping the sum: 6 ns a term of 128 numbers. `add_terms` writes the loop over the terms in
LLVM's own language with one wide vector, which LLVM splits over the registers that the processor has: 2.5 ns.

numba keeps compiled kernels by the date of `kernels.py`: after a change here, touch that file.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import cgutils, event
from numba.extending import intrinsic

FLAGS = {"contract", "reassoc", "arcp", "afn", "nsz"}


def compiled(function: Any) -> Any:
    """Return a loop that is compiled at its first call."""
    try:
        return njit(cache=True, fastmath=FLAGS, error_model="numpy")(function)
    except RuntimeError:  # there is no folder to keep the machine code in
        return njit(fastmath=FLAGS, error_model="numpy")(function)


# --- notice of compilation -------------------------------------------------------------------------------------------


class _Listener(event.Listener):  # type: ignore[misc]
    """Passes on the first compilation, and the seconds of each; one may start others, which are part of it."""

    def __init__(self, on_first: Callable[[], None], on_seconds: Callable[[float], None]) -> None:
        self.on_first: Callable[[], None] | None = on_first
        self.on_seconds = on_seconds
        self.depth, self.began = 0, 0.0

    def on_start(self, _: event.Event) -> None:
        if self.on_first is not None:
            self.on_first()
        self.on_first = None
        if self.depth == 0:
            self.began = time.perf_counter()
        self.depth += 1

    def on_end(self, _: event.Event) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.on_seconds(time.perf_counter() - self.began)


@contextmanager
def reporting_compilation(on_first: Callable[[], None], on_seconds: Callable[[float], None]) -> Iterator[None]:
    """Call a function when the first kernel is compiled in the block, and another with the seconds that each took."""
    with event.install_listener("numba:compile", _Listener(on_first, on_seconds)):
        yield


# --- vectors and prefetching in LLVM's language ----------------------------------------------------------------------


def _has_avx512() -> bool:
    try:
        return bool(get_host_cpu_features().get("avx512f"))
    except RuntimeError:  # LLVM cannot ask every processor, such as Apple's
        return False


WIDE = 128 if _has_avx512() else 64
"""Numbers that are summed at once, each by itself. 128 of 32 bits take 8 of the 32 registers of AVX-512, so that a sum
need not wait for the one before; 64 take 8 of the 16 of AVX, or 16 of the 32 of NEON. A power of two."""


@intrinsic
def add_terms(_context, sums, row, table, above, terms, levels, first, last, width):
    """Add terms to a row of sums: `sums[row, j] += sum_k levels[b_k] table[above + a_k, j]` for `k` from first to last.

    A term is a whole number of 16 bits: `a_k` is its upper byte, `b_k` its lower one. All arrays are contiguous, and
    `width` is the length of a row of `sums` and `table`. Its last numbers, fewer than `WIDE`, are summed in parts of a
    half, a quarter and so on.
    """

    def codegen(context, builder, signature, arguments):
        sums, row, table, above, terms, levels, first, last, width = (
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        place, start = builder.mul(row, width), builder.mul(above, width)

        def add(column, size):
            """Write the sums of this many columns from one on."""
            here = _vector(builder, sums, builder.add(place, column), size)
            total = cgutils.alloca_once_value(builder, _load(builder, here))
            with cgutils.for_range_slice(builder, first, last, _number(1)) as (k, _):
                index, factor = _term(builder, terms, levels, k)
                beginning = builder.add(builder.add(start, column), builder.mul(index, width))
                values = _load(builder, _vector(builder, table, beginning, size))
                builder.store(_multiply_add(builder, factor, values, builder.load(total)), total)
            _store(builder, builder.load(total), here)

        with cgutils.for_range(builder, builder.udiv(width, _number(WIDE))) as wide:
            add(builder.mul(wide.index, _number(WIDE)), WIDE)
        size = WIDE // 2
        while size:
            with builder.if_then(cgutils.is_not_null(builder, builder.and_(width, _number(size)))):
                add(builder.and_(width, _number(-2 * size)), size)
            size //= 2
        return context.get_dummy_value()

    kinds = (sums, row, table, above, terms, levels, first, last, width)
    return types.void(*(kind if isinstance(kind, types.Array) else types.int64 for kind in kinds)), codegen


@intrinsic
def fetch(_context, array, _place):
    """Ask the processor to bring a place of an array into its caches, without waiting for it."""

    def codegen(context, builder, signature, arguments):
        kind, _ = signature.args
        data = context.make_array(kind)(context, builder, arguments[0]).data
        number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        ask = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        read, keep, is_data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(ask, [builder.bitcast(builder.gep(data, [arguments[1]]), byte), read, keep, is_data])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


def _number(value):
    return ir.Constant(ir.IntType(64), value)


def _term(builder, terms, levels, k):
    """Read a term: its index, and its factor."""
    term = builder.load(builder.gep(terms, [k]))
    index = builder.zext(builder.lshr(term, ir.Constant(term.type, 8)), k.type)
    byte = builder.zext(builder.and_(term, ir.Constant(term.type, 255)), k.type)
    return index, _load(builder, builder.gep(levels, [byte]))


def _vector(builder, array, start, width):
    """Point to this many numbers of an array, from one on."""
    kind = ir.VectorType(array.type.pointee, width)
    return builder.bitcast(builder.gep(array, [start]), kind.as_pointer())


def _load(builder, place):
    return builder.load(place, align=4)  # rows start anywhere


def _store(builder, value, place):
    builder.store(value, place, align=4)


def _multiply_add(builder, factor, values, total):
    """Return `factor values + total` for one factor and two vectors; the processor may round once for both."""
    empty = ir.Constant(values.type, ir.Undefined)
    lane = ir.IntType(32)
    first = builder.insert_element(empty, factor, ir.Constant(lane, 0))
    spread = ir.Constant(ir.VectorType(lane, values.type.count), [0] * values.type.count)
    product = builder.fmul(builder.shuffle_vector(first, empty, spread), values, flags=("contract",))
    return builder.fadd(product, total, flags=("contract",))
