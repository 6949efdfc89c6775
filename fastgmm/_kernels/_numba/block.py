"""Loops over one block that several kernels share."""

from ._jit import I0, I1, I2, I3, I4, I8, I12, block_function, sizes, vector_loop


@block_function
def fill(out, start, value):
    """Set one row of a block to a constant."""
    vector_loop()
    BLOCK = sizes(out)[0]
    for b in range(BLOCK):
        out[start + b] = value


@block_function
def transpose(rows, o, d, count, out):
    """Write samples given as rows into the rows of a block; count is a multiple of 4."""
    vector_loop()
    STRIDE = sizes(out)[1]
    d2, d3 = d * I2, d * I3
    for a in range(I0, count, I4):
        for j in range(d):
            i = o + a * d + j
            to = j * STRIDE + a
            out[to] = rows[i]
            out[to + I1] = rows[i + d]
            out[to + I2] = rows[i + d2]
            out[to + I3] = rows[i + d3]


@block_function
def coefficients(p, o):
    return p[o], p[o + I1], p[o + I2], p[o + I3]


@block_function
def advance(p, o, x, xo, y, yo):
    """Y += P[:, j:j+4] x."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    c0, c1, c2, c3 = coefficients(p, o + I8)
    d0, d1, d2, d3 = coefficients(p, o + I12)
    for b in range(BLOCK):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        x3 = x[xo + S3 + b]
        y[yo + b] = y[yo + b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[yo + STRIDE + b] = y[yo + STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[yo + S2 + b] = y[yo + S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[yo + S3 + b] = y[yo + S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3
