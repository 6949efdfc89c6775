"""Loops over one block that several kernels share."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import layout
from ._jit import I0, I1, I2, I3, I4, I8, I12, block_function, sizes, vector_loop


@block_function
def fill(out, start, value):
    """Set one row of a block to a constant."""
    vector_loop()
    BLOCK = sizes(out)[0]
    for b in range(BLOCK):
        out[start + b] = value


@intrinsic
def _transpose_four(typingctx, rows, o0, o1, o2, o3, out, to):
    """Write four numbers from each of four places as the first numbers of four rows."""
    size = out.dtype.bitwidth // 8
    stride = layout.block_stride(size)

    def codegen(context, builder, signature, args):
        vector = ir.VectorType(context.get_value_type(out.dtype), 4)

        def place(pointer, index):
            return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())

        def mix(a, b, *lanes):
            return builder.shuffle_vector(
                a, b, ir.Constant(ir.VectorType(ir.IntType(32), 4), lanes)
            )

        a, b, c, d = (builder.load(place(args[0], o), align=size) for o in args[1:5])
        even = mix(a, b, 0, 4, 2, 6), mix(c, d, 0, 4, 2, 6)
        odd = mix(a, b, 1, 5, 3, 7), mix(c, d, 1, 5, 3, 7)
        low, high = (0, 1, 4, 5), (2, 3, 6, 7)
        columns = mix(*even, *low), mix(*odd, *low), mix(*even, *high), mix(*odd, *high)
        for j, column in enumerate(columns):
            index = builder.add(args[6], ir.Constant(ir.IntType(64), j * stride))
            builder.store(column, place(args[5], index), align=size)
        return context.get_dummy_value()

    return types.void(rows, o0, o1, o2, o3, out, to), codegen


@block_function
def transpose_tile(rows, o0, o1, o2, o3, d, out, to):
    """Write four samples, given as rows, into the rows of a block, from column ``to`` on."""
    STRIDE = sizes(out)[1]
    fours = d // I4 * I4
    for j in range(I0, fours, I4):
        _transpose_four(rows, o0 + j, o1 + j, o2 + j, o3 + j, out, to + j * STRIDE)
    for j in range(fours, d):
        o = to + j * STRIDE
        out[o] = rows[o0 + j]
        out[o + I1] = rows[o1 + j]
        out[o + I2] = rows[o2 + j]
        out[o + I3] = rows[o3 + j]


@block_function
def transpose(rows, o, d, count, out):
    """Write samples given as rows into the rows of a block; count is a multiple of 4."""
    for a in range(I0, count, I4):
        i = o + a * d
        transpose_tile(rows, i, i + d, i + I2 * d, i + I3 * d, d, out, a)


@block_function
def coefficients(p, o):
    return p[o], p[o + I1], p[o + I2], p[o + I3]


@block_function
def advance(p, o, x, xo, count, y, yo):
    """Y += P[:, j:j+4] x."""
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    c0, c1, c2, c3 = coefficients(p, o + I8)
    d0, d1, d2, d3 = coefficients(p, o + I12)
    for b in range(count):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        x3 = x[xo + S3 + b]
        y[yo + b] = y[yo + b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[yo + STRIDE + b] = y[yo + STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[yo + S2 + b] = y[yo + S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[yo + S3 + b] = y[yo + S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3
