"""Samples that wait until there are enough of them for long dot products.

The samples of a component wait about its centre, as columns of a block, with their w r. Blocks lie
as those of the scratch do; one holds as many components as have room beside one another.
"""

cdef extern from *:
    """
    void fastgmm_add_products(
        const fastgmm_work*, const fastgmm_work*, size_t, size_t, fastgmm_work*, double*, double*);
    """
    # from sums.pyx
    void add_products "fastgmm_add_products"(
        const work* z, const work* w, size_t d, size_t count, work* wz, double* first,
        double* second) noexcept nogil


cdef size_t waiting_capacity(size_t n_components, size_t d) noexcept nogil:
    """Return how many samples may wait for each component: 4 MiB of numbers in all.

    Blocks take up to 1.8 times as much, as some of their columns stay empty.
    """
    cdef size_t capacity = (<size_t> 1 << 22) // (n_components * d * sizeof(work)) // 16 * 16
    return min(max(capacity, <size_t> 16), BLOCK)


cdef size_t count_blocks(size_t n_components, size_t capacity) noexcept nogil:
    """Return how many blocks hold the samples that wait."""
    cdef size_t beside = STRIDE // capacity
    return (n_components + beside - 1) // beside


cdef work* _waiting_block(size_t k, const Packed* packed, const Scratch* scratch) noexcept nogil:
    """Return the block whose first columns are the samples that wait for component k.

    packed, scratch  IN
    """
    cdef size_t beside = STRIDE // scratch.capacity
    cdef size_t start = k // beside * up_to_four(packed.n_features) * STRIDE
    return scratch.waiting_block + start + k % beside * scratch.capacity


cdef void _flush(
    size_t k, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Add the samples that wait to the sums of component k.

    packed                  IN
    waiting_weight          IN       of the scratch
    waiting, waiting_block  IN OUT   of the scratch
    w, wz                   OUT      of the scratch
    statistics              ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t m = scratch.waiting[k]
    cdef size_t padded = (m + 15) // 16 * 16
    cdef const work* weight = scratch.waiting_weight + k * scratch.capacity
    cdef work* block = _waiting_block(k, packed, scratch)
    cdef double total = 0.0
    cdef size_t a, j
    scratch.waiting[k] = 0
    for a in range(m):
        scratch.w[a] = weight[a]
        total += weight[a]
    statistics[k] += total
    for a in range(m, padded):
        scratch.w[a] = 0.0
    for j in range(d):
        for a in range(m, padded):
            block[j * STRIDE + a] = 0.0
    add_products(
        block, scratch.w, d, padded, scratch.wz, statistics + packed.n_components + k * d,
        statistics + second_start(k, packed.kind, packed.n_components, d)
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
    const work* rows, const work* center, size_t d, const uint64_t* index, size_t count,
    size_t room, work* block
) noexcept nogil:
    """Write listed samples about a centre as columns of a block.

    rows, center, index  IN
    block                OUT
    """
    # what is written beyond the last sample is written again, or set to zero
    cdef size_t fours = up_to_four(count)
    cdef size_t a, j
    cdef const work* row
    if fours > room:
        fours = count // 4 * 4
    gather(rows, center, d, index, fours, block)
    for a in range(fours, count):
        row = rows + index[a] * d
        for j in range(d):
            block[j * STRIDE + a] = row[j] - center[j]


cdef void let_wait(
    size_t selected, size_t k, const Packed* packed, const Scratch* scratch, double* statistics
) noexcept nogil:
    """Let listed samples wait; add those of component k when there is no room for more.

    packed                                  IN
    rows, index, extra                      IN       of the scratch: ``extra`` holds their w r
    waiting, waiting_weight, waiting_block  IN OUT   of the scratch
    w, wz                                   OUT      of the scratch
    statistics                              ADDS TO
    """
    cdef size_t d = packed.n_features
    cdef size_t capacity = scratch.capacity
    cdef work* block = _waiting_block(k, packed, scratch)
    cdef work* weight = scratch.waiting_weight + k * capacity
    cdef size_t s = 0
    cdef size_t first, n, a
    while s < selected:
        first = scratch.waiting[k]
        n = min(selected - s, capacity - first)
        for a in range(n):
            weight[first + a] = scratch.extra[s + a]
        _append(
            scratch.rows, packed.centers + k * d, d, scratch.index + s, n, capacity - first,
            block + first
        )
        s += n
        scratch.waiting[k] = first + n
        if first + n == capacity:
            _flush(k, packed, scratch, statistics)
