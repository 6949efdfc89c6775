"""Squared Mahalanobis distances of one block, subtracted from the log-probabilities.

    log_prob[k] = coefficient_k - |factor_k x + shift_k|^2

With one factor for all features (spherical, and tied after the samples are whitened) the square is
expanded to a product of matrices, where this is as exact. It takes half the work.
"""


cdef void _subtract_four(
    const work* restrict p, const work* restrict s, const work* restrict x,
    work* restrict out
) noexcept nogil:
    """Out -= sum over 4 features of (p x + s)^2.

    p, s, x  IN
    out      ADDS TO
    """
    cdef work p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3]
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work y0, y1, y2, y3
    cdef size_t b
    for b in range(BLOCK):
        y0 = p0 * x[b] + s0
        y1 = p1 * x[STRIDE + b] + s1
        y2 = p2 * x[S2 + b] + s2
        y3 = p3 * x[S3 + b] + s3
        out[b] = out[b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


cdef void _subtract_eight(
    const work* restrict p, const work* restrict s, const work* restrict x,
    work* restrict out
) noexcept nogil:
    """Out -= sum over 8 features of (p x + s)^2.

    p, s, x  IN
    out      ADDS TO
    """
    cdef work p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3]
    cdef work p4 = p[4], p5 = p[5], p6 = p[6], p7 = p[7]
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work s4 = s[4], s5 = s[5], s6 = s[6], s7 = s[7]
    cdef work y0, y1, y2, y3, y4, y5, y6, y7, low
    cdef size_t b
    for b in range(BLOCK):
        y0 = p0 * x[b] + s0
        y1 = p1 * x[STRIDE + b] + s1
        y2 = p2 * x[S2 + b] + s2
        y3 = p3 * x[S3 + b] + s3
        y4 = p4 * x[4 * STRIDE + b] + s4
        y5 = p5 * x[5 * STRIDE + b] + s5
        y6 = p6 * x[6 * STRIDE + b] + s6
        y7 = p7 * x[7 * STRIDE + b] + s7
        low = out[b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3
        out[b] = low - y4 * y4 - y5 * y5 - y6 * y6 - y7 * y7


cdef void _subtract_one(
    work p0, work s0, const work* restrict x, work* restrict out
) noexcept nogil:
    """Out -= (p x + s)^2.

    p0, s0, x  IN
    out        ADDS TO
    """
    cdef work y0
    cdef size_t b
    for b in range(BLOCK):
        y0 = p0 * x[b] + s0
        out[b] -= y0 * y0


cdef void _subtract_diagonals(
    const Packed* packed, const work* block, work* out
) noexcept nogil:
    """Diagonal factors (diag, spherical, and tied after whitening).

    packed, block  IN
    out            OUT
    """
    cdef size_t d = packed.n_features
    cdef size_t k, j
    cdef const work* p
    cdef const work* s
    cdef work* row
    for k in range(packed.n_components):
        p = packed.factors + k * d
        s = packed.shifts + k * d
        row = out + k * STRIDE
        fill(row, packed.coefficients[k])
        j = 0
        while j + 8 <= d:
            _subtract_eight(p + j, s + j, block + j * STRIDE, row)
            j += 8
        if j + 4 <= d:
            _subtract_four(p + j, s + j, block + j * STRIDE, row)
            j += 4
        while j < d:
            _subtract_one(p[j], s[j], block + j * STRIDE, row)
            j += 1


cdef void _add_scaled_row(work p, const work* restrict x, work* restrict out) noexcept nogil:
    """Out += p x.

    p, x  IN
    out   ADDS TO
    """
    cdef size_t b
    for b in range(BLOCK):
        out[b] += p * x[b]


cdef void _whiten(
    const work* block, size_t d, const work* whitener, work* out
) noexcept nogil:
    """Out = P x / sqrt(2) with the one factor that tied components share.

    block, whitener  IN
    out              OUT
    """
    cdef size_t i, j
    for i in range(d):
        fill(out + i * STRIDE, 0.0)
        for j in range(i + 1):
            _add_scaled_row(whitener[i * d + j], block + j * STRIDE, out + i * STRIDE)


cdef void _add_square(const work* restrict x, work* restrict out) noexcept nogil:
    """Out += x^2.

    x    IN
    out  ADDS TO
    """
    cdef size_t b
    for b in range(BLOCK):
        out[b] += x[b] * x[b]


cdef void _open_expanded(
    const work* restrict p, const work* restrict s, const work* restrict q,
    const work* restrict x, const work* restrict norm, work* restrict y
) noexcept nogil:
    """Y = shift + q |x|^2 + P[:, 0:4] x.

    p, s, q, x, norm  IN
    y                 OUT
    """
    cdef work q0 = q[0], q1 = q[1], q2 = q[2], q3 = q[3]
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work c0 = p[8], c1 = p[9], c2 = p[10], c3 = p[11]
    cdef work d0 = p[12], d1 = p[13], d2 = p[14], d3 = p[15]
    cdef work square, x0, x1, x2, x3
    cdef size_t b
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


cdef void _subtract_expanded(
    const work* samples, work* norm, size_t d, size_t groups, const work* factors,
    const work* shifts, const work* squares, work* out
) noexcept nogil:
    """One factor p: coefficient - p^2 |x|^2 + 2 p^2 mu x - p^2 |mu|^2.

    samples, factors, shifts, squares  IN
    norm                               OUT  workspace
    out                                OUT
    """
    cdef size_t g, j
    cdef work* y
    fill(norm, 0.0)
    for j in range(d):
        _add_square(samples + j * STRIDE, norm)
    for g in range(groups):
        y = out + g * 4 * STRIDE
        _open_expanded(factors, shifts + g * 4, squares + g * 4, samples, norm, y)
        factors += 16
        for j in range(4, d, 4):
            advance(factors, samples + j * STRIDE, BLOCK, y)
            factors += 16


cdef void _diagonal_log_prob(
    const Packed* packed, const Scratch* scratch, const work* samples
) noexcept nogil:
    """Write the log-probabilities of diagonal factors, and the largest.

    packed, samples  IN
    values, maximum  OUT  of the scratch
    """
    _subtract_diagonals(packed, samples, scratch.values)
    find_maximum(scratch.values, packed.n_components, scratch.maximum)


cdef void _scaled_log_prob(
    const Packed* packed, const Scratch* scratch, const work* samples
) noexcept nogil:
    """Write those of one factor for all features, expanded where that is as exact.

    packed, samples  IN
    values, maximum  OUT  of the scratch
    """
    if packed.squares == NULL:
        _diagonal_log_prob(packed, scratch, samples)
        return
    _subtract_expanded(
        samples, scratch.maximum, packed.n_features, (packed.n_components + 3) // 4,
        packed.factors, packed.shifts, packed.squares, scratch.values
    )
    find_maximum(scratch.values, packed.n_components, scratch.maximum)


cdef void block_log_prob(
    const Packed* packed, const Scratch* scratch, double cut
) noexcept nogil:
    """Write coefficient - |factor x + shift|^2 for every component of one block, and the largest.

    rows, block  IN    samples about the origin, as they come and transposed
    cut          IN    values this far below the largest may be replaced by an upper bound
    values       OUT
    maximum      OUT
    """
    if packed.kind == FULL:
        full_log_prob(packed, scratch, cut)
    elif packed.kind == TIED:
        _whiten(scratch.block, packed.n_features, packed.whitener, scratch.whitened)
        _scaled_log_prob(packed, scratch, scratch.whitened)
    elif packed.kind == DIAG:
        _diagonal_log_prob(packed, scratch, scratch.block)
    else:
        _scaled_log_prob(packed, scratch, scratch.block)
