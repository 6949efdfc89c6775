"""One point at a time: vector lanes run over components, eight to a group.

A block of samples would compute 256 lanes for one point. The layout is that of
embed/point_layout.py.
"""

from fastgmm.embed cimport fastgmm_model


cdef struct PointScratch:
    # the point about the origin; whitened; log-probabilities, then exponentials, of whole groups
    double* x
    double* whitened
    double* values
    # largest value of each group
    double* peaks
    # numbers of the point about a centre, and weighted, as whole tiles
    double* z
    double* wz


cdef inline size_t _up_to_lanes(size_t n_components) noexcept nogil:
    return (n_components + LANES - 1) // LANES * LANES


cdef size_t lay_out_point(
    char* start, size_t n_components, size_t d, PointScratch* scratch
) noexcept nogil:
    """Divide memory of any alignment (NULL: only measure); return how many bytes it takes.

    scratch  OUT
    """
    cdef Memory own
    own.taken = 0
    own.start = start
    if start != NULL:
        own.start += (64 - <size_t> start % 64) % 64
    scratch.x = <double*> _take(&own, d * sizeof(double))
    scratch.whitened = <double*> _take(&own, up_to_four(d) * sizeof(double))
    scratch.values = <double*> _take(&own, _up_to_lanes(n_components) * sizeof(double))
    scratch.peaks = <double*> _take(&own, _up_to_lanes(n_components) // LANES * sizeof(double))
    scratch.z = <double*> _take(&own, up_to_four(d) * sizeof(double))
    scratch.wz = <double*> _take(&own, up_to_four(d) * sizeof(double))
    return own.taken + 64


cdef bint load_point(
    const Samples* X, size_t i, const double* origin, size_t d, double* x
) noexcept nogil:
    """Copy row i about the origin; return whether it is finite.

    X, origin  IN
    x          OUT
    """
    cdef const char* row = X.data + <Py_ssize_t> i * X.row
    cdef double nothing = 0.0
    cdef double value
    cdef size_t j
    for j in range(d):
        value = (<const float*> row)[j] if X.is_float32 else (<const double*> row)[j]
        nothing += 0.0 * value
        x[j] = value - origin[j]
    return nothing == 0.0


cdef inline double _larger(double a, double b) noexcept nogil:
    """Return the larger number; b if a is NaN."""
    return a if a > b else b


cdef inline double _peak(const double* v) noexcept nogil:
    """Return the largest value of a group, at least the floor of log-probabilities.

    v  IN
    """
    cdef double v01 = _larger(v[0], _larger(v[1], LOG_PROB_FLOOR))
    cdef double v23 = _larger(v[2], _larger(v[3], LOG_PROB_FLOOR))
    cdef double v45 = _larger(v[4], _larger(v[5], LOG_PROB_FLOOR))
    cdef double v67 = _larger(v[6], _larger(v[7], LOG_PROB_FLOOR))
    return _larger(_larger(v01, v23), _larger(v45, v67))


cdef size_t _factor_size(size_t kind, size_t rows) noexcept nogil:
    """Return how many numbers the first rows of a group's factors take; rows are whole fours."""
    if kind == FULL:
        return 2 * LANES * rows * (rows // 4 + 1)
    return LANES * rows


cdef size_t point_parameters_size(const fastgmm_model* model) noexcept nogil:
    """Return how many numbers the layout for single points takes."""
    cdef size_t rows = up_to_four(model.n_features)
    cdef size_t groups = _up_to_lanes(model.n_components) // LANES
    cdef size_t size = groups * (LANES * rows + _factor_size(model.covariance_type, rows))
    return size + model.n_features * rows if model.covariance_type == TIED else size


cdef void _whiten_point(
    const double* restrict whitener, const double* restrict x, size_t d, double* restrict y
) noexcept nogil:
    """Write x W.

    whitener, x  IN
    y            OUT
    """
    cdef size_t i, j
    cdef size_t rows = up_to_four(d)
    for i in range(rows):
        y[i] = 0.0
    for j in range(d):
        for i in range(rows):
            y[i] += whitener[j * rows + i] * x[j]


cdef double point_log_prob(
    const fastgmm_model* model, const double* coefficients, const PointScratch* scratch, double cut
) noexcept nogil:
    """Write coefficient - |factor x + shift|^2 for every component; return the largest.

    coefficients  IN       of whole groups
    cut           IN       values this far below the largest may be replaced by an upper bound
    x             IN       of the scratch
    whitened      OUT      of the scratch
    values, peaks OUT      of the scratch
    """
    cdef size_t d = model.n_features
    cdef size_t groups = _up_to_lanes(model.n_components) // LANES
    cdef size_t rows = up_to_four(d)
    cdef size_t per_group = _factor_size(model.covariance_type, rows)
    cdef const double* shifts = model.point_parameters
    cdef const double* factors = shifts + groups * LANES * rows
    cdef const double* x = scratch.x
    cdef double* values = scratch.values
    cdef double best = LOG_PROB_FLOOR
    cdef size_t g, likely = 0
    if model.covariance_type == TIED:
        _whiten_point(factors + groups * per_group, x, d, scratch.whitened)
        x = scratch.whitened
    for g in range(groups):
        if model.covariance_type == FULL:
            subtract_four_rows(factors, shifts, x, min(d, <size_t> 4), coefficients, values)
        else:
            subtract_scaled(factors, shifts, x, d, coefficients, values)
        scratch.peaks[g] = _peak(values)
        if scratch.peaks[g] > best:
            best = scratch.peaks[g]
            likely = g
        factors += per_group
        shifts += LANES * rows
        coefficients += LANES
        values += LANES
    if model.covariance_type != FULL or d <= 4:
        return best
    best = _finish_group(model, scratch, likely, LOG_PROB_FLOOR, cut)
    for g in range(groups):
        if g != likely:
            best = _finish_group(model, scratch, g, best, cut)
    return best


cdef double _finish_group(
    const fastgmm_model* model, const PointScratch* scratch, size_t g, double best, double cut
) noexcept nogil:
    """Subtract the rows after the first four while the group can matter; return the new best.

    x              IN      of the scratch
    values, peaks  IN OUT  of the scratch
    """
    cdef size_t d = model.n_features
    cdef size_t groups = _up_to_lanes(model.n_components) // LANES
    cdef size_t rows = up_to_four(d)
    cdef const double* shifts = model.point_parameters + g * LANES * rows
    cdef const double* factors = (
        model.point_parameters + groups * LANES * rows + g * _factor_size(FULL, rows)
    )
    cdef double* values = scratch.values + g * LANES
    cdef size_t i = 4
    while i < d and scratch.peaks[g] >= best - cut:
        subtract_four_rows(
            factors + _factor_size(FULL, i), shifts + i * LANES, scratch.x, min(i + 4, d), values,
            values
        )
        scratch.peaks[g] = _peak(values)
        i += 4
    return scratch.peaks[g] if i >= d and scratch.peaks[g] > best else best


cdef void _exponentiate_point(
    double* restrict values, size_t count, double best, double smallest
) noexcept nogil:
    """Write e^(value - best).

    best, smallest  IN
    values          IN OUT
    """
    cdef size_t k
    cdef double value
    for k in range(count):
        value = values[k] if values[k] > LOG_PROB_FLOOR else LOG_PROB_FLOOR
        values[k] = exp64(value - best, smallest)


cdef double point_exponentials(
    const PointScratch* scratch, size_t n_components, double best, double cut
) noexcept nogil:
    """Turn log-probabilities into e^(log_prob - best), and return their sum.

    best, cut  IN
    values     IN OUT  of the scratch
    """
    cdef size_t padded = _up_to_lanes(n_components)
    cdef double* values = scratch.values
    cdef double t0 = 0.0, t1 = 0.0, t2 = 0.0, t3 = 0.0
    cdef size_t k
    _exponentiate_point(values, padded, best, -cut)
    for k in range(n_components, padded):
        values[k] = 0.0
    for k in range(0, padded, 4):
        t0 += values[k]
        t1 += values[k + 1]
        t2 += values[k + 2]
        t3 += values[k + 3]
    return (t0 + t1) + (t2 + t3)


cdef size_t point_component(const double* values, size_t n_components) noexcept nogil:
    """Return the component of the largest log-probability; of equal ones, the first.

    values  IN
    """
    cdef size_t best = 0
    cdef size_t k
    for k in range(1, n_components):
        if values[k] > values[best]:
            best = k
    return best


cdef void _add_point_tiles(
    const double* restrict wz, const double* restrict z, size_t rows, double* restrict second
) noexcept nogil:
    """Add w r z z^T as the lower triangle of 4 x 4 tiles.

    wz, z   IN
    second  ADDS TO
    """
    cdef size_t i, j, a
    for i in range(0, rows, 4):
        for j in range(0, i + 4, 4):
            for a in range(4):
                second[0] += wz[i + a] * z[j]
                second[1] += wz[i + a] * z[j + 1]
                second[2] += wz[i + a] * z[j + 2]
                second[3] += wz[i + a] * z[j + 3]
                second += 4


cdef void _add_point_squares(
    const double* restrict wz, const double* restrict z, size_t d, double* restrict second
) noexcept nogil:
    """Add w r z^2 for every feature.

    wz, z   IN
    second  ADDS TO
    """
    cdef size_t j
    for j in range(d):
        second[j] += wz[j] * z[j]


cdef void _center_point(
    const double* restrict x, const double* restrict centers, double w, size_t d,
    double* restrict z, double* restrict wz, double* restrict first
) noexcept nogil:
    """Write z and w r z, and add the latter.

    x, centers, w  IN
    z, wz          OUT
    first          ADDS TO
    """
    cdef size_t j
    for j in range(d):
        z[j] = x[j] - centers[j]
        wz[j] = w * z[j]
        first[j] += wz[j]


cdef void add_point_moments(
    const fastgmm_model* model, const PointScratch* scratch, double share, double* statistics
) noexcept nogil:
    """Add one point to packed statistics; ``share`` times a value of the scratch is w r.

    x, values   IN       of the scratch
    z, wz       OUT      of the scratch
    statistics  ADDS TO
    """
    cdef size_t d = model.n_features
    cdef size_t K = model.n_components
    cdef size_t kind = model.covariance_type
    cdef double* second
    cdef double w
    cdef size_t k, j
    for j in range(d, up_to_four(d)):
        scratch.z[j] = 0.0
        scratch.wz[j] = 0.0
    for k in range(K):
        if scratch.values[k] == 0.0:
            continue
        w = share * scratch.values[k]
        statistics[k] += w
        _center_point(
            scratch.x, model.centers + k * d, w, d, scratch.z, scratch.wz, statistics + K + k * d
        )
        second = statistics + second_start(k, kind, K, d)
        if kind == FULL or kind == TIED:
            _add_point_tiles(scratch.wz, scratch.z, up_to_four(d), second)
        else:
            _add_point_squares(scratch.wz, scratch.z, d, second)
