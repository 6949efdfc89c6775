"""Weighted moments of one block about each component's centre.

    nk += sum w r,   first += sum w r z,   second += sum w r z z^T,   z = x - centre

For each component only the samples whose responsibility can matter are added. On separated clusters
these are a few in a hundred, and an iteration takes half the time. Diagonal moments are added
sample by sample. Matrices need long dot products: their samples wait, as rows, until there are
enough (adding 4 samples in every block takes 3 times as long).
"""

cdef extern from *:
    """
    typedef fastgmm_work real_t;
    size_t fastgmm_count_unsafe(
        const real_t*, const double*, size_t, double, double, double);
    double fastgmm_share_out(const double*, const double*, const double*, size_t, real_t*);
    real_t fastgmm_weigh(const real_t*, const real_t*, size_t, real_t*);
    real_t fastgmm_center(const real_t*, real_t, const real_t*, size_t, real_t*, real_t*);
    real_t fastgmm_center_in_place(real_t*, real_t, const real_t*, size_t, real_t*);
    void fastgmm_weighted_sums(const real_t*, real_t, const real_t*, size_t, real_t*);
    void fastgmm_plane_sums(
        const real_t*, const real_t*, const real_t*, real_t, real_t, size_t, real_t*);
    void fastgmm_add_outer_products(const real_t*, const real_t*, size_t, size_t, double*);
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
    work center "fastgmm_center"(
        const work* block, work mean, const work* w, size_t count, work* z,
        work* wz) noexcept nogil
    work center_in_place "fastgmm_center_in_place"(
        work* z, work mean, const work* w, size_t count, work* wz) noexcept nogil
    void weighted_sums "fastgmm_weighted_sums"(
        const work* block, work mean, const work* w, size_t count,
        work* sums) noexcept nogil
    void plane_sums "fastgmm_plane_sums"(
        const work* resp, const work* share, const work* block, work c0, work c1,
        size_t count, work* sums) noexcept nogil
    void add_outer_products "fastgmm_add_outer_products"(
        const work* wz, const work* z, size_t d, size_t count, double* out) noexcept nogil


cdef size_t waiting_capacity(size_t n_components, size_t d) noexcept nogil:
    """Return how many samples may wait for each component: 4 MB in all."""
    cdef size_t capacity = (<size_t> 1 << 22) // (n_components * d * sizeof(work)) // 16 * 16
    return min(max(capacity, <size_t> 16), BLOCK)


cdef size_t _second_start(size_t k, size_t kind, size_t n_components, size_t d) noexcept nogil:
    """Return where the second moments of component k begin in the statistics.

    packed  IN
    """
    cdef size_t start = n_components * (1 + d)
    cdef size_t rows = (d + 3) // 4
    if kind == FULL:
        return start + k * 16 * (rows * (rows + 1) // 2)
    return start if kind == TIED else start + k * d


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
    cdef size_t second = _second_start(k, packed.kind, packed.n_components, d)
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
    w, z, wz      OUT      of the scratch
    statistics    ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t first = packed.n_components + k * d
    cdef const work* centers = packed.centers + k * d
    cdef size_t j, o
    statistics[k] += weigh(resp, scratch.share, count, scratch.w)
    for j in range(d):
        o = j * STRIDE
        statistics[first + j] += center(
            scratch.block + o, centers[j], scratch.w, count, scratch.z + o, scratch.wz + o
        )
    add_outer_products(
        scratch.wz, scratch.z, d, count,
        statistics + _second_start(k, packed.kind, packed.n_components, d)
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
    cdef size_t second = _second_start(k, packed.kind, packed.n_components, d)
    cdef const work* centers = packed.centers + k * d
    cdef work[2] sums
    cdef size_t j
    statistics[k] += weigh(resp, scratch.share, count, scratch.w)
    for j in range(d):
        weighted_sums(scratch.block + j * STRIDE, centers[j], scratch.w, count, sums)
        statistics[first + j] += sums[0]
        statistics[second + j] += sums[1]


cdef void _flush(
    size_t k, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Add the samples that wait to the sums of component k.

    packed                                         IN
    waiting, waiting_weight, waiting_rows          IN OUT   of the scratch
    w, z, wz                                       OUT      of the scratch
    statistics                                     ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t K = packed.n_components
    cdef size_t m = scratch.waiting[k]
    cdef size_t padded = (m + 15) // 16 * 16
    cdef const work* weight = scratch.waiting_weight + k * scratch.capacity
    cdef double total = 0.0
    cdef size_t a, j
    cdef work* z
    scratch.waiting[k] = 0
    for a in range(m):
        scratch.w[a] = weight[a]
        total += weight[a]
    statistics[k] += total
    for a in range(m, padded):
        scratch.w[a] = 0.0
    transpose(scratch.waiting_rows + k * scratch.capacity * d, d, padded, scratch.z)
    for j in range(d):
        z = scratch.z + j * STRIDE
        for a in range(m, padded):
            z[a] = 0.0
        statistics[K + k * d + j] += center_in_place(
            z, packed.centers[k * d + j], scratch.w, padded, scratch.wz + j * STRIDE
        )
    add_outer_products(
        scratch.wz, scratch.z, d, padded, statistics + _second_start(k, packed.kind, K, d)
    )


cdef void flush_all(
    const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Add all samples that still wait."""
    cdef size_t k
    for k in range(packed.n_components):
        if scratch.waiting[k] > 0:
            _flush(k, packed, scratch, statistics)


cdef void _append(
    const work* restrict rows, size_t d, const work* restrict resp,
    const work* restrict share, const uint64_t* restrict index, size_t count,
    work* restrict out, work* restrict out_weight
) noexcept nogil:
    """Copy listed samples and their w r.

    rows, resp, share, index  IN
    out, out_weight           OUT
    """
    cdef size_t i, j, b
    for i in range(count):
        b = index[i]
        out_weight[i] = resp[b] * share[b]
        for j in range(d):
            out[i * d + j] = rows[b * d + j]


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


cdef void _add_listed(
    const work* resp, size_t selected, size_t k, const Packed* packed, const Scratch* scratch,
    double* statistics
) noexcept nogil:
    """Let the listed samples wait; add those of component k when there is no room for more.

    resp, packed  IN
    scratch       IN OUT
    statistics    ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t capacity = scratch.capacity
    cdef size_t s = 0
    cdef size_t n, a
    while s < selected:
        n = min(selected - s, capacity - scratch.waiting[k])
        a = k * capacity + scratch.waiting[k]
        _append(
            scratch.rows, d, resp, scratch.share, scratch.index + s, n,
            scratch.waiting_rows + a * d, scratch.waiting_weight + a
        )
        s += n
        scratch.waiting[k] += n
        if scratch.waiting[k] == capacity:
            _flush(k, packed, scratch, statistics)


cdef void add_block_moments(
    size_t count, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Add the moments of one block, now or when enough samples of a component wait.

    Reads from the scratch: rows, block, values (responsibilities up to a scale; times share they
    are w r) and words (the selected samples).
    """
    cdef size_t d = packed.n_features
    cdef size_t K = packed.n_components
    cdef bint is_matrix = packed.kind == FULL or packed.kind == TIED
    # measured: a listed sample costs as much as so many features of a whole block
    cdef size_t cost = 10 + d + d // 4 if is_matrix else 25 + 3 * d
    cdef size_t k, selected
    cdef const work* resp
    for k in range(K):
        resp = scratch.values + k * STRIDE
        if d <= 2:
            _add_plane(resp, count, k, packed, scratch, statistics)
            continue
        selected = count_selected(scratch.words + k * WORDS)
        if selected == 0:
            continue
        if selected * cost > count * d:
            if is_matrix:
                _add_whole_block_to_matrix(resp, count, k, packed, scratch, statistics)
            else:
                _add_whole_block_to_diagonal(resp, count, k, packed, scratch, statistics)
            continue
        list_selected(scratch.words + k * WORDS, scratch.index)
        if is_matrix:
            _add_listed(resp, selected, k, packed, scratch, statistics)
        else:
            statistics[k] += _add_rows(
                scratch.rows, d, resp, scratch.share, scratch.index, selected,
                packed.centers + k * d, statistics + K + k * d, statistics + K + K * d + k * d
            )
