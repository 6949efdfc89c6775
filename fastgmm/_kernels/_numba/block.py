"""Loops over one block that several kernels share."""

from .jit import I0, I1, I2, I3, I4, part
from .primitives import sizes, tail, transpose_four, vector_loop


@part
def fill(out, value):
    """Set one row of a block to a constant.

    out  OUT
    """
    vector_loop()
    BLOCK = sizes(out)[0]
    for b in range(BLOCK):
        out[b] = value


@part
def transpose_tile(r0, r1, r2, r3, center, d, out):
    """Write four samples about a centre, given as rows, into the rows of a block.

    r0, r1, r2, r3, center  IN
    out                     OUT
    """
    STRIDE = sizes(out)[1]
    fours = d // I4 * I4
    for j in range(I0, fours, I4):
        transpose_four(
            tail(r0, j), tail(r1, j), tail(r2, j), tail(r3, j), tail(center, j),
            tail(out, j * STRIDE),
        )  # fmt: skip
    for j in range(fours, d):
        o = j * STRIDE
        out[o] = r0[j] - center[j]
        out[o + I1] = r1[j] - center[j]
        out[o + I2] = r2[j] - center[j]
        out[o + I3] = r3[j] - center[j]


@part
def transpose(rows, center, d, count, out):
    """Write samples about a centre, given as rows, into the rows of a block.

    count is a multiple of 4.

    rows, center  IN
    out           OUT
    """
    for a in range(I0, count, I4):
        row = tail(rows, a * d)
        r1, r2, r3 = tail(row, d), tail(row, I2 * d), tail(row, I3 * d)
        transpose_tile(row, r1, r2, r3, center, d, tail(out, a))


@part
def gather(rows, center, d, index, count, block):
    """Write listed samples about a centre, a multiple of 4, into the rows of a block.

    rows, center, index  IN
    block                OUT
    """
    for a in range(I0, count, I4):
        i0, i1, i2, i3 = index[a] * d, index[a + I1] * d, index[a + I2] * d, index[a + I3] * d
        r0, r1, r2, r3 = tail(rows, i0), tail(rows, i1), tail(rows, i2), tail(rows, i3)
        transpose_tile(r0, r1, r2, r3, center, d, tail(block, a))


@part
def advance(p, x, count, y):
    """Y += P[:, j:j+4] x.

    p, x  IN
    y     ADDS TO
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    a0, a1, a2, a3 = p[0], p[1], p[2], p[3]
    b0, b1, b2, b3 = p[4], p[5], p[6], p[7]
    c0, c1, c2, c3 = p[8], p[9], p[10], p[11]
    d0, d1, d2, d3 = p[12], p[13], p[14], p[15]
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[b] = y[b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3
