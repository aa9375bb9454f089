"""Sums over rows of a table, held in vector registers.

numba compiles a loop over the numbers of a row well, but a sum over many rows goes through memory row by row, and each
row is first checked for overlapping the sum: 6 ns a term of 128 numbers. Here the loop over the terms is written in
LLVM's own language with one wide vector, which LLVM splits over the registers that the processor has: 2.5 ns.

A term is a whole number of 16 bits: its upper byte is the index of a row of the table, its lower byte that of a factor
in `levels`. The terms from `first` to `last` are summed. All arrays are contiguous; `row` and `column` count numbers
from the start of an array, and `width` is a number written in the call.

numba keeps compiled kernels by the date of `kernels.py`: after a change here, touch that file.
"""

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic

WIDE = 128 if get_host_cpu_features().get("avx512f") else 64
"""Numbers that are summed at once, each by itself. 128 of 32 bits take 8 of the 32 registers of AVX-512, so that a sum
need not wait for the one before; 64 take 8 of the 16 of AVX, or 16 of the 32 of NEON."""

NARROW = 16
"""Numbers that are summed at once where fewer than `WIDE` are left."""


@intrinsic(prefer_literal=True)
def gather(_context, sums, row, table, stride, column, terms, levels, first, last, width):
    """Add terms to a part of a row: `sums[row + j] += sum_k factor_k table[index_k stride + column + j]`."""

    def generate(builder, sums, row, table, stride, column, terms, levels, first, last):
        place = _vector(builder, sums, row, width.literal_value)

        def term(k, total):
            index, factor = _term(builder, terms, levels, k)
            start = builder.add(builder.mul(index, stride), column)
            values = _load(builder, _vector(builder, table, start, width.literal_value))
            return _multiply_add(builder, factor, values, total)

        _store(builder, _loop(builder, first, last, _load(builder, place), term), place)

    return _over_pointers(width, generate, sums, row, table, stride, column, terms, levels, first, last)


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


def _over_pointers(width, generate, *kinds):
    """Return what numba asks of an intrinsic: its signature, and the code, written for pointers in place of arrays."""
    if not isinstance(width, types.IntegerLiteral):
        return None  # numba then calls again, with the number itself
    wanted = [kind if isinstance(kind, types.Array) else types.int64 for kind in kinds]

    def codegen(context, builder, signature, arguments):
        pairs = list(zip(signature.args, arguments, strict=True))[:-1]
        values = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in pairs
        ]
        generate(builder, *values)
        return context.get_dummy_value()

    return types.void(*wanted, width), codegen


def _loop(builder, first, last, start, step):
    """Write `for k in range(first, last): value = step(k, value)` and return the last value."""
    before = builder.block
    inside, after = builder.append_basic_block("terms"), builder.append_basic_block("summed")
    builder.cbranch(builder.icmp_signed("<", first, last), inside, after)
    builder.position_at_end(inside)
    k, value = builder.phi(first.type), builder.phi(start.type)
    following = step(k, value)
    upper = builder.add(k, ir.Constant(first.type, 1))
    for phi, entering, coming in ((k, first, upper), (value, start, following)):
        phi.add_incoming(entering, before)
        phi.add_incoming(coming, inside)
    builder.cbranch(builder.icmp_signed("<", upper, last), inside, after)
    builder.position_at_end(after)
    result = builder.phi(start.type)
    result.add_incoming(start, before)
    result.add_incoming(following, inside)
    return result


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
