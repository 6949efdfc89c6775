"""Distances under full covariances: the triangular factors, four rows at a time.

The first 1 to 4 rows of a factor are a small triangle; so many are left of a multiple of four.
Each four rows after them take the columns on their left, the first 1 to 4 and then four at a
time, and close with a triangle. The 16 coefficients of four columns stay in registers while the
loop over samples does 16 multiply-adds on 4 loads of x and 4 running sums y.
"""

from ._jit import (
    I0,
    I1,
    I2,
    I3,
    I4,
    I8,
    I12,
    I16,
    U,
    block_function,
    by_dimension,
    sizes,
    spliced,
    vector_loop,
)
from .block import advance, coefficients


@spliced
def first_rows(d):
    """Return how many rows are taken at once, before those in fours."""
    return (d - I1) % I4 + I1


@block_function
def _start1(p, o, s, so, coefficient, x, out, oo):
    """Out = coefficient - y0^2."""
    vector_loop()
    BLOCK = sizes(x)[0]
    s0 = s[so]
    p00 = p[o]
    for b in range(BLOCK):
        y0 = s0 + p00 * x[b]
        out[oo + b] = coefficient - y0 * y0


@block_function
def _start2(p, o, s, so, coefficient, x, out, oo):
    """Out = coefficient - y0^2 - y1^2."""
    vector_loop()
    BLOCK, STRIDE = sizes(x)[:2]
    s0, s1 = s[so], s[so + I1]
    p00, p10, p11 = p[o], p[o + I1], p[o + I2]
    for b in range(BLOCK):
        x0 = x[b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x[STRIDE + b]
        out[oo + b] = coefficient - y0 * y0 - y1 * y1


@block_function
def _start3(p, o, s, so, coefficient, x, out, oo):
    """Out = coefficient - y0^2 - y1^2 - y2^2."""
    vector_loop()
    BLOCK, STRIDE, S2 = sizes(x)[:3]
    s0, s1, s2 = s[so], s[so + I1], s[so + I2]
    p00, p10, p11 = p[o], p[o + I1], p[o + I2]
    p20, p21, p22 = p[o + I3], p[o + I4], p[o + U(5)]
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x[S2 + b]
        out[oo + b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2


@block_function
def _start4(p, o, s, so, coefficient, x, out, oo):
    """Out = coefficient - y0^2 - y1^2 - y2^2 - y3^2."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    s0, s1, s2, s3 = coefficients(s, so)
    p00, p10, p11 = p[o], p[o + I1], p[o + I2]
    p20, p21, p22 = p[o + I3], p[o + I4], p[o + U(5)]
    p30, p31, p32, p33 = coefficients(p, o + U(6))
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x2
        y3 = s3 + p30 * x0 + p31 * x1 + p32 * x2 + p33 * x[S3 + b]
        out[oo + b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


def _start_plane(packed, k, x, out):
    d = U(packed.n_features)
    p, s, coefficient = packed.factors, packed.shifts, packed.coefficients[k]
    oo = k * sizes(x)[1]
    if d == I2:
        _start2(p, k * I3, s, k * I2, coefficient, x, out, oo)
    else:
        _start1(p, k, s, k, coefficient, x, out, oo)


def _start_space(packed, k, x, out):
    d = U(packed.n_features)
    p, s, coefficient = packed.factors, packed.shifts, packed.coefficients[k]
    o, so, oo = k * (d * (d + I1) // I2), k * d, k * sizes(x)[1]
    rows = first_rows(d)
    if rows == I4:
        _start4(p, o, s, so, coefficient, x, out, oo)
    elif rows == I3:
        _start3(p, o, s, so, coefficient, x, out, oo)
    elif rows == I2:
        _start2(p, o, s, so, coefficient, x, out, oo)
    else:
        _start1(p, o, s, so, coefficient, x, out, oo)


#: Begin the log-probabilities of component k with the first 1 to 4 rows of its factor.
start = by_dimension(plane=_start_plane, space=_start_space)


@block_function
def _open1(p, o, s, so, x, xo, count, y):
    """Y = shift + P[:, 0] x."""
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = coefficients(s, so)
    a0, a1, a2, a3 = coefficients(p, o)
    for b in range(count):
        x0 = x[xo + b]
        y[b] = s0 + a0 * x0
        y[STRIDE + b] = s1 + a1 * x0
        y[S2 + b] = s2 + a2 * x0
        y[S3 + b] = s3 + a3 * x0


@block_function
def _open2(p, o, s, so, x, xo, count, y):
    """Y = shift + P[:, 0:2] x."""
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = coefficients(s, so)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    for b in range(count):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        y[b] = s0 + a0 * x0 + b0 * x1
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1
        y[S2 + b] = s2 + a2 * x0 + b2 * x1
        y[S3 + b] = s3 + a3 * x0 + b3 * x1


@block_function
def _open3(p, o, s, so, x, xo, count, y):
    """Y = shift + P[:, 0:3] x."""
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = coefficients(s, so)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    c0, c1, c2, c3 = coefficients(p, o + I8)
    for b in range(count):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2


@block_function
def _open4(p, o, s, so, x, xo, count, y):
    """Y = shift + P[:, 0:4] x."""
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = coefficients(s, so)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    c0, c1, c2, c3 = coefficients(p, o + I8)
    d0, d1, d2, d3 = coefficients(p, o + I12)
    for b in range(count):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        x3 = x[xo + S3 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


@spliced
def _open(width, p, o, s, so, x, xo, count, y):
    """Begin four rows: their first 1 to 4 columns."""
    if width == I4:
        _open4(p, o, s, so, x, xo, count, y)
    elif width == I3:
        _open3(p, o, s, so, x, xo, count, y)
    elif width == I2:
        _open2(p, o, s, so, x, xo, count, y)
    else:
        _open1(p, o, s, so, x, xo, count, y)


@block_function
def _close(p, o, x, xo, y, count, out, oo):
    """Out -= |y + P x|^2, P lower triangular."""
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    p00, p10, p11 = p[o], p[o + I1], p[o + I2]
    p20, p21, p22 = p[o + I3], p[o + I4], p[o + U(5)]
    p30, p31, p32, p33 = coefficients(p, o + U(6))
    for b in range(count):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        y0 = y[b] + p00 * x0
        y1 = y[STRIDE + b] + p10 * x0 + p11 * x1
        y2 = y[S2 + b] + p20 * x0 + p21 * x1 + p22 * x2
        y3 = y[S3 + b] + p30 * x0 + p31 * x1 + p32 * x2 + p33 * x[xo + S3 + b]
        out[oo + b] = out[oo + b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


@block_function
def subtract_rows(packed, k, first, stop, x, xo, count, y, out, oo):
    """Subtract the squares of some rows, in fours, after the first 1 to 4."""
    STRIDE = sizes(x)[1]
    d = U(packed.n_features)
    factors, shifts = packed.factors, packed.shifts
    width = first_rows(d)
    o = (k * (d * (d + I1)) + first * (first + I1)) // I2
    for i in range(first, stop, I4):
        _open(width, factors, o, shifts, k * d + i, x, xo, count, y)
        o += width * I4
        for column in range(width * STRIDE, i * STRIDE, I4 * STRIDE):
            advance(factors, o, x, xo + column, count, y, I0)
            o += I16
        _close(factors, o, x, xo + i * STRIDE, y, count, out, oo)
        o += U(10)
