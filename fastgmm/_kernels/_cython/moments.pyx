"""Weighted moments of one block about each component's centre.

    nk += sum w r,   first += sum w r z,   second += sum w r z z^T,   z = x - centre

For each component only the samples whose responsibility can matter are added. On separated clusters
these are a few in a hundred, and an iteration takes half the time. Diagonal moments are added
sample by sample. Matrices need long dot products: their samples wait until there are enough
(adding 4 samples in every block takes 3 times as long); see waiting.pyx.
"""

cdef extern from *:
    """
    typedef fastgmm_work real_t;
    size_t fastgmm_count_unsafe(
        const real_t*, const double*, size_t, double, double, double);
    double fastgmm_share_out(const double*, const double*, const double*, size_t, real_t*);
    real_t fastgmm_weigh(const real_t*, const real_t*, size_t, real_t*);
    void fastgmm_weighted_sums(const real_t*, real_t, const real_t*, size_t, real_t*);
    void fastgmm_plane_sums(
        const real_t*, const real_t*, const real_t*, real_t, real_t, size_t, real_t*);
    """
    # from sums.pyx
    size_t count_unsafe "fastgmm_count_unsafe"(
        const work* maximum, const double* weight, size_t count, double lowest, double smallest,
        double largest) noexcept nogil
    double share_out "fastgmm_share_out"(
        const double* weight, const double* log_prob_norm, const double* scale, size_t count,
        work* share) noexcept nogil
    work weigh "fastgmm_weigh"(
        const work* resp, const work* share, size_t count, work* w) noexcept nogil
    void weighted_sums "fastgmm_weighted_sums"(
        const work* block, work mean, const work* w, size_t count,
        work* sums) noexcept nogil
    void plane_sums "fastgmm_plane_sums"(
        const work* resp, const work* share, const work* block, work c0, work c1,
        size_t count, work* sums) noexcept nogil


cdef void _add_plane(
    const work* resp, size_t count, size_t k, const Packed* packed, const Scratch* scratch,
    double* statistics
) noexcept nogil:
    """Add all samples of a block with one or two features.

    resp, packed, scratch  IN
    statistics             ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t first = packed.n_components + k * d
    cdef size_t second = second_start(k, packed.kind, packed.n_components, d)
    cdef work[6] sums
    plane_sums(
        resp, scratch.share, scratch.block, packed.centers[k * d],
        packed.centers[k * d + 1] if d == 2 else 0.0, count, sums
    )
    statistics[k] += sums[0]
    statistics[first] += sums[1]
    statistics[second] += sums[3]
    if d == 1:
        return
    statistics[first + 1] += sums[2]
    if packed.kind == FULL or packed.kind == TIED:
        statistics[second + 4] += sums[4]
        statistics[second + 5] += sums[5]
    else:
        statistics[second + 1] += sums[5]


cdef void _add_whole_block_to_matrix(
    const work* resp, size_t count, size_t k, const Packed* packed, const Scratch* scratch,
    double* statistics
) noexcept nogil:
    """Add all samples of a block to component k.

    resp, packed  IN
    block, share  IN       of the scratch
    w, z, wz      OUT      of the scratch
    statistics    ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t j
    statistics[k] += weigh(resp, scratch.share, count, scratch.w)
    for j in range(d):
        subtract(scratch.block + j * STRIDE, packed.centers[k * d + j], scratch.z + j * STRIDE)
    add_products(
        scratch.z, scratch.w, d, count, scratch.wz, statistics + packed.n_components + k * d,
        statistics + second_start(k, packed.kind, packed.n_components, d)
    )


cdef void _add_whole_block_to_diagonal(
    const work* resp, size_t count, size_t k, const Packed* packed, const Scratch* scratch,
    double* statistics
) noexcept nogil:
    """Add all samples of a block to component k.

    resp, packed  IN
    w             OUT      of the scratch
    statistics    ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t first = packed.n_components + k * d
    cdef size_t second = second_start(k, packed.kind, packed.n_components, d)
    cdef const work* centers = packed.centers + k * d
    cdef work[2] sums
    cdef size_t j
    statistics[k] += weigh(resp, scratch.share, count, scratch.w)
    for j in range(d):
        weighted_sums(scratch.block + j * STRIDE, centers[j], scratch.w, count, sums)
        statistics[first + j] += sums[0]
        statistics[second + j] += sums[1]


cdef double _add_rows(
    const work* restrict rows, size_t d, const work* restrict resp,
    const work* restrict share, const uint64_t* restrict index, size_t count,
    const work* restrict centers, double* restrict first, double* restrict second
) noexcept nogil:
    """Add listed samples to diagonal moments; return the sum of w r.

    rows, resp, share, index, centers  IN
    first, second                      ADDS TO
    """
    cdef double total = 0.0
    cdef work w, z, value
    cdef size_t i, j, b
    for i in range(count):
        b = index[i]
        w = resp[b] * share[b]
        total += w
        for j in range(d):
            z = rows[b * d + j] - centers[j]
            value = w * z
            first[j] += value
            second[j] += value * z
    return total


cdef bint takes_whole_block(size_t selected, size_t count, size_t d) noexcept nogil:
    """Return whether a matrix is added faster for a whole block than for the selected samples."""
    # measured: a listed sample costs as much as 10 + 1.25 d features of a whole block
    return selected * (10 + d + d // 4) > count * d


cdef void _matrix(
    size_t count, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Do what ``add_block_moments`` does, for matrices."""
    cdef size_t k, a, b, selected
    cdef const work* resp
    for k in range(packed.n_components):
        resp = scratch.values + k * STRIDE
        selected = count_selected(scratch.words + k * WORDS)
        if takes_whole_block(selected, count, packed.n_features):
            _add_whole_block_to_matrix(resp, count, k, packed, scratch, statistics)
        elif selected > 0:
            list_selected(scratch.words + k * WORDS, scratch.index)
            for a in range(selected):
                b = scratch.index[a]
                scratch.extra[a] = resp[b] * scratch.share[b]
            let_wait(selected, k, packed, scratch, statistics)


cdef void _diagonal(
    size_t count, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Do what ``add_block_moments`` does, for variances."""
    cdef size_t d = packed.n_features
    cdef size_t K = packed.n_components
    cdef size_t k, selected
    cdef const work* resp
    for k in range(K):
        resp = scratch.values + k * STRIDE
        selected = count_selected(scratch.words + k * WORDS)
        # measured: a listed sample costs as much as 25 + 3 d features of a whole block
        if selected * (25 + 3 * d) > count * d:
            _add_whole_block_to_diagonal(resp, count, k, packed, scratch, statistics)
        elif selected > 0:
            list_selected(scratch.words + k * WORDS, scratch.index)
            statistics[k] += _add_rows(
                scratch.rows, d, resp, scratch.share, scratch.index, selected,
                packed.centers + k * d, statistics + K + k * d, statistics + K + K * d + k * d
            )


cdef void add_block_moments(
    size_t count, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Add the moments of one block, now or when enough samples of a component wait.

    Reads from the scratch: rows, block, values (responsibilities up to a scale; times share they
    are w r) and words (the selected samples).
    """
    cdef size_t k
    if packed.n_features <= 2:
        for k in range(packed.n_components):
            _add_plane(scratch.values + k * STRIDE, count, k, packed, scratch, statistics)
    elif packed.kind == FULL or packed.kind == TIED:
        _matrix(count, packed, scratch, statistics)
    else:
        _diagonal(count, packed, scratch, statistics)


cdef void add_listed_moments(
    size_t count, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Do as ``add_block_moments`` does, for a posterior that is listed: see ``listed_posterior``.

    packed                     IN
    rows                       IN       of the scratch
    block                      IN       of the scratch, if a component matters to many samples
    values, samples, n_listed  IN       of the scratch: responsibilities; times share they are w r
    share                      IN       zero where there is no sample
    index, extra               OUT      of the scratch: workspace, as for ``let_wait``
    statistics                 ADDS TO  packed nk, first, second
    """
    cdef size_t k, a, b, selected
    cdef const work* resp
    cdef const uint16_t* samples
    for k in range(packed.n_components):
        resp = scratch.values + k * STRIDE
        samples = scratch.samples + k * BLOCK
        selected = scratch.n_listed[k]
        if takes_whole_block(selected, count, packed.n_features):
            fill(scratch.extra, 0.0)
            for a in range(selected):
                scratch.extra[samples[a]] = resp[a]
            _add_whole_block_to_matrix(scratch.extra, count, k, packed, scratch, statistics)
        elif selected > 0:
            for a in range(selected):
                b = samples[a]
                scratch.index[a] = b
                scratch.extra[a] = resp[a] * scratch.share[b]
            let_wait(selected, k, packed, scratch, statistics)
