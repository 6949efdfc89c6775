"""Exact posteriors of blocks of samples that are compared with some of the components.

The parameters of these are copied, so that the steps of a block are those of ``passes.pyx``. A copy
takes a fraction of the time in which they are compared with all samples of the block.
"""


cdef void _copy(
    const work* values, size_t size, const int64_t* some, size_t count, work* out
) noexcept nogil:
    """Copy the numbers of some components, so many each.

    values, some  IN
    out           OUT
    """
    cdef const work* source
    cdef work* target
    cdef size_t a, i
    for a in range(count):
        source = values + some[a] * size
        target = out + a * size
        for i in range(size):
            target[i] = source[i]


cdef void _copy_interleaved(
    const work* values, size_t height, const int64_t* some, size_t count, work* out
) noexcept nogil:
    """Copy the numbers of some components, of which four are interleaved; behind the last zeros.

    values, some  IN
    out           OUT
    """
    cdef const work* source
    cdef work* target
    cdef size_t a, j, k
    for a in range(up_to_four(count)):
        target = out + a // 4 * 4 * height + a % 4
        if a < count:
            k = some[a]
            source = values + k // 4 * 4 * height + k % 4
            for j in range(height):
                target[j * 4] = source[j * 4]
        else:
            for j in range(height):
                target[j * 4] = 0.0


cdef size_t _numbers_each(const Packed* packed) noexcept nogil:
    """Return how many numbers of the factors belong to one component.

    packed  IN
    """
    cdef size_t d = packed.n_features
    if packed.squares != NULL:
        return up_to_four(d)
    return d * (d + 1) // 2 if packed.kind == FULL else d


cdef void _take_some(
    const Packed* packed, const int64_t* some, size_t count, work* memory, Packed* taken
) noexcept nogil:
    """Write some of the components, as they are packed.

    packed, some   IN
    memory, taken  OUT  workspace
    """
    cdef size_t d = packed.n_features
    cdef size_t size = _numbers_each(packed)
    cdef size_t padded = up_to_four(count)
    cdef work* shifts = memory + padded
    cdef work* factors = shifts + padded * d
    cdef work* squares = factors + padded * size
    taken[0] = packed[0]
    taken.n_components = count
    taken.coefficients = memory
    taken.shifts = shifts
    taken.factors = factors
    _copy_interleaved(packed.coefficients, 1, some, count, memory)
    if packed.squares != NULL:
        taken.squares = squares
        _copy_interleaved(packed.squares, 1, some, count, squares)
        _copy_interleaved(packed.shifts, 1, some, count, shifts)
        _copy_interleaved(packed.factors, size, some, count, factors)
    else:
        _copy(packed.shifts, d, some, count, shifts)
        _copy(packed.factors, size, some, count, factors)


cdef void _listed_block(
    const Samples* X, const Packed* packed, const int64_t* some, size_t n_some, size_t first,
    size_t count, const Scratch* scratch, work* memory, const Outputs* out
) noexcept nogil:
    """Evaluate the block that begins with row ``first``.

    X, packed, some  IN
    scratch, memory  OUT  workspace
    out              OUT
    """
    cdef size_t b
    cdef Packed taken
    _take_some(packed, some, n_some, memory, &taken)
    load_block(X, first, count, &taken, scratch)
    block_log_prob(&taken, scratch, CUT)
    find_best(scratch.values, n_some, scratch.share, scratch.extra)
    for b in range(count):
        out.labels[first + b] = some[<size_t> scratch.extra[b]]
    normalize_block(scratch, n_some, packed.offset, CUT)
    for b in range(count):
        out.log_prob_norm[first + b] = scratch.norm[b]


cdef size_t _most(const int64_t* edges, size_t n_blocks) noexcept nogil:
    """Return the length of the longest list.

    edges  IN
    """
    cdef size_t most = 0
    cdef size_t t
    for t in range(n_blocks):
        most = max(most, <size_t> (edges[t + 1] - edges[t]))
    return most


cdef void _listed_slot(
    const Samples* X, const Packed* packed, const int64_t* edges, const int64_t* listed,
    size_t start, size_t stop, size_t n_samples, size_t most, double* memory, const Outputs* out
) noexcept nogil:
    """Evaluate the blocks start to stop.

    X, packed, edges, listed  IN
    memory                    OUT  workspace; the scratch takes what ``most`` components need
    out                       OUT
    """
    cdef size_t w
    cdef Scratch scratch
    cdef size_t used = lay_out_scratch(memory, most, packed.n_features, False, &scratch)
    for w in range(start, stop):
        _listed_block(
            X, packed, listed + edges[w], edges[w + 1] - edges[w], w * BLOCK,
            min(BLOCK, n_samples - w * BLOCK), &scratch, <work*> (<char*> memory + used), out
        )


def posterior_listed(X, packed, edges, listed, slots, log_prob_norm, labels, memory):
    """Run ``_listed_slot`` for every slot; slots are ranges of blocks."""
    cdef Samples samples = _samples(X)
    cdef Packed components = _packed(packed)
    cdef Outputs out
    cdef const int64_t* edge = <const int64_t*> _address(edges)
    cdef const int64_t* some = <const int64_t*> _address(listed)
    cdef const int64_t* ranges = <const int64_t*> _address(slots)
    cdef double* own = <double*> _address(memory)
    cdef size_t scratch = memory.shape[1]
    cdef size_t n = len(labels)
    cdef size_t most = _most(edge, len(edges) - 1)
    cdef int n_threads = memory.shape[0]
    cdef Py_ssize_t t, n_slots = len(slots) - 1
    out.log_prob_norm = <double*> _address(log_prob_norm)
    out.labels = <int64_t*> _address(labels)
    with nogil:
        if n_threads == 1:
            for t in range(n_slots):
                _listed_slot(
                    &samples, &components, edge, some, ranges[t], ranges[t + 1], n, most, own, &out
                )
        else:
            for t in prange(n_slots, schedule="dynamic", num_threads=n_threads):
                _listed_slot(
                    &samples, &components, edge, some, ranges[t], ranges[t + 1], n, most,
                    own + threadid() * scratch, &out
                )
