"""Distances under full covariances: the triangular factors, four rows at a time.

The first 1 to 4 rows of a factor are a small triangle, so that the other rows come in fours. Each
four rows first take the columns on their left (the first 1 to 4, then four at a time), and then
their own triangle. The 16 coefficients of four columns stay in registers while the loop over
samples does 16 multiply-adds on 4 loads of x and 4 running sums y.
"""

from .block import advance
from .jit import I1, I2, I3, I4, I16, U, part, shared_part, step
from .layout import first_rows
from .primitives import not_inlined, sizes, tail, vector_loop


@part
def _start1(p, s, coefficient, x, count, out):
    """Out = coefficient - y0^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    vector_loop()
    s0 = s[0]
    p00 = p[0]
    for b in range(count):
        y0 = s0 + p00 * x[b]
        out[b] = coefficient - y0 * y0


@part
def _start2(p, s, coefficient, x, count, out):
    """Out = coefficient - y0^2 - y1^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    vector_loop()
    STRIDE = sizes(x)[1]
    s0, s1 = s[0], s[1]
    p00, p10, p11 = p[0], p[1], p[2]
    for b in range(count):
        x0 = x[b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x[STRIDE + b]
        out[b] = coefficient - y0 * y0 - y1 * y1


@part
def _start3(p, s, coefficient, x, count, out):
    """Out = coefficient - y0^2 - y1^2 - y2^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    vector_loop()
    STRIDE, S2 = sizes(x)[1:3]
    s0, s1, s2 = s[0], s[1], s[2]
    p00, p10, p11 = p[0], p[1], p[2]
    p20, p21, p22 = p[3], p[4], p[5]
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x[S2 + b]
        out[b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2


@part
def _start4(p, s, coefficient, x, count, out):
    """Out = coefficient - y0^2 - y1^2 - y2^2 - y3^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    p00, p10, p11 = p[0], p[1], p[2]
    p20, p21, p22 = p[3], p[4], p[5]
    p30, p31, p32, p33 = p[6], p[7], p[8], p[9]
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x2
        y3 = s3 + p30 * x0 + p31 * x1 + p32 * x2 + p33 * x[S3 + b]
        out[b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


@step
def _start(width, p, s, coefficient, x, count, out):
    """Begin with the first 1 to 4 rows of one component's factor.

    p, s, coefficient, x  IN
    out                   OUT
    """
    if width == I4:
        _start4(p, s, coefficient, x, count, out)
    elif width == I3:
        _start3(p, s, coefficient, x, count, out)
    elif width == I2:
        _start2(p, s, coefficient, x, count, out)
    else:
        _start1(p, s, coefficient, x, count, out)


@part
def _open1(p, s, x, count, y):
    """Y = shift + P[:, 0:1] x.

    p, s, x  IN
    y        OUT
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    a0, a1, a2, a3 = p[0], p[1], p[2], p[3]
    for b in range(count):
        x0 = x[b]
        y[b] = s0 + a0 * x0
        y[STRIDE + b] = s1 + a1 * x0
        y[S2 + b] = s2 + a2 * x0
        y[S3 + b] = s3 + a3 * x0


@part
def _open2(p, s, x, count, y):
    """Y = shift + P[:, 0:2] x.

    p, s, x  IN
    y        OUT
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    a0, a1, a2, a3 = p[0], p[1], p[2], p[3]
    b0, b1, b2, b3 = p[4], p[5], p[6], p[7]
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        y[b] = s0 + a0 * x0 + b0 * x1
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1
        y[S2 + b] = s2 + a2 * x0 + b2 * x1
        y[S3 + b] = s3 + a3 * x0 + b3 * x1


@part
def _open3(p, s, x, count, y):
    """Y = shift + P[:, 0:3] x.

    p, s, x  IN
    y        OUT
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    a0, a1, a2, a3 = p[0], p[1], p[2], p[3]
    b0, b1, b2, b3 = p[4], p[5], p[6], p[7]
    c0, c1, c2, c3 = p[8], p[9], p[10], p[11]
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2


@part
def _open4(p, s, x, count, y):
    """Y = shift + P[:, 0:4] x.

    p, s, x  IN
    y        OUT
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    a0, a1, a2, a3 = p[0], p[1], p[2], p[3]
    b0, b1, b2, b3 = p[4], p[5], p[6], p[7]
    c0, c1, c2, c3 = p[8], p[9], p[10], p[11]
    d0, d1, d2, d3 = p[12], p[13], p[14], p[15]
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


@step
def _open(width, p, s, x, count, y):
    """Begin four rows: their first 1 to 4 columns.

    p, s, x  IN
    y        OUT
    """
    if width == I4:
        _open4(p, s, x, count, y)
    elif width == I3:
        _open3(p, s, x, count, y)
    elif width == I2:
        _open2(p, s, x, count, y)
    else:
        _open1(p, s, x, count, y)


@part
def _close(p, x, y, count, out):
    """Out -= |y + P x|^2, P lower triangular.

    p, x, y  IN
    out      ADDS TO
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    p00, p10, p11 = p[0], p[1], p[2]
    p20, p21, p22 = p[3], p[4], p[5]
    p30, p31, p32, p33 = p[6], p[7], p[8], p[9]
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y0 = y[b] + p00 * x0
        y1 = y[STRIDE + b] + p10 * x0 + p11 * x1
        y2 = y[S2 + b] + p20 * x0 + p21 * x1 + p22 * x2
        y3 = y[S3 + b] + p30 * x0 + p31 * x1 + p32 * x2 + p33 * x[S3 + b]
        out[b] = out[b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


@step
def start(packed, k, x, count, out):
    """Begin the log-probabilities of component k with the first 1 to 4 rows of its factor.

    packed, x  IN
    out        OUT
    """
    d = U(packed.n_features)
    p, s = tail(packed.factors, k * (d * (d + I1) // I2)), tail(packed.shifts, k * d)
    _start(first_rows(d), p, s, packed.coefficients[k], x, count, out)


@shared_part
def _subtract_rows(factors, shifts, d, first, stop, x, count, y, out):
    """Subtract the squares of some rows of one component's factor.

    count is a multiple of 16; LLVM is told, and leaves out what would handle the rest.

    factors, shifts, x  IN
    y                   OUT      four rows of workspace
    out                 ADDS TO
    """
    not_inlined()
    STRIDE = sizes(x)[1]
    width = first_rows(d)
    count = count // I16 * I16
    p = first * (first + I1) // I2
    for i in range(first, stop, I4):
        _open(width, tail(factors, p), tail(shifts, i), x, count, y)
        p += width * I4
        for j in range(width, i, I4):
            advance(tail(factors, p), tail(x, j * STRIDE), count, y)
            p += I16
        _close(tail(factors, p), tail(x, i * STRIDE), y, count, out)
        p += U(10)


@step
def subtract_rows(packed, k, first, stop, x, count, y, out):
    """Subtract the squares of some rows, four at a time, after the first 1 to 4.

    packed, x  IN
    y          OUT      four rows of workspace
    out        ADDS TO
    """
    d = U(packed.n_features)
    factors, shifts = tail(packed.factors, k * (d * (d + I1) // I2)), tail(packed.shifts, k * d)
    _subtract_rows(factors, shifts, d, first, stop, x, count, y, out)
