"""Loops over one block that several kernels share."""


cdef void fill(work* out, work value) noexcept nogil:
    """Set one row of a block to a constant."""
    cdef size_t b
    for b in range(BLOCK):
        out[b] = value


cdef void transpose(
    const work* restrict rows, size_t d, size_t count, work* restrict out
) noexcept nogil:
    """Write samples given as rows into the rows of a block; count is a multiple of 4."""
    cdef size_t a, j, i, to
    for a in range(0, count, 4):
        for j in range(d):
            i = a * d + j
            to = j * STRIDE + a
            out[to] = rows[i]
            out[to + 1] = rows[i + d]
            out[to + 2] = rows[i + 2 * d]
            out[to + 3] = rows[i + 3 * d]


cdef void advance(
    const work* restrict p, const work* restrict x, work* restrict y
) noexcept nogil:
    """Y += P[:, j:j+4] x."""
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
        y[b] = y[b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3
