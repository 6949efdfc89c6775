"""Squared Mahalanobis distances of one block, subtracted from the log-probabilities.

    log_prob[k] = coefficient_k - |factor_k x + shift_k|^2

Row i of a triangular factor meets features 0..i only. Four components are worked on at once:
16 coefficients stay in registers while the loop over samples does 16 multiply-adds on
4 loads of x and 4 running sums y.
"""

from ._jit import (
    BLOCK,
    FULL,
    I0,
    I1,
    I2,
    I3,
    I4,
    I8,
    I12,
    S2,
    S3,
    STRIDE,
    TIED,
    U,
    block_function,
    vector_loop,
)


@block_function
def fill(out, start, value):
    """Set one row of a block to a constant."""
    vector_loop()
    for b in range(BLOCK):
        out[start + b] = value


@block_function
def _coefficients(p, o):
    return p[o], p[o + I1], p[o + I2], p[o + I3]


@block_function
def _open(p, o, s, so, x, xo, y):
    """Y = shift + P[:, 0:4] x."""
    vector_loop()
    s0, s1, s2, s3 = _coefficients(s, so)
    a0, a1, a2, a3 = _coefficients(p, o)
    b0, b1, b2, b3 = _coefficients(p, o + I4)
    c0, c1, c2, c3 = _coefficients(p, o + I8)
    d0, d1, d2, d3 = _coefficients(p, o + I12)
    for b in range(BLOCK):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        x3 = x[xo + S3 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


@block_function
def _advance(p, o, x, xo, y):
    """Y += P[:, j:j+4] x."""
    vector_loop()
    a0, a1, a2, a3 = _coefficients(p, o)
    b0, b1, b2, b3 = _coefficients(p, o + I4)
    c0, c1, c2, c3 = _coefficients(p, o + I8)
    d0, d1, d2, d3 = _coefficients(p, o + I12)
    for b in range(BLOCK):
        x0 = x[xo + b]
        x1 = x[xo + STRIDE + b]
        x2 = x[xo + S2 + b]
        x3 = x[xo + S3 + b]
        y[b] = y[b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


@block_function
def _close1(p, o, x, xo, y, out, oo):
    """Out -= (y + P[:, j] x)^2."""
    vector_loop()
    a0, a1, a2, a3 = _coefficients(p, o)
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
    a0, a1, a2, a3 = _coefficients(p, o)
    b0, b1, b2, b3 = _coefficients(p, o + I4)
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
    a0, a1, a2, a3 = _coefficients(p, o)
    b0, b1, b2, b3 = _coefficients(p, o + I4)
    c0, c1, c2, c3 = _coefficients(p, o + I8)
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
    a0, a1, a2, a3 = _coefficients(p, o)
    b0, b1, b2, b3 = _coefficients(p, o + I4)
    c0, c1, c2, c3 = _coefficients(p, o + I8)
    d0, d1, d2, d3 = _coefficients(p, o + I12)
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


@block_function
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


@block_function
def _subtract_triangles(block, d, groups, factors, shifts, y, out):
    """Full covariances: four components at a time, row by row of their factors."""
    o = I0
    for g in range(groups):
        for i in range(d):
            so = (g * d + i) * I4
            xo = I0
            if i < I4:
                for c in range(I4):
                    fill(y, c * STRIDE, shifts[so + c])
            else:
                _open(factors, o, shifts, so, block, xo, y)
                o += I4 * I4
                xo += I4 * STRIDE
            while xo + I4 * STRIDE <= i * STRIDE:
                _advance(factors, o, block, xo, y)
                o += I4 * I4
                xo += I4 * STRIDE
            width = i + I1 - xo // STRIDE
            _close(width, factors, o, block, xo, y, out, g * I4 * STRIDE)
            o += width * I4


@block_function
def _subtract_four(p, s, o, x, xo, out, oo):
    """Out -= sum over 4 features of (p x + s)^2."""
    vector_loop()
    p0, p1, p2, p3 = _coefficients(p, o)
    s0, s1, s2, s3 = _coefficients(s, o)
    for b in range(BLOCK):
        y0 = p0 * x[xo + b] + s0
        y1 = p1 * x[xo + STRIDE + b] + s1
        y2 = p2 * x[xo + S2 + b] + s2
        y3 = p3 * x[xo + S3 + b] + s3
        out[oo + b] = out[oo + b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


@block_function
def _subtract_eight(p, s, o, x, xo, out, oo):
    """Out -= sum over 8 features of (p x + s)^2."""
    vector_loop()
    p0, p1, p2, p3 = _coefficients(p, o)
    p4, p5, p6, p7 = _coefficients(p, o + I4)
    s0, s1, s2, s3 = _coefficients(s, o)
    s4, s5, s6, s7 = _coefficients(s, o + I4)
    xh = xo + I4 * STRIDE
    for b in range(BLOCK):
        y0 = p0 * x[xo + b] + s0
        y1 = p1 * x[xo + STRIDE + b] + s1
        y2 = p2 * x[xo + S2 + b] + s2
        y3 = p3 * x[xo + S3 + b] + s3
        y4 = p4 * x[xh + b] + s4
        y5 = p5 * x[xh + STRIDE + b] + s5
        y6 = p6 * x[xh + S2 + b] + s6
        y7 = p7 * x[xh + S3 + b] + s7
        low = out[oo + b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3
        out[oo + b] = low - y4 * y4 - y5 * y5 - y6 * y6 - y7 * y7


@block_function
def _subtract_one(p, s, o, x, xo, out, oo):
    """Out -= (p x + s)^2."""
    vector_loop()
    p0 = p[o]
    s0 = s[o]
    for b in range(BLOCK):
        y0 = p0 * x[xo + b] + s0
        out[oo + b] -= y0 * y0


@block_function
def _subtract_diagonals(block, d, n_components, factors, shifts, out):
    """Diagonal factors (diag, spherical, and tied once whitened)."""
    for k in range(n_components):
        j = I0
        while j + I8 <= d:
            _subtract_eight(factors, shifts, k * d + j, block, j * STRIDE, out, k * STRIDE)
            j += I8
        if j + I4 <= d:
            _subtract_four(factors, shifts, k * d + j, block, j * STRIDE, out, k * STRIDE)
            j += I4
        while j < d:
            _subtract_one(factors, shifts, k * d + j, block, j * STRIDE, out, k * STRIDE)
            j += I1


@block_function
def _add_scaled_row(p, x, xo, out, oo):
    vector_loop()
    for b in range(BLOCK):
        out[oo + b] += p * x[xo + b]


@block_function
def _whiten(block, d, whitener, out):
    """Out = P x / sqrt(2) with the one factor that tied components share."""
    for i in range(d):
        fill(out, i * STRIDE, 0.0)
        for j in range(i + I1):
            _add_scaled_row(whitener[i * d + j], block, j * STRIDE, out, i * STRIDE)


@block_function
def block_log_prob(block, packed, scratch, out):
    """Write coefficient - |factor x + shift|^2 for every component of one block.

    block    IN   (d rows)               samples, transposed, about the origin
    scratch       (max(d, 4) rows)       workspace
    out      OUT  (K rows, up to a multiple of 4)
    """
    d = U(packed.n_features)
    for k in range(U(packed.coefficients.size)):
        fill(out, k * STRIDE, packed.coefficients[k])
    if U(packed.kind) == FULL:
        groups = U(packed.coefficients.size) // I4
        _subtract_triangles(block, d, groups, packed.factors, packed.shifts, scratch, out)
        return
    samples = block
    if U(packed.kind) == TIED:
        _whiten(block, d, packed.whitener, scratch)
        samples = scratch
    _subtract_diagonals(samples, d, U(packed.n_components), packed.factors, packed.shifts, out)
