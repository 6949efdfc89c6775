"""Log-densities of the samples of a block under one component: neighbours of its groups differ."""


cdef struct PaddedComponents:
    size_t kind
    size_t n_components
    size_t height
    const work* coefficients
    const work* means
    const work* factors


cdef void _subtract_variances(
    const work* restrict mean, const work* restrict p, const work* restrict x, size_t count,
    work* restrict out
) noexcept nogil:
    """Out -= sum over 4 features of (p (x - mean))^2 / 2.

    mean, p, x  IN
    out         ADDS TO
    """
    cdef work m0 = mean[0], m1 = mean[1], m2 = mean[2], m3 = mean[3]
    cdef work p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3]
    cdef work y0, y1, y2, y3
    cdef size_t b
    for b in range(count):
        y0 = p0 * (x[b] - m0)
        y1 = p1 * (x[STRIDE + b] - m1)
        y2 = p2 * (x[S2 + b] - m2)
        y3 = p3 * (x[S3 + b] - m3)
        out[b] -= <work> 0.5 * (y0 * y0 + y1 * y1 + y2 * y2 + y3 * y3)


cdef void _subtract_mean(
    work mean, const work* restrict x, size_t count, work* restrict z
) noexcept nogil:
    """Z = x - mean, of one feature.

    x  IN
    z  OUT
    """
    cdef size_t b
    for b in range(count):
        z[b] = x[b] - mean


cdef void _advance(
    const work* restrict u, size_t height, const work* restrict z, size_t count,
    work* restrict y
) noexcept nogil:
    """Y += U[:4, :4]^T z, for a tile of U whose rows are ``height`` numbers apart.

    u, z  IN
    y     ADDS TO
    """
    cdef const work* v = u + height
    cdef const work* w = u + 2 * height
    cdef const work* x = u + 3 * height
    cdef work a0 = u[0], a1 = u[1], a2 = u[2], a3 = u[3]
    cdef work b0 = v[0], b1 = v[1], b2 = v[2], b3 = v[3]
    cdef work c0 = w[0], c1 = w[1], c2 = w[2], c3 = w[3]
    cdef work d0 = x[0], d1 = x[1], d2 = x[2], d3 = x[3]
    cdef work z0, z1, z2, z3
    cdef size_t b
    for b in range(count):
        z0 = z[b]
        z1 = z[STRIDE + b]
        z2 = z[S2 + b]
        z3 = z[S3 + b]
        y[b] = y[b] + a0 * z0 + b0 * z1 + c0 * z2 + d0 * z3
        y[STRIDE + b] = y[STRIDE + b] + a1 * z0 + b1 * z1 + c1 * z2 + d1 * z3
        y[S2 + b] = y[S2 + b] + a2 * z0 + b2 * z1 + c2 * z2 + d2 * z3
        y[S3 + b] = y[S3 + b] + a3 * z0 + b3 * z1 + c3 * z2 + d3 * z3


cdef void _close_tile(
    const work* restrict u, size_t height, const work* restrict z, size_t count,
    work* restrict y, work* restrict out
) noexcept nogil:
    """Out -= |y + U[:4, :4]^T z|^2 / 2, for a tile on the diagonal; y = 0.

    u, z  IN
    y     IN OUT
    out   ADDS TO
    """
    cdef const work* v = u + height
    cdef const work* w = u + 2 * height
    cdef work a0 = u[0], a1 = u[1], a2 = u[2], a3 = u[3]
    cdef work b1 = v[1], b2 = v[2], b3 = v[3]
    cdef work c2 = w[2], c3 = w[3], d3 = u[3 * height + 3]
    cdef work z0, z1, z2, y0, y1, y2, y3
    cdef size_t b
    for b in range(count):
        z0 = z[b]
        z1 = z[STRIDE + b]
        z2 = z[S2 + b]
        y0 = y[b] + a0 * z0
        y1 = y[STRIDE + b] + a1 * z0 + b1 * z1
        y2 = y[S2 + b] + a2 * z0 + b2 * z1 + c2 * z2
        y3 = y[S3 + b] + a3 * z0 + b3 * z1 + c3 * z2 + d3 * z[S3 + b]
        y[b] = 0.0
        y[STRIDE + b] = 0.0
        y[S2 + b] = 0.0
        y[S3 + b] = 0.0
        out[b] -= <work> 0.5 * (y0 * y0 + y1 * y1 + y2 * y2 + y3 * y3)


cdef void _begin(work value, size_t count, work* out) noexcept nogil:
    """Write a constant.

    out  OUT
    """
    cdef size_t b
    for b in range(count):
        out[b] = value


cdef void _end(size_t count, work* out) noexcept nogil:
    """Raise what has overflowed to the smallest number that counts.

    out  IN OUT
    """
    cdef work lowest = <work> LOG_PROB_FLOOR
    cdef size_t b
    for b in range(count):
        out[b] = out[b] if out[b] > lowest else lowest


cdef void padded_log_prob(
    const PaddedComponents* padded, size_t k, size_t count, const work* x, work* z, work* y,
    work* log_prob
) noexcept nogil:
    """Write log (w_k N(x | k)) of some samples; count is a multiple of 8.

    padded       IN
    x            IN   (height rows)
    z, log_prob  OUT  z (height rows)
    y            OUT  (4 rows) zeros, as before
    """
    cdef size_t h = padded.height
    cdef const work* mean = padded.means + k * h
    cdef const work* factor
    cdef size_t i, j
    count = count // 8 * 8
    _begin(padded.coefficients[k], count, log_prob)
    if padded.kind == DIAG or padded.kind == SPHERICAL:
        factor = padded.factors + k * h
        for j in range(0, h, 4):
            _subtract_variances(mean + j, factor + j, x + j * STRIDE, count, log_prob)
    else:
        factor = padded.factors + (0 if padded.kind == TIED else k * h * h)
        for j in range(h):
            _subtract_mean(mean[j], x + j * STRIDE, count, z + j * STRIDE)
        for i in range(0, h, 4):
            for j in range(0, i, 4):
                _advance(factor + j * h + i, h, z + j * STRIDE, count, y)
            _close_tile(factor + i * h + i, h, z + i * STRIDE, count, y, log_prob)
    _end(count, log_prob)
