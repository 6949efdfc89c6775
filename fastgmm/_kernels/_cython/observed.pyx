"""Densities of the observed features of rows with missing values, which are NaN.

Rows with the same gaps should be neighbours. Each run of them in a block is one regression.
"""

cdef extern from *:
    const double HALF_LOG_2PI "0.9189385332046727"


cdef struct Plain:
    size_t kind
    size_t n_components
    size_t n_features
    size_t factor_size
    const work* coefficients
    const work* means
    const work* factors


cdef struct Regression:
    # Q, R and the inverse of R, d x d each; the features that are missing
    double* q
    double* r
    double* inverse
    size_t* missing


cdef inline bint is_matrix(const Plain* plain) noexcept nogil:
    """Return whether covariances are matrices."""
    return plain.kind == FULL or plain.kind == TIED


cdef inline const work* factor_of(const Plain* plain, size_t k) noexcept nogil:
    """Return the factor of a component: tiles of U^T, or a number for each feature."""
    return plain.factors + (0 if plain.kind == TIED else k) * plain.factor_size


cdef void _load(
    const double* X, size_t d, size_t first, size_t count, work* block
) noexcept nogil:
    """Write rows of X as the rows of a block, transposed.

    X      IN
    block  OUT
    """
    cdef size_t b, j
    for b in range(count):
        for j in range(d):
            block[j * STRIDE + b] = <work> X[(first + b) * d + j]


cdef size_t run_end(const work* block, size_t d, size_t start, size_t count) noexcept nogil:
    """Return the first sample behind ``start`` that has other gaps.

    block  IN
    """
    cdef size_t b, j
    cdef work x, y
    for b in range(start + 1, count):
        for j in range(d):
            x, y = block[j * STRIDE + start], block[j * STRIDE + b]
            if (x == x) != (y == y):
                return b
    return count


cdef void _deviate(
    const work* restrict x, work mean, size_t count, work* restrict z
) noexcept nogil:
    """Write x - mean, or 0 where x is missing, of one feature.

    x  IN
    z  OUT
    """
    cdef size_t b
    cdef work value
    for b in range(count):
        value = x[b] - mean
        z[b] = value if value == value else 0.0


cdef void whiten_observed(
    const Plain* plain, size_t k, const work* block, size_t count, work* z, work* y
) noexcept nogil:
    """Write z = x - mean, with 0 for what is missing, and y = U^T z.

    plain, block  IN
    z, y          OUT  (d rows)
    """
    cdef size_t d = plain.n_features
    cdef const work* tile = factor_of(plain, k)
    cdef work* rows
    cdef size_t b, i, j
    for j in range(d):
        _deviate(block + j * STRIDE, plain.means[k * d + j], count, z + j * STRIDE)
    if not is_matrix(plain):
        for j in range(d):
            for b in range(count):
                y[j * STRIDE + b] = tile[j] * z[j * STRIDE + b]
        return
    for i in range(up_to_four(d) // 4):
        rows = y + i * 4 * STRIDE
        for j in range(4):
            for b in range(count):
                rows[j * STRIDE + b] = 0.0
        for j in range(i + 1):
            advance(tile, z + j * 4 * STRIDE, count, rows)
            tile += 16


cdef void _add_squares(
    const work* restrict y, size_t count, work* restrict values
) noexcept nogil:
    """Take y^2 / 2 from the log-probabilities.

    y       IN
    values  ADDS TO
    """
    cdef size_t b
    for b in range(count):
        values[b] -= <work> 0.5 * (y[b] * y[b])


cdef void _add_constant(work* values, work value, size_t start, size_t stop) noexcept nogil:
    """Add a number to the log-probabilities of a run.

    values  ADDS TO
    """
    cdef size_t b
    for b in range(start, stop):
        values[b] += value


cdef size_t regress_run(
    const Plain* plain, size_t k, const work* block, size_t start, size_t stop,
    const Scratch* scratch, const Regression* regression, double* log_det
) noexcept nogil:
    """Take what the missing features of a run explain from y; return their number.

    plain, block  IN
    whitened      IN OUT  of the scratch
    wz            OUT     of the scratch: t
    regression    OUT
    log_det       OUT     of R
    """
    cdef size_t d = plain.n_features
    cdef const work* factor = factor_of(plain, k)
    cdef size_t* missing = regression.missing
    cdef size_t a, m = list_missing(block, d, start, missing)
    log_det[0] = 0.0
    if not is_matrix(plain):
        for a in range(m):
            log_det[0] += log(factor[missing[a]])
    elif m > 0:
        log_det[0] = orthogonalize(factor, d, missing, m, regression.q, regression.r)
        project(
            regression.q, d, missing, m, stop - start, scratch.whitened + start,
            scratch.wz + start
        )
    return m


cdef void _component_log_prob(
    const Plain* plain, size_t k, size_t count, const Scratch* scratch,
    const Regression* regression
) noexcept nogil:
    """Write log (w_k N(x_O | k)) of a block.

    plain            IN
    block            IN   of the scratch
    whitened, z, wz  OUT  of the scratch
    values           OUT  of the scratch
    regression       OUT  workspace
    """
    cdef size_t d = plain.n_features
    cdef work* values = scratch.values + k * STRIDE
    cdef size_t j, m, start = 0, stop
    cdef double log_det
    fill(values, plain.coefficients[k])
    whiten_observed(plain, k, scratch.block, count, scratch.z, scratch.whitened)
    while start < count:
        stop = run_end(scratch.block, d, start, count)
        m = regress_run(plain, k, scratch.block, start, stop, scratch, regression, &log_det)
        _add_constant(values, <work> (<double> m * HALF_LOG_2PI - log_det), start, stop)
        start = stop
    for j in range(d):
        _add_squares(scratch.whitened + j * STRIDE, count, values)


cdef void observed_log_prob(
    const double* X, const Plain* plain, size_t first, size_t count, const Scratch* scratch,
    const Regression* regression
) noexcept nogil:
    """Load a block, and write log (w_k N(x_O | k)) and the largest of each sample.

    X, plain             IN
    scratch, regression  OUT
    """
    cdef size_t k
    _load(X, plain.n_features, first, count, scratch.block)
    for k in range(plain.n_components):
        _component_log_prob(plain, k, count, scratch, regression)
    find_maximum(scratch.values, plain.n_components, scratch.maximum)
