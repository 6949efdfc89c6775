"""Missing deviations from a mean, given the observed ones: least squares in whitened coordinates.

U U^T is a precision, z are deviations with 0 where they are missing, and y = U^T z. The conditional
means of the missing deviations make y as short as possible. With Q R = the columns of U^T that
belong to them, and t = Q^T y::

    y - Q t     whitened observed deviations: half its square is that of the marginal density
    -R^-1 t     conditional means
    R^-1 R^-T   conditional covariance

Missing features are listed from the last to the first. So each column of U^T begins above those
before it, and what is orthogonal to them is at least as long as a pivot of U.
"""


cdef inline size_t _tile_offset(size_t i, size_t j) noexcept nogil:
    """Return where element (i, j) of a lower triangle of tiles is, if tiles are rows of rows."""
    cdef size_t row = i // 4
    return 16 * (row * (row + 1) // 2 + j // 4) + i % 4 * 4 + j % 4


cdef size_t list_missing(const work* block, size_t d, size_t b, size_t* missing) noexcept nogil:
    """List the features that sample b lacks, from the last to the first; return their number.

    block    IN
    missing  OUT
    """
    cdef size_t i, j, m = 0
    for i in range(d):
        j = d - 1 - i
        if block[j * STRIDE + b] != block[j * STRIDE + b]:
            missing[m] = j
            m += 1
    return m


cdef void _copy_column(const work* factor, size_t d, size_t j, double* out) noexcept nogil:
    """Write column j of U^T, given as tiles that are columns of rows.

    factor  IN
    out     OUT
    """
    cdef size_t i, o, row, column = j % 4
    for i in range(j):
        out[i] = 0.0
    for i in range(j, d):
        o, row = _tile_offset(i, j), i % 4
        out[i] = factor[o - row * 4 - column + column * 4 + row]


cdef double orthogonalize(
    const work* factor, size_t d, const size_t* missing, size_t m, double* q, double* r
) noexcept nogil:
    """Write Q, m rows of d numbers, and R, with rows of d numbers; return log det R.

    Each column is made orthogonal to those before it, twice, so that Q is orthogonal to rounding.

    factor, missing  IN
    q, r             OUT
    """
    cdef double log_det = 0.0, product, square, length
    cdef double* own
    cdef double* before
    cdef size_t a, c, i, _turn
    for c in range(m):
        own = q + c * d
        _copy_column(factor, d, missing[c], own)
        for a in range(c):
            r[a * d + c] = 0.0
        for _turn in range(2):
            for a in range(c):
                before = q + a * d
                product = 0.0
                for i in range(missing[a], d):
                    product += before[i] * own[i]
                for i in range(missing[a], d):
                    own[i] -= product * before[i]
                r[a * d + c] += product
        square = 0.0
        for i in range(missing[c], d):
            square += own[i] * own[i]
        length = sqrt(square)
        for i in range(missing[c], d):
            own[i] /= length
        r[c * d + c] = length
        log_det += log(length)
    return log_det


cdef void _add_scaled(
    const work* restrict x, work factor, size_t count, work* restrict y
) noexcept nogil:
    """Y += factor x, one number for each sample.

    x  IN
    y  ADDS TO
    """
    cdef size_t b
    for b in range(count):
        y[b] += factor * x[b]


cdef void project(
    const double* q, size_t d, const size_t* missing, size_t m, size_t count, work* y, work* t
) noexcept nogil:
    """Write t = Q^T y, and take Q t from y.

    q, missing  IN
    y           IN OUT  (d rows)
    t           OUT     (m rows)
    """
    cdef size_t a, b, i
    cdef work* own
    for a in range(m):
        own = t + a * STRIDE
        for b in range(count):
            own[b] = 0.0
        for i in range(missing[a], d):
            _add_scaled(y + i * STRIDE, <work> q[a * d + i], count, own)
        for i in range(missing[a], d):
            _add_scaled(own, <work> -q[a * d + i], count, y + i * STRIDE)


cdef void predict(
    const double* r, size_t d, const size_t* missing, size_t m, size_t count, work* t, work* z
) noexcept nogil:
    """Write -R^-1 t in place of the missing deviations.

    r, missing  IN
    t           IN OUT  (m rows)
    z           OUT     (d rows)
    """
    cdef size_t a, b, c, i
    cdef work* own
    cdef work* out
    cdef work pivot
    for i in range(m):
        a = m - 1 - i
        own, out, pivot = t + a * STRIDE, z + missing[a] * STRIDE, <work> r[a * d + a]
        for c in range(a + 1, m):
            _add_scaled(z + missing[c] * STRIDE, <work> r[a * d + c], count, own)
        for b in range(count):
            out[b] = -own[b] / pivot


cdef void add_covariance(
    const double* r, size_t d, const size_t* missing, size_t m, double weight, double* inverse,
    double* second
) noexcept nogil:
    """Add weight R^-1 R^-T to the tiles of a matrix of second moments.

    r, missing  IN
    inverse     OUT      workspace
    second      ADDS TO
    """
    cdef size_t a, c, e, i
    cdef double total
    for c in range(m):
        inverse[c * d + c] = 1.0 / r[c * d + c]
        for i in range(c):
            a = c - 1 - i
            total = 0.0
            for e in range(a + 1, c + 1):
                total += r[a * d + e] * inverse[e * d + c]
            inverse[a * d + c] = -total / r[a * d + a]
    for c in range(m):
        for a in range(c + 1):
            total = 0.0
            for e in range(c, m):
                total += inverse[a * d + e] * inverse[c * d + e]
            second[_tile_offset(missing[a], missing[c])] += weight * total
