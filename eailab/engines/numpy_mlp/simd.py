"""Sum rows of a table in vector registers.

numba compiles a loop over the numbers of a row well, but a sum over many rows goes through memory row by row, and each
row is first checked for overlapping the sum: 6 ns a term of 128 numbers. Here the loop over the terms is written in
LLVM's own language with one wide vector, which LLVM splits over the registers that the processor has: 2.5 ns.

numba keeps compiled kernels by the date of `kernels.py`: after a change here, touch that file.
"""

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


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
            """Write the sums of so many columns from one on."""
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
    """Point to so many numbers of an array, from one on."""
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
