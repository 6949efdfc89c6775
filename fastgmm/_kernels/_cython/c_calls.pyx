"""What the functions of fastgmm.h do with points: whole blocks by the passes, few points singly.

A point gives the same results either way, but for rounding.
"""

from fastgmm.embed cimport (
    FASTGMM_API_VERSION, FASTGMM_WORKSPACE_TOO_SMALL,
    FASTGMM_WRONG_COVARIANCE_TYPE, FASTGMM_WRONG_SIZE, FASTGMM_WRONG_VERSION,
)

cdef extern from *:
    # fewer points than this are computed singly; measured, a block of 256 samples takes as long as
    # 50 (two features) to 140 (16 features, 32 full covariances) single points
    const size_t FEW_POINTS "((size_t)96)"
    const size_t MOST_COMPONENTS "((size_t)1 << 28)"
    const size_t MOST_FEATURES "((size_t)1 << 16)"
    const double NOT_A_NUMBER "((double)NAN)"


cdef int check_call(const fastgmm_model* model) noexcept nogil:
    """Return an error if no function may read more of the model."""
    if model == NULL:
        return FASTGMM_NULL_POINTER
    if model.version != FASTGMM_API_VERSION or model.struct_size != sizeof(fastgmm_model):
        return FASTGMM_WRONG_VERSION
    if model.n_components < 1 or model.n_components > MOST_COMPONENTS:
        return FASTGMM_WRONG_SIZE
    if model.n_features < 1 or model.n_features > MOST_FEATURES:
        return FASTGMM_WRONG_SIZE
    if model.covariance_type > SPHERICAL:
        return FASTGMM_WRONG_COVARIANCE_TYPE
    return FASTGMM_OK


cdef size_t _in_blocks(size_t n_points) noexcept nogil:
    """Return how many points are computed in blocks; the others are computed singly."""
    cdef size_t rest = n_points % BLOCK
    return n_points if rest >= FEW_POINTS else n_points - rest


cdef size_t needed_workspace(const fastgmm_model* model, size_t n_points) noexcept nogil:
    cdef PointScratch point
    cdef Scratch scratch
    cdef size_t single = lay_out_point(NULL, model.n_components, model.n_features, &point)
    if n_points < FEW_POINTS:
        return single
    return max(
        single, lay_out_scratch(NULL, model.n_components, model.n_features, True, &scratch)
    )


cdef int _check_points(
    const fastgmm_model* model, const Samples* X, size_t n_points, const void* workspace,
    size_t size
) noexcept nogil:
    """Return an error if the points cannot be computed."""
    cdef int code = check_call(model)
    if code != FASTGMM_OK:
        return code
    if workspace == NULL or X.data == NULL:
        return FASTGMM_NULL_POINTER
    if size < needed_workspace(model, n_points):
        return FASTGMM_WORKSPACE_TOO_SMALL
    return FASTGMM_OK


cdef Samples points(
    const void* x, Py_ssize_t row_stride, size_t n_bytes
) noexcept nogil:
    cdef Samples X
    X.data = <const char*> x
    X.row = <Py_ssize_t> (<size_t> row_stride * n_bytes)  # of one point any number: no overflow
    X.column = <Py_ssize_t> n_bytes
    X.is_float32 = n_bytes == sizeof(float)
    return X


cdef Packed packed_model(const fastgmm_model* model) noexcept nogil:
    """Return the model as the passes take it."""
    cdef Packed packed
    packed.kind = model.covariance_type
    packed.n_components = model.n_components
    packed.n_features = model.n_features
    packed.origin = <const work*> model.origin
    packed.coefficients = <const work*> model.log_coefficients
    packed.factors = <const work*> model.block_factors
    packed.shifts = <const work*> model.block_shifts
    packed.squares = <const work*> model.block_squares
    packed.whitener = <const work*> model.block_whitener
    packed.centers = <const work*> model.centers
    packed.leading = model.leading_rows
    packed.offset = 0.0
    packed.lowest = -INFINITE
    packed.smallest_weight = 0.0
    packed.largest_weight = INFINITE
    return packed


cdef bint is_finite(const Samples* X, size_t i, size_t d) noexcept nogil:
    cdef const char* row = X.data + <Py_ssize_t> i * X.row
    cdef double nothing = 0.0
    cdef size_t j
    if X.is_float32:
        for j in range(d):
            nothing += 0.0 * (<const float*> row)[j]
    else:
        for j in range(d):
            nothing += 0.0 * (<const double*> row)[j]
    return nothing == 0.0


cdef void _fill_with_nan(const Outputs* out, size_t i, size_t n_components) noexcept nogil:
    """Write the results of a point that is not finite.

    out  ADDS TO
    """
    cdef size_t k
    for k in range(i * n_components, (i + 1) * n_components):
        if out.log_prob != NULL:
            out.log_prob[k] = NOT_A_NUMBER
        if out.resp != NULL:
            out.resp[k] = NOT_A_NUMBER
    if out.log_prob_norm != NULL:
        out.log_prob_norm[i] = NOT_A_NUMBER
    if out.labels != NULL:
        out.labels[i] = -1


cdef void _evaluate_point(
    const fastgmm_model* model, const double* coefficients, const Samples* X, size_t i,
    const PointScratch* scratch, const Outputs* out
) noexcept nogil:
    """Evaluate point i.

    coefficients, X  IN
    scratch          OUT  workspace
    """
    cdef size_t K = model.n_components
    cdef double cut = CUT if out.log_prob == NULL and out.resp == NULL else INFINITE
    cdef double best, total
    cdef size_t k
    if not load_point(X, i, model.origin, model.n_features, scratch.x):
        _fill_with_nan(out, i, K)
        return
    best = point_log_prob(model, coefficients, scratch, cut)
    if out.log_prob != NULL:
        for k in range(K):
            out.log_prob[i * K + k] = scratch.values[k]
    if out.labels != NULL:
        out.labels[i] = <int64_t> point_component(scratch.values, K)
    if out.log_prob_norm == NULL and out.resp == NULL:
        return
    total = point_exponentials(scratch, K, best, cut)
    if out.log_prob_norm != NULL:
        out.log_prob_norm[i] = best + log(total)
    if out.resp != NULL:
        total = 1.0 / total
        for k in range(K):
            out.resp[i * K + k] = scratch.values[k] * total


cdef void _make_distances(double* values, size_t count) noexcept nogil:
    """Write -2 times the values, and 0 in place of what is not positive.

    The expanded square of a point on a mean may be rounded below zero.

    values  IN OUT
    """
    cdef size_t i
    for i in range(count):
        values[i] = 0.0 if values[i] >= 0.0 else -2.0 * values[i]


cdef int evaluate(
    const fastgmm_model* model, Samples X, size_t n_points, bint are_distances, const Outputs* out,
    void* workspace, size_t size
) noexcept nogil:
    """Evaluate points; squared distances are -2 times log-probabilities with coefficients of 0.

    X          IN
    workspace  OUT
    """
    cdef int code = _check_points(model, &X, n_points, workspace, size)
    cdef const double* coefficients
    cdef Packed packed
    cdef PointScratch scratch
    cdef size_t whole, i
    if code != FASTGMM_OK:
        return code
    if (
        out.log_prob == NULL and out.log_prob_norm == NULL and out.resp == NULL
        and out.labels == NULL
    ):
        return FASTGMM_NULL_POINTER
    coefficients = model.point_coefficients
    if are_distances:
        coefficients = model.distance_coefficients
    whole = _in_blocks(n_points)
    if whole > 0:
        packed = packed_model(model)
        if are_distances:
            packed.coefficients = <const work*> model.distance_coefficients
            packed.shifts = <const work*> model.distance_shifts
        _posterior_slot(&X, &packed, 0, whole, <double*> workspace, out)
        for i in range(whole):
            if not is_finite(&X, i, model.n_features):
                _fill_with_nan(out, i, model.n_components)
    if whole < n_points:
        lay_out_point(<char*> workspace, model.n_components, model.n_features, &scratch)
        for i in range(whole, n_points):
            _evaluate_point(model, coefficients, &X, i, &scratch, out)
    if are_distances:
        _make_distances(out.log_prob, n_points * model.n_components)
    return FASTGMM_OK


cdef double _nan_sums(size_t n_components, double* sums) noexcept nogil:
    """Make nk of all components NaN, for a point that is not finite; return NaN.

    sums  OUT
    """
    cdef size_t k
    for k in range(n_components):
        sums[k] = NOT_A_NUMBER
    return NOT_A_NUMBER


cdef double _accumulate_blocks(
    const fastgmm_model* model, const Samples* X, size_t n_points, const double* weights,
    double* memory, double* sums
) noexcept nogil:
    """Add points block by block, as ``_accumulate_slot`` does; return their log-likelihood.

    X, weights  IN
    memory      OUT      workspace
    sums        ADDS TO
    """
    cdef size_t d = model.n_features
    cdef size_t K = model.n_components
    cdef double cut = CUT if d > 2 else INFINITE
    cdef double log_likelihood = 0.0
    cdef Packed packed = packed_model(model)
    cdef Scratch scratch
    cdef size_t i, first, count, b, j
    lay_out_scratch(memory, K, d, True, &scratch)
    for b in range(STRIDE):
        scratch.norm[b] = 0.0
    for i in range((n_points + BLOCK - 1) // BLOCK):
        first = i * BLOCK
        count = min(BLOCK, n_points - first)
        load_block(X, first, count, &packed, &scratch)
        for b in range(STRIDE):
            scratch.weight[b] = 0.0
        for b in range(count):
            scratch.weight[b] = 1.0 if weights == NULL else weights[first + b]
            if is_finite(X, first + b, d):
                continue
            if scratch.weight[b] != 0.0:
                log_likelihood = _nan_sums(K, sums)
            scratch.weight[b] = 0.0
            for j in range(d):
                scratch.block[j * STRIDE + b] = 0.0
                scratch.rows[b * d + j] = 0.0
        block_log_prob(&packed, &scratch, cut)
        normalize_block(&scratch, K, 0.0, cut)
        log_likelihood += share_out(
            scratch.weight, scratch.norm, scratch.scale, count, scratch.share
        )
        add_block_moments(count, &packed, &scratch, sums)
    flush_all(&packed, &scratch, sums)
    return log_likelihood


cdef double _accumulate_point(
    const fastgmm_model* model, const Samples* X, size_t i, double weight,
    const PointScratch* scratch, double* sums
) noexcept nogil:
    """Add point i; return its weighted log-density.

    X        IN
    scratch  OUT      workspace
    sums     ADDS TO
    """
    cdef double cut = CUT if model.n_features > 2 else INFINITE
    cdef double best, total
    if weight == 0.0:
        return 0.0
    if not load_point(X, i, model.origin, model.n_features, scratch.x):
        return _nan_sums(model.n_components, sums)
    best = point_log_prob(model, model.point_coefficients, scratch, cut)
    total = point_exponentials(scratch, model.n_components, best, cut)
    add_point_moments(model, scratch, weight / total, sums)
    return weight * (best + log(total))


cdef int accumulate_points(
    const fastgmm_model* model, Samples X, size_t n_points, const double* weights,
    void* statistics, void* workspace, size_t size
) noexcept nogil:
    """Add points to statistics under their responsibilities.

    X, weights  IN
    workspace   OUT
    statistics  ADDS TO
    """
    cdef int code = _check_points(model, &X, n_points, workspace, size)
    cdef PointScratch scratch
    cdef double log_likelihood = 0.0
    cdef double* sums
    cdef size_t whole, i
    if code == FASTGMM_OK:
        code = check_statistics(model, statistics)
    if code != FASTGMM_OK:
        return code
    sums = packed_sums(statistics)
    whole = _in_blocks(n_points)
    if whole > 0:
        log_likelihood = _accumulate_blocks(model, &X, whole, weights, <double*> workspace, sums)
    lay_out_point(<char*> workspace, model.n_components, model.n_features, &scratch)
    for i in range(whole, n_points):
        log_likelihood += _accumulate_point(
            model, &X, i, 1.0 if weights == NULL else weights[i], &scratch, sums
        )
    sums[n_sums(model) - 1] += log_likelihood
    for i in range(n_points):
        (<Header*> statistics).weight += 1.0 if weights == NULL else weights[i]
    return FASTGMM_OK
