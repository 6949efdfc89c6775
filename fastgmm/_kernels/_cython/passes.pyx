# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, freethreading_compatible=True
"""Parallel passes over the samples: slots are divided into blocks, threads take slots.

A slot is a fixed range of rows with statistics of its own. The slots are merged in their order, so
the number of threads changes no bit. Each thread has its own scratch, which carries nothing from
slot to slot.
"""

from cython.parallel cimport prange, threadid

include "layout.pyx"
include "block.pyx"
include "selection.pyx"
include "scratch.pyx"
include "load.pyx"
include "posterior.pyx"
include "triangle.pyx"
include "partial_distance.pyx"
include "mahalanobis.pyx"
include "waiting.pyx"
include "moments.pyx"
include "kept_distances.pyx"
include "cpu.pyx"


cdef extern from *:
    """
    #ifdef _OPENMP
    #define FASTGMM_OPENMP _OPENMP
    #else
    #define FASTGMM_OPENMP 0
    #endif
    """
    const int OPENMP_DATE "FASTGMM_OPENMP"


cdef bint _is_safe(size_t count, const Packed* packed, const Scratch* scratch) noexcept nogil:
    """Return whether the type ``work`` can represent this block.

    packed, scratch  IN
    """
    return 0 == count_unsafe(
        scratch.maximum, scratch.weight, count, packed.lowest, packed.smallest_weight,
        packed.largest_weight
    )


cdef void _accumulate_slot(
    const Samples* X, const Weights* weights, const Packed* packed, const Kept* kept,
    size_t start, size_t stop, uint8_t* todo, double* memory, double* statistics, size_t size
) noexcept nogil:
    """Write the statistics of those blocks of the rows start to stop that are still to do.

    If ``packed`` has coefficients, the responsibilities are the posterior: distances, normalisation
    and moments of a block follow one another while the block is in cache. If it has only centres,
    the responsibilities are given. A block that ``work`` cannot represent stays to do.

    X, sample_weight, resp, packed  IN
    kept                            IN OUT  see kept_distances.pyx
    todo                            IN OUT  an element for each block, 0 once it has been added
    memory                          OUT     workspace
    statistics                      OUT
    """
    cdef size_t K = packed.n_components
    # moments of one or two features are sums over all samples
    cdef double cut = CUT if packed.n_features > 2 else INFINITE
    cdef bint is_given = packed.coefficients == NULL
    cdef bint is_listed = keeps_distances(packed) and kept.upper != NULL
    cdef size_t i, first, count, o, unit
    cdef Scratch scratch
    lay_out_scratch(memory, K, packed.n_features, True, &scratch)
    for o in range(size):
        statistics[o] = 0.0
    for o in range(STRIDE):
        scratch.norm[o] = 0.0
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        if todo[first // SMALLEST_BLOCK] == 0:
            continue
        count = min(BLOCK, stop - first)
        load_weight(weights, first, count, scratch.weight)
        if is_listed:
            listed_posterior(packed, X, &scratch, kept, first, count, cut)
        else:
            load_block(X, first, count, packed, &scratch)
            if is_given:
                load_resp(weights, first, count, K, &scratch)
            else:
                written_log_prob(packed, &scratch, kept, first, cut)
                normalize_block(&scratch, K, packed.offset, cut)
        if not is_given and not _is_safe(count, packed, &scratch):
            continue
        for unit in range(first // SMALLEST_BLOCK, (first + count - 1) // SMALLEST_BLOCK + 1):
            todo[unit] = 0
        statistics[size - 1] += share_out(
            scratch.weight, scratch.norm, scratch.scale, count, scratch.share
        )
        if is_listed:
            add_listed_moments(count, packed, &scratch, statistics)
        else:
            add_block_moments(count, packed, &scratch, statistics)
    flush_all(packed, &scratch, statistics)


cdef void _merge_chunk(
    const double* slots, size_t n_slots, size_t size, size_t chunk, double* out
) noexcept nogil:
    """Add the slots, in their order, to one chunk of the sums.

    slots  IN
    out    ADDS TO
    """
    cdef size_t start = chunk * MERGE_CHUNK
    cdef size_t stop = min(start + MERGE_CHUNK, size)
    cdef size_t t, i
    for t in range(n_slots):
        for i in range(start, stop):
            out[i] += slots[t * size + i]


cdef struct Outputs:
    # NULL where an output is not wanted; rows are contiguous
    double* log_prob
    double* log_prob_norm
    double* resp
    int64_t* labels


cdef void _store_rows(
    const work* values, size_t start, size_t count, size_t n_components, double* out
) noexcept nogil:
    """Write the values of a block as rows.

    values  IN
    out     OUT
    """
    cdef size_t b, k
    for b in range(count):
        for k in range(n_components):
            out[(start + b) * n_components + k] = values[k * STRIDE + b]


cdef void _store_scaled_rows(
    const work* values, const double* scale, size_t start, size_t count, size_t n_components,
    double* out
) noexcept nogil:
    """Write the scaled values of a block as rows.

    values, scale  IN
    out            OUT
    """
    cdef size_t b, k
    for b in range(count):
        for k in range(n_components):
            out[(start + b) * n_components + k] = values[k * STRIDE + b] * scale[b]


cdef void _posterior_slot(
    const Samples* X, const Packed* packed, size_t start, size_t stop, double* memory,
    const Outputs* out
) noexcept nogil:
    """Evaluate the rows start to stop.

    X, packed                             IN
    memory                                OUT  workspace
    """
    cdef size_t K = packed.n_components
    cdef double cut = CUT if out.log_prob == NULL and out.resp == NULL else INFINITE
    cdef size_t i, first, count, b
    cdef Scratch scratch
    lay_out_scratch(memory, K, packed.n_features, False, &scratch)
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        count = min(BLOCK, stop - first)
        load_block(X, first, count, packed, &scratch)
        block_log_prob(packed, &scratch, cut)
        if out.log_prob != NULL:
            _store_rows(scratch.values, first, count, K, out.log_prob)
        if out.labels != NULL:
            find_best(scratch.values, K, scratch.share, scratch.extra)
            for b in range(count):
                out.labels[first + b] = <int64_t> scratch.extra[b]
        if out.log_prob_norm == NULL and out.resp == NULL:
            continue
        normalize_block(&scratch, K, packed.offset, cut)
        if out.log_prob_norm != NULL:
            for b in range(count):
                out.log_prob_norm[first + b] = scratch.norm[b]
        if out.resp != NULL:
            _store_scaled_rows(scratch.values, scratch.scale, first, count, K, out.resp)


cdef void _normalize_slot(
    double* log_prob, double* log_prob_norm, size_t n_components, size_t start, size_t stop,
    double* memory
) noexcept nogil:
    """Normalise the rows start to stop of (n, K) log-probabilities in place.

    log_prob       IN OUT
    log_prob_norm  OUT
    memory         OUT  workspace
    """
    cdef size_t i, first, count, b, k, o
    cdef Scratch scratch
    lay_out_scratch(memory, n_components, 1, False, &scratch)
    for o in range(up_to_four(n_components) * STRIDE):
        scratch.values[o] = 0.0
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        count = min(BLOCK, stop - first)
        for k in range(n_components):
            for b in range(count):
                scratch.values[k * STRIDE + b] = <work> log_prob[(first + b) * n_components + k]
        find_maximum(scratch.values, n_components, scratch.maximum)
        normalize_block(&scratch, n_components, 0.0, INFINITE)
        for b in range(count):
            log_prob_norm[first + b] = scratch.norm[b]
        _store_scaled_rows(scratch.values, scratch.scale, first, count, n_components, log_prob)


def accumulate(X, sample_weight, resp, packed, kept, bounds, todo, slots, out, memory):
    """Run ``_accumulate_slot`` for every slot, on as many threads as memory has rows; merge."""
    cdef Samples samples = _samples(X)
    cdef Packed components = _packed(packed)
    cdef Kept distances = _kept(kept)
    cdef Weights weights
    cdef Py_ssize_t n_slots = slots.shape[0]
    cdef Py_ssize_t size = slots.shape[1]
    cdef Py_ssize_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef const int64_t* edges = <const int64_t*> _address(bounds)
    cdef uint8_t* open_blocks = <uint8_t*> _address(todo)
    cdef double* statistics = <double*> _address(slots)
    cdef double* sums = <double*> _address(out)
    cdef double* own = <double*> _address(memory)
    cdef Py_ssize_t n_chunks = (size + MERGE_CHUNK - 1) // MERGE_CHUNK
    cdef Py_ssize_t t
    weights.data = <const char*> _address(sample_weight)
    weights.row = sample_weight.strides[0]
    weights.resp = <const char*> _address(resp)
    weights.resp_row, weights.resp_column = resp.strides
    with nogil:
        if n_threads == 1:  # in a forked child no OpenMP function may be entered
            for t in range(n_slots):
                _accumulate_slot(
                    &samples, &weights, &components, &distances, edges[t], edges[t + 1],
                    open_blocks, own, statistics + t * size, size
                )
            for t in range(n_chunks):
                _merge_chunk(statistics, n_slots, size, t, sums)
        else:
            for t in prange(n_slots, schedule="guided", num_threads=n_threads):
                _accumulate_slot(
                    &samples, &weights, &components, &distances, edges[t], edges[t + 1],
                    open_blocks, own + threadid() * scratch, statistics + t * size, size
                )
            for t in prange(n_chunks, num_threads=n_threads):
                _merge_chunk(statistics, n_slots, size, t, sums)


def posterior(X, packed, bounds, log_prob, log_prob_norm, resp, labels, memory):
    """Run ``_posterior_slot`` for every slot; outputs of length 0 are not wanted."""
    cdef Samples samples = _samples(X)
    cdef Packed components = _packed(packed)
    cdef Outputs out
    cdef Py_ssize_t n_slots = bounds.size - 1
    cdef Py_ssize_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef const int64_t* edges = <const int64_t*> _address(bounds)
    cdef double* own = <double*> _address(memory)
    cdef Py_ssize_t t
    out.log_prob = <double*> _address(log_prob)
    out.log_prob_norm = <double*> _address(log_prob_norm)
    out.resp = <double*> _address(resp)
    out.labels = <int64_t*> _address(labels)
    with nogil:
        if n_threads == 1:
            for t in range(n_slots):
                _posterior_slot(&samples, &components, edges[t], edges[t + 1], own, &out)
        else:
            for t in prange(n_slots, schedule="guided", num_threads=n_threads):
                _posterior_slot(
                    &samples, &components, edges[t], edges[t + 1], own + threadid() * scratch,
                    &out
                )


def normalize(log_prob, log_prob_norm, bounds, memory):
    """Run ``_normalize_slot`` for every slot."""
    cdef Py_ssize_t n_slots = bounds.size - 1
    cdef size_t n_components = log_prob.shape[1]
    cdef Py_ssize_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef const int64_t* edges = <const int64_t*> _address(bounds)
    cdef double* values = <double*> _address(log_prob)
    cdef double* norm = <double*> _address(log_prob_norm)
    cdef double* own = <double*> _address(memory)
    cdef Py_ssize_t t
    with nogil:
        if n_threads == 1:
            for t in range(n_slots):
                _normalize_slot(values, norm, n_components, edges[t], edges[t + 1], own)
        else:
            for t in prange(n_slots, schedule="guided", num_threads=n_threads):
                _normalize_slot(
                    values, norm, n_components, edges[t], edges[t + 1], own + threadid() * scratch
                )


def constants():
    """Return constants that must equal layout.py, and the OpenMP version (0: serial)."""
    return {
        "BLOCK": BLOCK, "STRIDE": STRIDE, "CUT": CUT, "LARGEST_CODE": LARGEST, "MARGIN": MARGIN,
        "openmp": OPENMP_DATE
    }


include "regression.pyx"
include "observed.pyx"
include "incomplete.pyx"
include "padded.pyx"
include "candidates.pyx"
include "listed.pyx"
include "boxes.pyx"
include "arguments.pyx"
include "matrices.pyx"
include "tree.pyx"
include "groups.pyx"
include "cholesky.pyx"
include "peak.pyx"
include "box_muller.pyx"
include "philox.pyx"
include "chains.pyx"
include "mean_field.pyx"
include "c_api.pyx"
