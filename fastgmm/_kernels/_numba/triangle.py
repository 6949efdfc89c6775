"""Distances under full covariances: triangular factors, four components at a time.

Row i of a factor meets features 0..i only. The first four rows are taken at once for each
component; in the others 16 coefficients stay in registers while the loop over samples does
16 multiply-adds on 4 loads of x and 4 running sums y.
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
    s0, s1 = s[so], s[so + I4]
    p00, p10, p11 = p[o], p[o + I4], p[o + I8]
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
    s0, s1, s2 = s[so], s[so + I4], s[so + I8]
    p00, p10, p11 = p[o], p[o + I4], p[o + I8]
    p20, p21, p22 = p[o + I12], p[o + I16], p[o + U(20)]
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
    s0, s1, s2, s3 = s[so], s[so + I4], s[so + I8], s[so + I12]
    p00, p10, p11 = p[o], p[o + I4], p[o + I8]
    p20, p21, p22 = p[o + I12], p[o + I16], p[o + U(20)]
    p30, p31, p32, p33 = p[o + U(24)], p[o + U(28)], p[o + U(32)], p[o + U(36)]
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x2
        y3 = s3 + p30 * x0 + p31 * x1 + p32 * x2 + p33 * x[S3 + b]
        out[oo + b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


def _start_plane(packed, p, o, s, so, coefficient, x, out, oo):
    if packed.n_features == 2:
        _start2(p, o, s, so, coefficient, x, out, oo)
    else:
        _start1(p, o, s, so, coefficient, x, out, oo)


def _start_space(packed, p, o, s, so, coefficient, x, out, oo):
    if packed.n_features >= 4:
        _start4(p, o, s, so, coefficient, x, out, oo)
    else:
        _start3(p, o, s, so, coefficient, x, out, oo)


#: Begin with the first 1 to 4 rows of one component's factor; p and s go in steps of 4.
_start = by_dimension(plane=_start_plane, space=_start_space)


@block_function
def _open(p, o, s, so, x, y):
    """Y = shift + P[:, 0:4] x."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    s0, s1, s2, s3 = coefficients(s, so)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    c0, c1, c2, c3 = coefficients(p, o + I8)
    d0, d1, d2, d3 = coefficients(p, o + I12)
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


@block_function
def _close1(p, o, x, xo, y, out, oo):
    """Out -= (y + P[:, j] x)^2."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    a0, a1, a2, a3 = coefficients(p, o)
    for b in range(BLOCK):
        x0 = x[xo + b]
        y0 = y[b] + a0 * x0
        y1 = y[STRIDE + b] + a1 * x0
        y2 = y[S2 + b] + a2 * x0
        y3 = y[S3 + b] + a3 * x0
        out[oo + b] -= y0 * y0
        out[oo + STRIDE + b] -= y1 * y1
        out[oo + S2 + b] -= y2 * y2
        out[oo + S3 + b] -= y3 * y3


@block_function
def _close2(p, o, x, xo, y, out, oo):
    """Out -= (y + P[:, j:j+2] x)^2."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    for b in range(BLOCK):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        y0 = y[b] + a0 * x0 + b0 * x1
        y1 = y[STRIDE + b] + a1 * x0 + b1 * x1
        y2 = y[S2 + b] + a2 * x0 + b2 * x1
        y3 = y[S3 + b] + a3 * x0 + b3 * x1
        out[oo + b] -= y0 * y0
        out[oo + STRIDE + b] -= y1 * y1
        out[oo + S2 + b] -= y2 * y2
        out[oo + S3 + b] -= y3 * y3


@block_function
def _close3(p, o, x, xo, y, out, oo):
    """Out -= (y + P[:, j:j+3] x)^2."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    c0, c1, c2, c3 = coefficients(p, o + I8)
    for b in range(BLOCK):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        y0 = y[b] + a0 * x0 + b0 * x1 + c0 * x2
        y1 = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2
        y2 = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2
        y3 = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2
        out[oo + b] -= y0 * y0
        out[oo + STRIDE + b] -= y1 * y1
        out[oo + S2 + b] -= y2 * y2
        out[oo + S3 + b] -= y3 * y3


@block_function
def _close4(p, o, x, xo, y, out, oo):
    """Out -= (y + P[:, j:j+4] x)^2."""
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
        y0 = y[b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y1 = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y2 = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y3 = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3
        out[oo + b] -= y0 * y0
        out[oo + STRIDE + b] -= y1 * y1
        out[oo + S2 + b] -= y2 * y2
        out[oo + S3 + b] -= y3 * y3


@spliced
def _close(width, p, o, x, xo, y, out, oo):
    """Finish a row: its last 1 to 4 columns, then the square."""
    if width == I4:
        _close4(p, o, x, xo, y, out, oo)
    elif width == I3:
        _close3(p, o, x, xo, y, out, oo)
    elif width == I2:
        _close2(p, o, x, xo, y, out, oo)
    else:
        _close1(p, o, x, xo, y, out, oo)


def _no_more_rows(packed, block, g, o, y, out):
    return o


def _more_rows(packed, block, g, o, y, out):
    STRIDE = sizes(block)[1]
    d = U(packed.n_features)
    factors, shifts = packed.factors, packed.shifts
    for i in range(I4, d):
        _open(factors, o, shifts, (g * d + i) * I4, block, y)
        o += I16
        xo = I4 * STRIDE
        while xo + I4 * STRIDE <= i * STRIDE:
            advance(factors, o, block, xo, y, I0)
            o += I16
            xo += I4 * STRIDE
        rest = i + I1 - xo // STRIDE
        _close(rest, factors, o, block, xo, y, out, g * I4 * STRIDE)
        o += rest * I4
    return o


#: Subtract the squares of the rows after the fourth; return where the next factors begin.
_subtract_rows = by_dimension(plane=_no_more_rows, space=_more_rows)


def subtract_triangles(packed, block, y, norm, out):
    """Full covariances: four components at a time, row by row of their factors."""
    STRIDE = sizes(block)[1]
    d = U(packed.n_features)
    constants, factors, shifts = packed.coefficients, packed.factors, packed.shifts
    o = I0
    width = min(d, I4)
    for g in range((U(packed.n_components) + I3) // I4):
        for c in range(I4):
            k = g * I4 + c
            so = g * d * I4 + c
            _start(packed, factors, o + c, shifts, so, constants[k], block, out, k * STRIDE)
        o = _subtract_rows(packed, block, g, o + width * (width + I1) // I2 * I4, y, out)
