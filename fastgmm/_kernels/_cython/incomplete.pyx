"""Passes over rows with missing values: what is expected given the others."""


cdef size_t _second_offset(const Plain* plain, size_t k) noexcept nogil:
    """Return where the second moments of a component are in the statistics."""
    cdef size_t d = plain.n_features
    cdef size_t rows = up_to_four(d) // 4
    cdef size_t size = 16 * (rows * (rows + 1) // 2) if is_matrix(plain) else d
    return plain.n_components * (1 + d) + (0 if plain.kind == TIED else k) * size


cdef void _gather_samples(
    const work* block, size_t d, const uint64_t* index, size_t count, work* out
) noexcept nogil:
    """Write listed samples of a block.

    block, index  IN
    out           OUT
    """
    cdef size_t a, j
    for j in range(d):
        for a in range(count):
            out[j * STRIDE + a] = block[j * STRIDE + index[a]]


cdef void _fill_in(
    const Plain* plain, size_t k, size_t count, const Scratch* scratch,
    const Regression* regression, double* statistics
) noexcept nogil:
    """Write conditional means in place of missing deviations, and add conditional covariances.

    plain         IN
    gathered, w   IN       of the scratch
    z             IN OUT   of the scratch
    whitened, wz  OUT      of the scratch
    regression    OUT      workspace
    statistics    ADDS TO
    """
    cdef size_t d = plain.n_features
    cdef size_t* missing = regression.missing
    cdef double* r = regression.r
    cdef double* second = statistics + _second_offset(plain, k)
    cdef const work* factor = factor_of(plain, k)
    cdef size_t a, j, m, start = 0, stop
    cdef double log_det, weight
    while start < count:
        stop = run_end(scratch.gathered, d, start, count)
        m = regress_run(plain, k, scratch.gathered, start, stop, scratch, regression, &log_det)
        weight = 0.0
        for a in range(start, stop):
            weight += scratch.w[a]
        if is_matrix(plain):
            predict(r, d, missing, m, stop - start, scratch.wz + start, scratch.z + start)
            add_covariance(r, d, missing, m, weight, regression.inverse, second)
        else:
            for a in range(m):
                j = missing[a]
                second[j] += weight / (factor[j] * factor[j])
        start = stop


cdef void _add_component(
    const Plain* plain, size_t k, size_t count, const Scratch* scratch,
    const Regression* regression, double* statistics
) noexcept nogil:
    """Add the moments of listed samples of a block to those of a component.

    plain                 IN
    block, values, share  IN       of the scratch
    index                 IN       of the scratch
    regression            OUT      workspace
    statistics            ADDS TO
    """
    cdef size_t d = plain.n_features
    cdef const work* resp = scratch.values + k * STRIDE
    cdef double* first = statistics + plain.n_components + k * d
    cdef double* second = statistics + _second_offset(plain, k)
    cdef size_t padded = (count + 15) // 16 * 16
    cdef size_t a, j
    cdef work* z
    cdef work[2] sums
    for a in range(count):
        scratch.w[a] = resp[scratch.index[a]] * scratch.share[scratch.index[a]]
        statistics[k] += scratch.w[a]
    for a in range(count, padded):
        scratch.w[a] = 0.0
    _gather_samples(scratch.block, d, scratch.index, count, scratch.gathered)
    whiten_observed(plain, k, scratch.gathered, count, scratch.z, scratch.whitened)
    _fill_in(plain, k, count, scratch, regression, statistics)
    for j in range(d):
        z = scratch.z + j * STRIDE
        for a in range(count, padded):
            z[a] = 0.0
        if not is_matrix(plain):
            weighted_sums(z, 0.0, scratch.w, padded, sums)
            first[j] += sums[0]
            second[j] += sums[1]
    if is_matrix(plain):
        add_products(scratch.z, scratch.w, d, padded, scratch.wz, first, second)


cdef void _lay_out(
    const Plain* plain, double* memory, Scratch* scratch, Regression* regression
) noexcept nogil:
    """Divide the memory of one thread.

    memory               OUT  workspace: 3 d^2 + d numbers, then the scratch
    scratch, regression  OUT
    """
    cdef size_t d = plain.n_features
    regression.q, regression.r = memory, memory + d * d
    regression.inverse = memory + 2 * d * d
    regression.missing = <size_t*> (memory + 3 * d * d)
    lay_out_scratch(memory + 3 * d * d + d, plain.n_components, d, True, scratch)


cdef void _accumulate_incomplete_slot(
    const double* X, const double* sample_weight, const Plain* plain, size_t start, size_t stop,
    double* memory, double* statistics, size_t size
) noexcept nogil:
    """Write the statistics of the rows start to stop.

    X, sample_weight, plain  IN
    memory                   OUT  workspace
    statistics               OUT
    """
    cdef size_t K = plain.n_components
    cdef size_t i, first, count, b, k, n
    cdef Scratch scratch
    cdef Regression regression
    _lay_out(plain, memory, &scratch, &regression)
    for i in range(size):
        statistics[i] = 0.0
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        count = min(BLOCK, stop - first)
        observed_log_prob(X, plain, first, count, &scratch, &regression)
        normalize_block(&scratch, K, 0.0, CUT)
        for b in range(BLOCK):
            scratch.weight[b] = sample_weight[first + b] if b < count else 0.0
        statistics[size - 1] += share_out(
            scratch.weight, scratch.norm, scratch.scale, count, scratch.share
        )
        for k in range(K):
            n = list_selected(scratch.words + k * WORDS, scratch.index)
            while n > 0 and scratch.index[n - 1] >= count:
                n -= 1  # those are behind the last sample
            if n > 0:
                _add_component(plain, k, n, &scratch, &regression, statistics)


cdef void _posterior_incomplete_slot(
    const double* X, const Plain* plain, size_t start, size_t stop, double* memory,
    const Outputs* out
) noexcept nogil:
    """Evaluate the rows start to stop.

    X, plain  IN
    memory    OUT  workspace
    out       OUT  NULL where an output is not wanted
    """
    cdef size_t K = plain.n_components
    cdef size_t i, first, count, b
    cdef Scratch scratch
    cdef Regression regression
    _lay_out(plain, memory, &scratch, &regression)
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        count = min(BLOCK, stop - first)
        observed_log_prob(X, plain, first, count, &scratch, &regression)
        if out.labels != NULL:
            find_best(scratch.values, K, scratch.share, scratch.extra)
            for b in range(count):
                out.labels[first + b] = <int64_t> scratch.extra[b]
        normalize_block(&scratch, K, 0.0, INFINITE)
        if out.log_prob_norm != NULL:
            for b in range(count):
                out.log_prob_norm[first + b] = scratch.norm[b]
        if out.resp != NULL:
            _store_scaled_rows(scratch.values, scratch.scale, first, count, K, out.resp)


def accumulate_incomplete(X, sample_weight, plain, bounds, slots, out, memory):
    """Run ``_accumulate_incomplete_slot`` for every slot; merge."""
    cdef Plain components = _plain(plain)
    cdef Py_ssize_t n_slots = slots.shape[0]
    cdef Py_ssize_t size = slots.shape[1]
    cdef Py_ssize_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef const double* rows = <const double*> _address(X)
    cdef const double* weights = <const double*> _address(sample_weight)
    cdef const int64_t* edges = <const int64_t*> _address(bounds)
    cdef double* statistics = <double*> _address(slots)
    cdef double* sums = <double*> _address(out)
    cdef double* own = <double*> _address(memory)
    cdef Py_ssize_t t
    with nogil:
        if n_threads == 1:  # in a forked child no OpenMP function may be entered
            for t in range(n_slots):
                _accumulate_incomplete_slot(
                    rows, weights, &components, edges[t], edges[t + 1], own,
                    statistics + t * size, size
                )
        else:
            for t in prange(n_slots, schedule="guided", num_threads=n_threads):
                _accumulate_incomplete_slot(
                    rows, weights, &components, edges[t], edges[t + 1],
                    own + threadid() * scratch, statistics + t * size, size
                )
        for t in range((size + MERGE_CHUNK - 1) // MERGE_CHUNK):
            _merge_chunk(statistics, n_slots, size, t, sums)


def posterior_incomplete(X, plain, bounds, log_prob_norm, resp, labels, memory):
    """Run ``_posterior_incomplete_slot`` for every slot; outputs of length 0 are not wanted."""
    cdef Plain components = _plain(plain)
    cdef Outputs out
    cdef Py_ssize_t n_slots = bounds.size - 1
    cdef Py_ssize_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef const double* rows = <const double*> _address(X)
    cdef const int64_t* edges = <const int64_t*> _address(bounds)
    cdef double* own = <double*> _address(memory)
    cdef Py_ssize_t t
    out.log_prob = NULL
    out.log_prob_norm = <double*> _address(log_prob_norm)
    out.resp = <double*> _address(resp)
    out.labels = <int64_t*> _address(labels)
    with nogil:
        if n_threads == 1:
            for t in range(n_slots):
                _posterior_incomplete_slot(
                    rows, &components, edges[t], edges[t + 1], own, &out
                )
        else:
            for t in prange(n_slots, schedule="guided", num_threads=n_threads):
                _posterior_incomplete_slot(
                    rows, &components, edges[t], edges[t + 1], own + threadid() * scratch, &out
                )
