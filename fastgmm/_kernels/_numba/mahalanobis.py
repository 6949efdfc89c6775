"""Squared Mahalanobis distances of one block, subtracted from the log-probabilities.

    log_prob[k] = coefficient_k - |factor_k x + shift_k|^2

Under one factor for all features (spherical, and tied once the samples are whitened) the square
is expanded to a product of matrices where that is as exact: half the work.
"""

from ._jit import (
    I0,
    I1,
    I3,
    I4,
    I8,
    I12,
    I16,
    U,
    block_function,
    by_covariance_type,
    sizes,
    vector_loop,
)
from .block import advance, coefficients, fill
from .partial_distance import full_log_prob
from .pointers import is_null
from .posterior import find_maximum


@block_function
def _subtract_four(p, s, o, x, xo, out, oo):
    """Out -= sum over 4 features of (p x + s)^2."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    p0, p1, p2, p3 = coefficients(p, o)
    s0, s1, s2, s3 = coefficients(s, o)
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
    BLOCK, STRIDE, S2, S3 = sizes(x)
    p0, p1, p2, p3 = coefficients(p, o)
    p4, p5, p6, p7 = coefficients(p, o + I4)
    s0, s1, s2, s3 = coefficients(s, o)
    s4, s5, s6, s7 = coefficients(s, o + I4)
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
    BLOCK = sizes(x)[0]
    p0 = p[o]
    s0 = s[o]
    for b in range(BLOCK):
        y0 = p0 * x[xo + b] + s0
        out[oo + b] -= y0 * y0


@block_function
def _subtract_diagonals(packed, block, out):
    """Diagonal factors (diag, spherical, and tied once whitened)."""
    STRIDE = sizes(block)[1]
    d = U(packed.n_features)
    factors, shifts = packed.factors, packed.shifts
    for k in range(U(packed.n_components)):
        row = k * STRIDE
        fill(out, row, packed.coefficients[k])
        j = I0
        while j + I8 <= d:
            _subtract_eight(factors, shifts, k * d + j, block, j * STRIDE, out, row)
            j += I8
        if j + I4 <= d:
            _subtract_four(factors, shifts, k * d + j, block, j * STRIDE, out, row)
            j += I4
        while j < d:
            _subtract_one(factors, shifts, k * d + j, block, j * STRIDE, out, row)
            j += I1


@block_function
def _add_scaled_row(p, x, xo, out, oo):
    vector_loop()
    BLOCK = sizes(x)[0]
    for b in range(BLOCK):
        out[oo + b] += p * x[xo + b]


@block_function
def _whiten(block, d, whitener, out):
    """Out = P x / sqrt(2) with the one factor that tied components share."""
    STRIDE = sizes(block)[1]
    for i in range(d):
        fill(out, i * STRIDE, 0.0)
        for j in range(i + I1):
            _add_scaled_row(whitener[i * d + j], block, j * STRIDE, out, i * STRIDE)


@block_function
def _add_square(x, xo, out, oo):
    """Out += x^2."""
    vector_loop()
    BLOCK = sizes(x)[0]
    for b in range(BLOCK):
        out[oo + b] += x[xo + b] * x[xo + b]


@block_function
def _open_expanded(p, o, s, so, q, x, y, yo, norm):
    """Y = shift + q |x|^2 + P[:, 0:4] x."""
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    q0, q1, q2, q3 = coefficients(q, so)
    s0, s1, s2, s3 = coefficients(s, so)
    a0, a1, a2, a3 = coefficients(p, o)
    b0, b1, b2, b3 = coefficients(p, o + I4)
    c0, c1, c2, c3 = coefficients(p, o + I8)
    d0, d1, d2, d3 = coefficients(p, o + I12)
    for b in range(BLOCK):
        square = norm[b]
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[yo + b] = s0 + q0 * square + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[yo + STRIDE + b] = s1 + q1 * square + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[yo + S2 + b] = s2 + q2 * square + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[yo + S3 + b] = s3 + q3 * square + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


@block_function
def _subtract_expanded(packed, samples, norm, out):
    """One factor p: coefficient - p^2 |x|^2 + 2 p^2 mu x - p^2 |mu|^2."""
    BLOCK, STRIDE = sizes(out)[:2]
    d = U(packed.n_features)
    factors, shifts, squares = packed.factors, packed.shifts, packed.squares
    fill(norm, I0, 0.0)
    for j in range(d):
        _add_square(samples, j * STRIDE, norm, I0)
    o = I0
    for g in range((U(packed.n_components) + I3) // I4):
        row = g * I4 * STRIDE
        _open_expanded(factors, o, shifts, g * I4, squares, samples, out, row, norm)
        o += I16
        for j in range(I4, d, I4):
            advance(factors, o, samples, j * STRIDE, BLOCK, out, row)
            o += I16


@block_function
def _subtract_scaled(packed, samples, norm, out):
    """One factor for all features of a component, expanded where that is as exact."""
    if is_null(packed.squares):
        _subtract_diagonals(packed, samples, out)
    else:
        _subtract_expanded(packed, samples, norm, out)


def _full(packed, scratch, cut):
    full_log_prob(packed, scratch, cut)


def _tied(packed, scratch, cut):
    _whiten(scratch.block, U(packed.n_features), packed.whitener, scratch.whitened)
    _subtract_scaled(packed, scratch.whitened, scratch.maximum, scratch.values)
    find_maximum(scratch.values, U(packed.n_components), scratch.maximum)


def _diag(packed, scratch, cut):
    _subtract_diagonals(packed, scratch.block, scratch.values)
    find_maximum(scratch.values, U(packed.n_components), scratch.maximum)


def _spherical(packed, scratch, cut):
    _subtract_scaled(packed, scratch.block, scratch.maximum, scratch.values)
    find_maximum(scratch.values, U(packed.n_components), scratch.maximum)


#: Write coefficient - |factor x + shift|^2 for every component of one block, and the largest.
#:
#: rows, block  IN    samples about the origin, as they come and transposed
#: cut          IN    so far below the largest a value need only be some bound from above
#: values       OUT
#: maximum      OUT
block_log_prob = by_covariance_type(full=_full, tied=_tied, diag=_diag, spherical=_spherical)
