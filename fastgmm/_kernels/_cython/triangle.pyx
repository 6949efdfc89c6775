"""Distances under full covariances: triangular factors, four components at a time.

Row i of a factor meets features 0..i only. The first four rows are taken at once for each
component; in the others 16 coefficients stay in registers while the loop over samples does
16 multiply-adds on 4 loads of x and 4 running sums y.
"""


cdef void _start1(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2."""
    cdef work s0 = s[0], p00 = p[0], y0
    cdef size_t b
    for b in range(BLOCK):
        y0 = s0 + p00 * x[b]
        out[b] = coefficient - y0 * y0


cdef void _start2(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2 - y1^2."""
    cdef work s0 = s[0], s1 = s[4]
    cdef work p00 = p[0], p10 = p[4], p11 = p[8]
    cdef work x0, y0, y1
    cdef size_t b
    for b in range(BLOCK):
        x0 = x[b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x[STRIDE + b]
        out[b] = coefficient - y0 * y0 - y1 * y1


cdef void _start3(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2 - y1^2 - y2^2."""
    cdef work s0 = s[0], s1 = s[4], s2 = s[8]
    cdef work p00 = p[0], p10 = p[4], p11 = p[8]
    cdef work p20 = p[12], p21 = p[16], p22 = p[20]
    cdef work x0, x1, y0, y1, y2
    cdef size_t b
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        y0 = s0 + p00 * x0
        y1 = s1 + p10 * x0 + p11 * x1
        y2 = s2 + p20 * x0 + p21 * x1 + p22 * x[S2 + b]
        out[b] = coefficient - y0 * y0 - y1 * y1 - y2 * y2


cdef void _start4(
    const work* restrict p, const work* restrict s, work coefficient,
    const work* restrict x, work* restrict out
) noexcept nogil:
    """Out = coefficient - y0^2 - y1^2 - y2^2 - y3^2."""
    cdef work s0 = s[0], s1 = s[4], s2 = s[8], s3 = s[12]
    cdef work p00 = p[0], p10 = p[4], p11 = p[8]
    cdef work p20 = p[12], p21 = p[16], p22 = p[20]
    cdef work p30 = p[24], p31 = p[28], p32 = p[32], p33 = p[36]
    cdef work x0, x1, x2, y0, y1, y2, y3
    cdef size_t b
    for b in range(BLOCK):
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
    const work* x, work* out
) noexcept nogil:
    """Begin with the first 1 to 4 rows of one component's factor; p and s go in steps of 4."""
    if width == 4:
        _start4(p, s, coefficient, x, out)
    elif width == 3:
        _start3(p, s, coefficient, x, out)
    elif width == 2:
        _start2(p, s, coefficient, x, out)
    else:
        _start1(p, s, coefficient, x, out)


cdef void _open(
    const work* restrict p, const work* restrict s, const work* restrict x,
    work* restrict y
) noexcept nogil:
    """Y = shift + P[:, 0:4] x."""
    cdef work s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3]
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work c0 = p[8], c1 = p[9], c2 = p[10], c3 = p[11]
    cdef work d0 = p[12], d1 = p[13], d2 = p[14], d3 = p[15]
    cdef work x0, x1, x2, x3
    cdef size_t b
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[b] = s0 + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = s1 + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = s2 + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = s3 + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3


cdef void _close1(
    const work* restrict p, const work* restrict x, const work* restrict y,
    work* restrict out
) noexcept nogil:
    """Out -= (y + P[:, j] x)^2."""
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work x0, y0, y1, y2, y3
    cdef size_t b
    for b in range(BLOCK):
        x0 = x[b]
        y0 = y[b] + a0 * x0
        y1 = y[STRIDE + b] + a1 * x0
        y2 = y[S2 + b] + a2 * x0
        y3 = y[S3 + b] + a3 * x0
        out[b] -= y0 * y0
        out[STRIDE + b] -= y1 * y1
        out[S2 + b] -= y2 * y2
        out[S3 + b] -= y3 * y3


cdef void _close2(
    const work* restrict p, const work* restrict x, const work* restrict y,
    work* restrict out
) noexcept nogil:
    """Out -= (y + P[:, j:j+2] x)^2."""
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work x0, x1, y0, y1, y2, y3
    cdef size_t b
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        y0 = y[b] + a0 * x0 + b0 * x1
        y1 = y[STRIDE + b] + a1 * x0 + b1 * x1
        y2 = y[S2 + b] + a2 * x0 + b2 * x1
        y3 = y[S3 + b] + a3 * x0 + b3 * x1
        out[b] -= y0 * y0
        out[STRIDE + b] -= y1 * y1
        out[S2 + b] -= y2 * y2
        out[S3 + b] -= y3 * y3


cdef void _close3(
    const work* restrict p, const work* restrict x, const work* restrict y,
    work* restrict out
) noexcept nogil:
    """Out -= (y + P[:, j:j+3] x)^2."""
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work c0 = p[8], c1 = p[9], c2 = p[10], c3 = p[11]
    cdef work x0, x1, x2, y0, y1, y2, y3
    cdef size_t b
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        y0 = y[b] + a0 * x0 + b0 * x1 + c0 * x2
        y1 = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2
        y2 = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2
        y3 = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2
        out[b] -= y0 * y0
        out[STRIDE + b] -= y1 * y1
        out[S2 + b] -= y2 * y2
        out[S3 + b] -= y3 * y3


cdef void _close4(
    const work* restrict p, const work* restrict x, const work* restrict y,
    work* restrict out
) noexcept nogil:
    """Out -= (y + P[:, j:j+4] x)^2."""
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work c0 = p[8], c1 = p[9], c2 = p[10], c3 = p[11]
    cdef work d0 = p[12], d1 = p[13], d2 = p[14], d3 = p[15]
    cdef work x0, x1, x2, x3, y0, y1, y2, y3
    cdef size_t b
    for b in range(BLOCK):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y0 = y[b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y1 = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y2 = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y3 = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3
        out[b] -= y0 * y0
        out[STRIDE + b] -= y1 * y1
        out[S2 + b] -= y2 * y2
        out[S3 + b] -= y3 * y3


cdef void _close(
    size_t width, const work* p, const work* x, const work* y, work* out
) noexcept nogil:
    """Finish a row: its last 1 to 4 columns, then the square."""
    if width == 4:
        _close4(p, x, y, out)
    elif width == 3:
        _close3(p, x, y, out)
    elif width == 2:
        _close2(p, x, y, out)
    else:
        _close1(p, x, y, out)


cdef void subtract_triangles(
    const work* block, size_t d, size_t groups, const work* constants,
    const work* factors, const work* shifts, work* y, work* out
) noexcept nogil:
    """Full covariances: four components at a time, row by row of their factors."""
    cdef size_t g, c, k, i, j
    cdef size_t width = min(d, <size_t> 4)
    for g in range(groups):
        for c in range(4):
            k = g * 4 + c
            _start(width, factors + c, shifts + g * d * 4 + c, constants[k], block,
                   out + k * STRIDE)
        factors += width * (width + 1) // 2 * 4
        for i in range(4, d):
            _open(factors, shifts + (g * d + i) * 4, block, y)
            factors += 16
            j = 4
            while j + 4 <= i:
                advance(factors, block + j * STRIDE, y)
                factors += 16
                j += 4
            _close(i + 1 - j, factors, block + j * STRIDE, y, out + g * 4 * STRIDE)
            factors += (i + 1 - j) * 4
