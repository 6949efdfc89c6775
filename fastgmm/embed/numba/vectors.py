"""Sums over features with a component in each of eight lanes, in LLVM code.

LLVM unrolls a loop over eight lanes before it looks for vectors, and finds none afterwards. So the
vectors are written out; a processor whose registers are shorter takes several for each.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..._kernels._numba.primitives import primitive
from ..point_layout import LANES

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_MULTIPLY_ADD = ("contract",)
_ROWS = 4


class _Writer:
    """Writes what the functions below have in common."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.builder = builder
        self.arguments = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, args, strict=True)
        ]

    def place(self, data: Any, row: Any, offset: int = 0) -> Any:
        """Return a pointer to row number ``row`` of eight lanes, and ``offset`` more."""
        builder = self.builder
        index = builder.add(builder.mul(row, row.type(LANES)), row.type(LANES * offset))
        return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())

    def load(self, data: Any, row: Any, offset: int = 0) -> Any:
        return self.builder.load(self.place(data, row, offset), align=8)

    def splat(self, x: Any, j: Any) -> Any:
        """Return x[j] in all lanes."""
        builder = self.builder
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        one = builder.insert_element(
            undefined, builder.load(builder.gep(x, [j])), ir.IntType(32)(0)
        )
        return builder.shuffle_vector(
            one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        )

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        product = self.builder.fmul(a, b, flags=_MULTIPLY_ADD)
        return self.builder.fadd(c, product, flags=_MULTIPLY_ADD)

    def subtract_square(self, y: Any, total: Any) -> Any:
        square = self.builder.fmul(y, y, flags=_MULTIPLY_ADD)
        return self.builder.fsub(total, square, flags=_MULTIPLY_ADD)


def _subtract_four_rows(p: Any, s: Any, x: Any, count: Any, start: Any, out: Any) -> None:
    n = int(count)
    coefficients = p[: n * _ROWS * LANES].reshape(n, _ROWS, LANES)
    y = s[: _ROWS * LANES].reshape(_ROWS, LANES) + np.tensordot(x[:n], coefficients, 1)
    out[:LANES] = start[:LANES] - (y * y).sum(axis=0)


@primitive(_subtract_four_rows)
def subtract_four_rows(
    typingctx: Any, p: Any, s: Any, x: Any, count: Any, start: Any, out: Any
) -> Any:
    """Out = start - sum over 4 rows of (s + sum_j p[j] x[j])^2, p (count, 4, 8) and s (4, 8)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        write = _Writer(context, builder, signature, args)
        p, s, x, count, start, out = write.arguments
        first = count.type(0)
        sums = [cgutils.alloca_once_value(builder, write.load(s, first, i)) for i in range(_ROWS)]
        with cgutils.for_range(builder, count) as loop:
            value = write.splat(x, loop.index)
            row = builder.mul(loop.index, count.type(_ROWS))
            for i, place in enumerate(sums):
                y = write.multiply_add(write.load(p, row, i), value, builder.load(place))
                builder.store(y, place)
        total = write.load(start, first)
        for place in sums:
            total = write.subtract_square(builder.load(place), total)
        builder.store(total, write.place(out, first), align=8)
        return context.get_dummy_value()

    return types.void(p, s, x, types.uint64, start, out), codegen


def _subtract_scaled(p: Any, s: Any, x: Any, count: Any, start: Any, out: Any) -> None:
    n = int(count)
    y = p[: n * LANES].reshape(n, LANES) * x[:n, np.newaxis] + s[: n * LANES].reshape(n, LANES)
    out[:LANES] = start[:LANES] - (y * y).sum(axis=0)


@primitive(_subtract_scaled)
def subtract_scaled(
    typingctx: Any, p: Any, s: Any, x: Any, count: Any, start: Any, out: Any
) -> Any:
    """Out = start - sum over j of (p[j] x[j] + s[j])^2, with p and s (count, 8)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        write = _Writer(context, builder, signature, args)
        p, s, x, count, start, out = write.arguments
        first = count.type(0)
        total = cgutils.alloca_once_value(builder, write.load(start, first))
        with cgutils.for_range(builder, count) as loop:
            j = loop.index
            y = write.multiply_add(write.load(p, j), write.splat(x, j), write.load(s, j))
            builder.store(write.subtract_square(y, builder.load(total)), total)
        builder.store(builder.load(total), write.place(out, first), align=8)
        return context.get_dummy_value()

    return types.void(p, s, x, types.uint64, start, out), codegen
