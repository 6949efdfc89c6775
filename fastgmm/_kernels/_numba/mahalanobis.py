"""Squared Mahalanobis distances of one block, subtracted from the log-probabilities.

    log_prob[k] = coefficient_k - |factor_k x + shift_k|^2

With one factor for all features (spherical, and tied after the samples are whitened) the square is
expanded to a product of matrices, where this is as exact. It takes half the work.
"""

from .block import advance, fill
from .jit import I0, I1, I3, I4, I8, I16, U, by_covariance_type, part, step
from .partial_distance import full_log_prob
from .posterior import find_maximum
from .primitives import sizes, tail, vector_loop


@part
def _subtract_four(p, s, x, out):
    """Out -= sum over 4 features of (p x + s)^2.

    p, s, x  IN
    out      ADDS TO
    """
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    p0, p1, p2, p3 = p[0], p[1], p[2], p[3]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    for b in range(BLOCK):
        y0 = p0 * x[b] + s0
        y1 = p1 * x[STRIDE + b] + s1
        y2 = p2 * x[S2 + b] + s2
        y3 = p3 * x[S3 + b] + s3
        out[b] = out[b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


@part
def _subtract_eight(p, s, x, out):
    """Out -= sum over 8 features of (p x + s)^2.

    p, s, x  IN
    out      ADDS TO
    """
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    p0, p1, p2, p3 = p[0], p[1], p[2], p[3]
    p4, p5, p6, p7 = p[4], p[5], p[6], p[7]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    s4, s5, s6, s7 = s[4], s[5], s[6], s[7]
    S4 = I4 * STRIDE
    for b in range(BLOCK):
        y0 = p0 * x[b] + s0
        y1 = p1 * x[STRIDE + b] + s1
        y2 = p2 * x[S2 + b] + s2
        y3 = p3 * x[S3 + b] + s3
        y4 = p4 * x[S4 + b] + s4
        y5 = p5 * x[S4 + STRIDE + b] + s5
        y6 = p6 * x[S4 + S2 + b] + s6
        y7 = p7 * x[S4 + S3 + b] + s7
        low = out[b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3
        out[b] = low - y4 * y4 - y5 * y5 - y6 * y6 - y7 * y7


@part
def _subtract_one(p0, s0, x, out):
    """Out -= (p x + s)^2.

    p0, s0, x  IN
    out        ADDS TO
    """
    vector_loop()
    BLOCK = sizes(x)[0]
    for b in range(BLOCK):
        y0 = p0 * x[b] + s0
        out[b] -= y0 * y0


@part
def _subtract_diagonals(packed, block, out):
    """Diagonal factors (diag, spherical, and tied after whitening).

    packed, block  IN
    out            OUT
    """
    STRIDE = sizes(block)[1]
    K, d = U(packed.n_components), U(packed.n_features)
    factors, shifts = packed.factors, packed.shifts
    for k in range(K):
        row = tail(out, k * STRIDE)
        fill(row, packed.coefficients[k])
        p, s = tail(factors, k * d), tail(shifts, k * d)
        j = I0
        while j + I8 <= d:
            _subtract_eight(tail(p, j), tail(s, j), tail(block, j * STRIDE), row)
            j += I8
        if j + I4 <= d:
            _subtract_four(tail(p, j), tail(s, j), tail(block, j * STRIDE), row)
            j += I4
        while j < d:
            _subtract_one(p[j], s[j], tail(block, j * STRIDE), row)
            j += I1


@part
def _add_scaled_row(p, x, out):
    """Out += p x.

    p, x  IN
    out   ADDS TO
    """
    vector_loop()
    BLOCK = sizes(x)[0]
    for b in range(BLOCK):
        out[b] += p * x[b]


@part
def _whiten(block, d, whitener, out):
    """Out = P x / sqrt(2) with the one factor that tied components share.

    block, whitener  IN
    out              OUT
    """
    STRIDE = sizes(block)[1]
    for i in range(d):
        row = tail(out, i * STRIDE)
        fill(row, 0.0)
        for j in range(i + I1):
            _add_scaled_row(whitener[i * d + j], tail(block, j * STRIDE), row)


@part
def _add_square(x, out):
    """Out += x^2.

    x    IN
    out  ADDS TO
    """
    vector_loop()
    BLOCK = sizes(x)[0]
    for b in range(BLOCK):
        out[b] += x[b] * x[b]


@part
def _open_expanded(p, s, q, x, norm, y):
    """Y = shift + q |x|^2 + P[:, 0:4] x.

    p, s, q, x, norm  IN
    y                 OUT
    """
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(x)
    q0, q1, q2, q3 = q[0], q[1], q[2], q[3]
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    a0, a1, a2, a3 = p[0], p[1], p[2], p[3]
    b0, b1, b2, b3 = p[4], p[5], p[6], p[7]
    c0, c1, c2, c3 = p[8], p[9], p[10], p[11]
    d0, d1, d2, d3 = p[12], p[13], p[14], p[15]
    for b in range(BLOCK):
        square = norm[b]
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[b] = s0 + q0 * square + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = s1 + q1 * square + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = s2 + q2 * square + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = s3 + q3 * square + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


@part
def _subtract_expanded(samples, norm, d, groups, factors, shifts, squares, out):
    """One factor p: coefficient - p^2 |x|^2 + 2 p^2 mu x - p^2 |mu|^2.

    samples, factors, shifts, squares  IN
    norm                               OUT  workspace
    out                                OUT
    """
    BLOCK, STRIDE = sizes(out)[:2]
    fill(norm, 0.0)
    for j in range(d):
        _add_square(tail(samples, j * STRIDE), norm)
    o = I0
    for g in range(groups):
        y = tail(out, g * I4 * STRIDE)
        s, q = tail(shifts, g * I4), tail(squares, g * I4)
        _open_expanded(tail(factors, o), s, q, samples, norm, y)
        o += I16
        for j in range(I4, d, I4):
            advance(tail(factors, o), tail(samples, j * STRIDE), BLOCK, y)
            o += I16


@part
def _diagonal_log_prob(packed, scratch, samples):
    """Write the log-probabilities of diagonal factors, and the largest.

    packed, samples  IN
    values, maximum  OUT  of the scratch
    """
    _subtract_diagonals(packed, samples, scratch.values)
    find_maximum(scratch.values, U(packed.n_components), scratch.maximum)


@step
def _scaled_log_prob(packed, scratch, samples):
    """Write those of one factor for all features, expanded where that is as exact.

    packed, samples  IN
    values, maximum  OUT  of the scratch
    """
    if packed.squares.size == 0:
        _diagonal_log_prob(packed, scratch, samples)
        return
    values, factors, shifts = scratch.values, packed.factors, packed.shifts
    K, d = U(packed.n_components), U(packed.n_features)
    groups = (K + I3) // I4
    norm = scratch.maximum
    _subtract_expanded(samples, norm, d, groups, factors, shifts, packed.squares, values)
    find_maximum(values, K, scratch.maximum)


@part
def _tied(packed, scratch, cut):
    _whiten(scratch.block, U(packed.n_features), packed.whitener, scratch.whitened)
    _scaled_log_prob(packed, scratch, scratch.whitened)


@part
def _diag(packed, scratch, cut):
    _diagonal_log_prob(packed, scratch, scratch.block)


@part
def _spherical(packed, scratch, cut):
    _scaled_log_prob(packed, scratch, scratch.block)


#: Write coefficient - |factor x + shift|^2 for every component of one block, and the largest.
#:
#: packed       IN
#: rows, block  IN   of the scratch: samples about the origin, as they come and transposed
#: cut          IN   so far below the largest a value need only be some bound from above
#: values       OUT
#: maximum      OUT
block_log_prob = by_covariance_type(
    full=full_log_prob, tied=_tied, diag=_diag, spherical=_spherical
)
