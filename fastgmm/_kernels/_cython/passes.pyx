# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, freethreading_compatible=True
"""Parallel passes over the samples: blocks within slots, slots over threads.

A slot is a fixed range of rows with statistics of its own, merged in order: the number of
threads changes no bit. Scratch belongs to a thread and carries nothing from slot to slot.
"""

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cython.parallel cimport prange, threadid

include "layout.pyx"
include "block.pyx"
include "triangle.pyx"
include "mahalanobis.pyx"
include "posterior.pyx"
include "moments.pyx"
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


ctypedef fused real:
    const float
    const double


cdef struct Samples:
    # the address of X and its strides in bytes
    const char* data
    Py_ssize_t row
    Py_ssize_t column
    bint is_float32


cdef void _load_rows(
    real* tag, const Samples* X, size_t start, size_t count, size_t d,
    const work* restrict origin, work* restrict rows
) noexcept nogil:
    cdef size_t b, j
    cdef const char* row
    if X.column == <Py_ssize_t> sizeof(real):
        for b in range(count):
            row = X.data + <Py_ssize_t> (start + b) * X.row
            for j in range(d):
                rows[b * d + j] = (<real*> row)[j] - origin[j]
        return
    for b in range(count):
        row = X.data + <Py_ssize_t> (start + b) * X.row
        for j in range(d):
            rows[b * d + j] = (<real*> (row + <Py_ssize_t> j * X.column))[0] - origin[j]


cdef void _load_columns(
    real* tag, const Samples* X, size_t start, size_t count, size_t d,
    const work* restrict origin, work* restrict block
) noexcept nogil:
    cdef size_t b, j
    cdef const char* column
    for j in range(d):
        column = X.data + <Py_ssize_t> start * X.row + <Py_ssize_t> j * X.column
        for b in range(count):
            block[j * STRIDE + b] = (<real*> (column + <Py_ssize_t> b * X.row))[0] - origin[j]
        for b in range(count, BLOCK):
            block[j * STRIDE + b] = 0.0


cdef void _load(
    const Samples* X, size_t start, size_t count, const Packed* packed, const Scratch* scratch
) noexcept nogil:
    """Copy ``count`` rows of X about the origin, as they are and transposed; the rest is zero.

    One or two features, which the moments take from the block alone, are not copied as rows.
    """
    cdef size_t d = packed.n_features
    cdef const work* origin = packed.origin
    cdef size_t o
    if d <= 2:
        if X.is_float32:
            _load_columns(<const float*> NULL, X, start, count, d, origin, scratch.block)
        else:
            _load_columns(<const double*> NULL, X, start, count, d, origin, scratch.block)
        return
    if X.is_float32:
        _load_rows(<const float*> NULL, X, start, count, d, origin, scratch.rows)
    else:
        _load_rows(<const double*> NULL, X, start, count, d, origin, scratch.rows)
    for o in range(count * d, BLOCK * d):
        scratch.rows[o] = 0.0
    transpose(scratch.rows, d, BLOCK, scratch.block)


cdef struct Memory:
    # what is left of the workspace of one thread, or NULL, and how many bytes have been taken
    char* start
    size_t taken


cdef void* _take(Memory* memory, size_t size) noexcept nogil:
    """Take so many bytes, rounded up to whole cache lines."""
    cdef void* start = memory.start
    size = (size + 63) // 64 * 64
    memory.taken += size
    if memory.start != NULL:
        memory.start += size
    return start


cdef work* _take_rows(Memory* memory, size_t used, size_t count) noexcept nogil:
    """Take rows of a block; those that are not used hold zeros."""
    cdef work* rows = <work*> _take(memory, count * STRIDE * sizeof(work))
    cdef size_t i
    if rows != NULL:
        for i in range(used, count):
            fill(rows + i * STRIDE, 0.0)
    return rows


cdef size_t _lay_out(
    double* start, size_t n_components, size_t d, bint with_moments, Scratch* scratch
) noexcept nogil:
    """Divide the memory of one thread, if there is any; return how many bytes it needs."""
    cdef Memory own
    cdef Memory* memory = &own
    cdef size_t rows = up_to_four(d)
    cdef size_t waiting, k
    own.taken = 0
    own.start = <char*> start
    if start != NULL:
        own.start += (64 - <size_t> start % 64) % 64
    scratch.block = _take_rows(memory, d, rows)
    scratch.whitened = _take_rows(memory, d, rows)
    scratch.values = <work*> _take(memory, up_to_four(n_components) * STRIDE * sizeof(work))
    scratch.maximum = <work*> _take(memory, STRIDE * sizeof(work))
    scratch.share = <work*> _take(memory, STRIDE * sizeof(work))
    scratch.norm = <double*> _take(memory, STRIDE * sizeof(double))
    scratch.scale = <double*> _take(memory, STRIDE * sizeof(double))
    scratch.weight = <double*> _take(memory, STRIDE * sizeof(double))
    if with_moments:
        scratch.capacity = waiting_capacity(n_components, d)
        waiting = n_components * scratch.capacity
        scratch.w = <work*> _take(memory, STRIDE * sizeof(work))
        scratch.z = _take_rows(memory, d, rows)
        scratch.wz = _take_rows(memory, d, rows)
        scratch.index = <uint64_t*> _take(memory, (BLOCK + 8) * sizeof(uint64_t))
        scratch.waiting_weight = <work*> _take(memory, waiting * sizeof(work))
        scratch.waiting_rows = <work*> _take(memory, waiting * d * sizeof(work))
        scratch.waiting = <uint64_t*> _take(memory, n_components * sizeof(uint64_t))
        if start != NULL:
            for k in range(n_components):
                scratch.waiting[k] = 0
    scratch.rows = <work*> _take(memory, BLOCK * d * sizeof(work))
    return own.taken + 64


def scratch_size(size_t n_components, size_t d, bint with_moments):
    """Return how many numbers of 8 bytes one thread needs for scratch."""
    cdef Scratch scratch
    return _lay_out(NULL, n_components, d, with_moments, &scratch) // 8


cdef struct Weights:
    const char* data
    Py_ssize_t row
    # given responsibilities
    const char* resp
    Py_ssize_t resp_row
    Py_ssize_t resp_column


cdef void _load_weight(
    const Weights* weights, size_t start, size_t count, double* weight
) noexcept nogil:
    """Copy the weights of a block; they are zero where there is no sample."""
    cdef const char* first = weights.data + <Py_ssize_t> start * weights.row
    cdef size_t b
    for b in range(count):
        weight[b] = (<const double*> (first + <Py_ssize_t> b * weights.row))[0]
    for b in range(count, STRIDE):
        weight[b] = 0.0


cdef void _load_resp(
    const Weights* weights, size_t start, size_t count, size_t n_components, work* block,
    double* scale
) noexcept nogil:
    """Copy the block's given responsibilities, which are already normalised."""
    cdef size_t k, b
    cdef const char* column
    for b in range(BLOCK):
        scale[b] = 1.0
    for k in range(n_components):
        column = weights.resp + <Py_ssize_t> start * weights.resp_row
        column += <Py_ssize_t> k * weights.resp_column
        for b in range(count):
            block[k * STRIDE + b] = <work> (
                <const double*> (column + <Py_ssize_t> b * weights.resp_row)
            )[0]
        for b in range(count, BLOCK):
            block[k * STRIDE + b] = 0.0


cdef bint _is_safe(size_t count, const Packed* packed, const Scratch* scratch) noexcept nogil:
    """Return whether the type of the blocks can represent this one."""
    return 0 == count_unsafe(
        scratch.maximum, scratch.weight, count, packed.lowest, packed.smallest_weight,
        packed.largest_weight
    )


cdef void _accumulate_slot(
    const Samples* X, const Weights* weights, const Packed* packed, size_t start, size_t stop,
    uint8_t* todo, double* memory, double* statistics, size_t size
) noexcept nogil:
    """Write the statistics of those blocks of the rows start to stop that are still to do.

    Where ``packed`` has coefficients the responsibilities are the posterior: distances,
    normalisation and moments of a block follow one another while it is in cache. Where it has
    centres alone they are given. A block that its type cannot represent is left to do.
    """
    cdef size_t K = packed.n_components
    cdef size_t i, first, count, o, unit
    cdef Scratch scratch
    _lay_out(memory, K, packed.n_features, True, &scratch)
    for o in range(size):
        statistics[o] = 0.0
    for o in range(STRIDE):
        scratch.norm[o] = 0.0
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        if todo[first // SMALLEST_BLOCK] == 0:
            continue
        count = min(BLOCK, stop - first)
        _load(X, first, count, packed, &scratch)
        _load_weight(weights, first, count, scratch.weight)
        if packed.coefficients == NULL:
            _load_resp(weights, first, count, K, scratch.values, scratch.scale)
        else:
            block_log_prob(
                scratch.block, packed, scratch.whitened, scratch.maximum, scratch.values
            )
            normalize_block(
                scratch.values, K, packed.offset, scratch.maximum, scratch.share, scratch.norm,
                scratch.scale
            )
            if not _is_safe(count, packed, &scratch):
                continue
        for unit in range(first // SMALLEST_BLOCK, (first + count - 1) // SMALLEST_BLOCK + 1):
            todo[unit] = 0
        statistics[size - 1] += share_out(
            scratch.weight, scratch.norm, scratch.scale, scratch.share
        )
        add_block_moments(count, packed, &scratch, statistics)
    flush_all(packed, &scratch, statistics)


cdef struct Outputs:
    # NULL where an output is not wanted; rows are contiguous
    double* log_prob
    double* log_prob_norm
    double* resp
    int64_t* labels


cdef void _store_rows(
    const work* values, size_t start, size_t count, size_t n_components, double* out
) noexcept nogil:
    cdef size_t b, k
    for b in range(count):
        for k in range(n_components):
            out[(start + b) * n_components + k] = values[k * STRIDE + b]


cdef void _store_scaled_rows(
    const work* values, const double* scale, size_t start, size_t count, size_t n_components,
    double* out
) noexcept nogil:
    cdef size_t b, k
    for b in range(count):
        for k in range(n_components):
            out[(start + b) * n_components + k] = values[k * STRIDE + b] * scale[b]


cdef void _posterior_slot(
    const Samples* X, const Packed* packed, size_t start, size_t stop, double* memory,
    const Outputs* out
) noexcept nogil:
    """Evaluate the rows start to stop."""
    cdef size_t K = packed.n_components
    cdef size_t i, first, count, b
    cdef Scratch scratch
    _lay_out(memory, K, packed.n_features, False, &scratch)
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        count = min(BLOCK, stop - first)
        _load(X, first, count, packed, &scratch)
        block_log_prob(scratch.block, packed, scratch.whitened, scratch.maximum, scratch.values)
        if out.log_prob != NULL:
            _store_rows(scratch.values, first, count, K, out.log_prob)
        if out.labels != NULL:
            for b in range(count):
                out.labels[first + b] = <int64_t> best_component(scratch.values, K, b)
        if out.log_prob_norm == NULL and out.resp == NULL:
            continue
        normalize_block(
            scratch.values, K, packed.offset, scratch.maximum, scratch.share, scratch.norm,
            scratch.scale
        )
        if out.log_prob_norm != NULL:
            for b in range(count):
                out.log_prob_norm[first + b] = scratch.norm[b]
        if out.resp != NULL:
            _store_scaled_rows(scratch.values, scratch.scale, first, count, K, out.resp)


cdef void _normalize_slot(
    double* log_prob, double* log_prob_norm, size_t n_components, size_t start, size_t stop,
    double* memory
) noexcept nogil:
    """Normalise the rows start to stop of (n, K) log-probabilities in place."""
    cdef size_t i, first, count, b, k, o
    cdef Scratch scratch
    _lay_out(memory, n_components, 1, False, &scratch)
    for o in range(up_to_four(n_components) * STRIDE):
        scratch.values[o] = 0.0
    for i in range((stop - start + BLOCK - 1) // BLOCK):
        first = start + i * BLOCK
        count = min(BLOCK, stop - first)
        for k in range(n_components):
            for b in range(count):
                scratch.values[k * STRIDE + b] = <work> log_prob[(first + b) * n_components + k]
        normalize_block(
            scratch.values, n_components, 0.0, scratch.maximum, scratch.share, scratch.norm,
            scratch.scale
        )
        for b in range(count):
            log_prob_norm[first + b] = scratch.norm[b]
        _store_scaled_rows(scratch.values, scratch.scale, first, count, n_components, log_prob)


cdef void* _address(array) except? NULL:
    """Return where an array's elements begin, NULL if it has none; the caller keeps it alive."""
    cdef Py_buffer view
    cdef void* address
    if array.size == 0:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
    address = view.buf
    PyBuffer_Release(&view)
    return address


cdef Packed _packed(packed) except *:
    cdef Packed result
    if packed.centers.itemsize != sizeof(work):
        raise TypeError(f"components of another type: {packed.centers.dtype}")
    result.kind = packed.kind
    result.n_components = packed.n_components
    result.n_features = packed.n_features
    result.origin = <const work*> _address(packed.origin)
    result.coefficients = <const work*> _address(packed.coefficients)
    result.factors = <const work*> _address(packed.factors)
    result.shifts = <const work*> _address(packed.shifts)
    result.squares = <const work*> _address(packed.squares)
    result.whitener = <const work*> _address(packed.whitener)
    result.centers = <const work*> _address(packed.centers)
    result.offset = packed.offset
    result.lowest = packed.lowest
    result.smallest_weight = packed.smallest_weight
    result.largest_weight = packed.largest_weight
    return result


cdef Samples _samples(X) except *:
    cdef Samples result
    result.data = <const char*> _address(X)
    result.row, result.column = X.strides
    result.is_float32 = X.itemsize == 4
    return result


def accumulate(X, sample_weight, resp, packed, bounds, todo, slots, out, memory):
    """Run ``_accumulate_slot`` for every slot, on as many threads as memory has rows; merge."""
    cdef Samples samples = _samples(X)
    cdef Packed components = _packed(packed)
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
    cdef Py_ssize_t t, i
    weights.data = <const char*> _address(sample_weight)
    weights.row = sample_weight.strides[0]
    weights.resp = <const char*> _address(resp)
    weights.resp_row, weights.resp_column = resp.strides
    with nogil:
        if n_threads == 1:  # in a forked child no OpenMP function may be entered
            for t in range(n_slots):
                _accumulate_slot(
                    &samples, &weights, &components, edges[t], edges[t + 1],
                    open_blocks, own, statistics + t * size, size
                )
        else:
            for t in prange(n_slots, schedule="dynamic", chunksize=1, num_threads=n_threads):
                _accumulate_slot(
                    &samples, &weights, &components, edges[t], edges[t + 1],
                    open_blocks, own + threadid() * scratch, statistics + t * size, size
                )
        for t in range(n_slots):
            for i in range(size):
                sums[i] += statistics[t * size + i]


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
            for t in prange(n_slots, schedule="dynamic", chunksize=1, num_threads=n_threads):
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
            for t in prange(n_slots, schedule="dynamic", chunksize=1, num_threads=n_threads):
                _normalize_slot(
                    values, norm, n_components, edges[t], edges[t + 1], own + threadid() * scratch
                )


def constants():
    """Return what must equal layout.py, and the date of the OpenMP standard (0: serial)."""
    return {"BLOCK": BLOCK, "STRIDE": STRIDE, "openmp": OPENMP_DATE}


include "peak.pyx"
include "box_muller.pyx"
