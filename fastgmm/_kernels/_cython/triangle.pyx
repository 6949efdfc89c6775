"""Distances under full covariances: the triangular factors, four rows at a time.

The first 1 to 4 rows of a factor are a small triangle, so that the other rows come in fours. Each
four rows first take the columns on their left (the first 1 to 4, then four at a time), and then
their own triangle. The 16 coefficients of four columns stay in registers while the loop over
samples does 16 multiply-adds on 4 loads of x and 4 running sums y.
"""


cdef void _start1(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, size_t count, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    cdef work s0 = s[0], p00 = p[0], y0
    cdef size_t b
    for b in range(count):
        y0 = s0 + p00 * x[b]
        out[b] = coefficient - y0 * y0


cdef void _start2(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, size_t count, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2 - y1^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    cdef work s0 = s[0], s1 = s[1]
    cdef work p00 = p[0], p10 = p[1], p11 = p[2]
    cdef work x0, y0, y1
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x[STRIDE + b]
        out[b] = coefficient - y0 * y0 - y1 * y1


cdef void _start3(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, size_t count, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2 - y1^2 - y2^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    cdef work s0 = s[0], s1 = s[1], s2 = s[2]
    cdef work p00 = p[0], p10 = p[1], p11 = p[2]
    cdef work p20 = p[3], p21 = p[4], p22 = p[5]
    cdef work x0, x1, y0, y1, y2
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x[S2 + b]
        out[b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2


cdef void _start4(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, size_t count, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2 - y1^2 - y2^2 - y3^2.

    p, s, coefficient, x  IN
    out                   OUT
    """
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work p00 = p[0], p10 = p[1], p11 = p[2]
    cdef work p20 = p[3], p21 = p[4], p22 = p[5]
    cdef work p30 = p[6], p31 = p[7], p32 = p[8], p33 = p[9]
    cdef work x0, x1, x2, y0, y1, y2, y3
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x2
        y3 = s3 + p30 * x0 + p31 * x1 + p32 * x2 + p33 * x[S3 + b]
        out[b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


cdef void _start(
    size_t width, const work* p, const work* s, work coefficient,
    const work* x, size_t count, work* out
) noexcept nogil:
    """Begin with the first 1 to 4 rows of one component's factor.

    p, s, coefficient, x  IN
    out                   OUT
    """
    if width == 4:
        _start4(p, s, coefficient, x, count, out)
    elif width == 3:
        _start3(p, s, coefficient, x, count, out)
    elif width == 2:
        _start2(p, s, coefficient, x, count, out)
    else:
        _start1(p, s, coefficient, x, count, out)


cdef void _open1(
    const work* restrict p, const work* restrict s, const work* restrict x, size_t count,
    work* restrict y
) noexcept nogil:
    """Y = shift + P[:, 0:1] x.

    p, s, x  IN
    y        OUT
    """
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work x0
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        y[b] = s0 + a0 * x0
        y[STRIDE + b] = s1 + a1 * x0
        y[S2 + b] = s2 + a2 * x0
        y[S3 + b] = s3 + a3 * x0


cdef void _open2(
    const work* restrict p, const work* restrict s, const work* restrict x, size_t count,
    work* restrict y
) noexcept nogil:
    """Y = shift + P[:, 0:2] x.

    p, s, x  IN
    y        OUT
    """
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work x0, x1
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        y[b] = s0 + a0 * x0 + b0 * x1
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1
        y[S2 + b] = s2 + a2 * x0 + b2 * x1
        y[S3 + b] = s3 + a3 * x0 + b3 * x1


cdef void _open3(
    const work* restrict p, const work* restrict s, const work* restrict x, size_t count,
    work* restrict y
) noexcept nogil:
    """Y = shift + P[:, 0:3] x.

    p, s, x  IN
    y        OUT
    """
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work c0 = p[8], c1 = p[9], c2 = p[10], c3 = p[11]
    cdef work x0, x1, x2
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2


cdef void _open4(
    const work* restrict p, const work* restrict s, const work* restrict x, size_t count,
    work* restrict y
) noexcept nogil:
    """Y = shift + P[:, 0:4] x.

    p, s, x  IN
    y        OUT
    """
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work c0 = p[8], c1 = p[9], c2 = p[10], c3 = p[11]
    cdef work d0 = p[12], d1 = p[13], d2 = p[14], d3 = p[15]
    cdef work x0, x1, x2, x3
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


cdef void _open(
    size_t width, const work* p, const work* s, const work* x, size_t count, work* y
) noexcept nogil:
    """Begin four rows: their first 1 to 4 columns.

    p, s, x  IN
    y        OUT
    """
    if width == 4:
        _open4(p, s, x, count, y)
    elif width == 3:
        _open3(p, s, x, count, y)
    elif width == 2:
        _open2(p, s, x, count, y)
    else:
        _open1(p, s, x, count, y)


cdef void _close(
    const work* restrict p, const work* restrict x, const work* restrict y, size_t count,
    work* restrict out
) noexcept nogil:
    """Out -= |y + P x|^2, P lower triangular.

    p, x, y  IN
    out      ADDS TO
    """
    cdef work p00 = p[0], p10 = p[1], p11 = p[2]
    cdef work p20 = p[3], p21 = p[4], p22 = p[5]
    cdef work p30 = p[6], p31 = p[7], p32 = p[8], p33 = p[9]
    cdef work x0, x1, x2, y0, y1, y2, y3
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y0 = y[b] + p00 * x0
        y1 = y[STRIDE + b] + p10 * x0 + p11 * x1
        y2 = y[S2 + b] + p20 * x0 + p21 * x1 + p22 * x2
        y3 = y[S3 + b] + p30 * x0 + p31 * x1 + p32 * x2 + p33 * x[S3 + b]
        out[b] = out[b] - y0 * y0 - y1 * y1 - y2 * y2 - y3 * y3


cdef void start(
    const Packed* packed, size_t k, const work* x, size_t count, work* out
) noexcept nogil:
    """Begin the log-probabilities of component k with the first 1 to 4 rows of its factor.

    packed, x  IN
    out        OUT
    """
    cdef size_t d = packed.n_features
    _start(
        first_rows(d), packed.factors + k * (d * (d + 1) // 2), packed.shifts + k * d,
        packed.coefficients[k], x, count, out
    )


cdef void _subtract_rows(
    const work* factors, const work* shifts, size_t d, size_t first, size_t stop,
    const work* x, size_t count, work* y, work* out
) noexcept nogil:
    """Subtract the squares of some rows of one component's factor.

    factors, shifts, x  IN
    y                   OUT      four rows of workspace
    out                 ADDS TO
    """
    cdef size_t width = first_rows(d)
    cdef const work* p = factors + first * (first + 1) // 2
    cdef size_t i, j
    for i in range(first, stop, 4):
        _open(width, p, shifts + i, x, count, y)
        p += width * 4
        for j in range(width, i, 4):
            advance(p, x + j * STRIDE, count, y)
            p += 16
        _close(p, x + i * STRIDE, y, count, out)
        p += 10


cdef void subtract_rows(
    const Packed* packed, size_t k, size_t first, size_t stop, const work* x, size_t count,
    work* y, work* out
) noexcept nogil:
    """Subtract the squares of some rows, four at a time, after the first 1 to 4.

    packed, x  IN
    y          OUT      four rows of workspace
    out        ADDS TO
    """
    cdef size_t d = packed.n_features
    _subtract_rows(
        packed.factors + k * (d * (d + 1) // 2), packed.shifts + k * d, d, first, stop, x, count,
        y, out
    )
