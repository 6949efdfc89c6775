"""The memory in which one thread works on a block."""

cdef struct Scratch:
    work* rows
    work* block
    # d zeros
    work* zeros
    # gathered samples, in the layout of block
    work* gathered
    work* whitened
    work* values
    # one additional row
    work* extra
    work* maximum
    work* threshold
    # see kept_distances.pyx
    float* bound
    work* share
    double* norm
    double* scale
    double* weight
    # see selection.pyx
    uint64_t* words
    uint64_t* index
    # see kept_distances.pyx
    uint16_t* samples
    uint64_t* n_listed
    # see partial_distance.pyx
    uint64_t* pause
    # samples that wait to be added, up to capacity for each component
    size_t capacity
    uint64_t* waiting
    work* waiting_weight
    # see waiting.pyx
    work* waiting_block
    work* w
    work* z
    work* wz


cdef struct Memory:
    # the rest of the workspace of one thread, or NULL; how many bytes have been taken
    char* start
    size_t taken


cdef void* _take(Memory* memory, size_t size) noexcept nogil:
    """Take so many bytes, rounded up to whole cache lines.

    memory  IN OUT
    """
    cdef void* start = memory.start
    size = (size + 63) // 64 * 64
    memory.taken += size
    if memory.start != NULL:
        memory.start += size
    return start


cdef work* _take_rows(Memory* memory, size_t used, size_t count) noexcept nogil:
    """Take rows of a block; rows that are not used hold zeros.

    memory  IN OUT
    """
    cdef work* rows = <work*> _take(memory, count * STRIDE * sizeof(work))
    cdef size_t i
    if rows != NULL:
        for i in range(used, count):
            fill(rows + i * STRIDE, 0.0)
    return rows


cdef size_t lay_out_scratch(
    double* start, size_t n_components, size_t d, bint with_moments, Scratch* scratch
) noexcept nogil:
    """Divide the memory of one thread (NULL: only measure); return how many bytes it needs.

    memory  OUT  as many numbers as ``scratch_size`` returns; one number: measure alone
    like    IN   an array of the type of the packed components
    """
    cdef Memory own
    cdef Memory* memory = &own
    cdef size_t rows = up_to_four(d)
    cdef size_t blocks, k, j
    own.taken = 0
    own.start = <char*> start
    if start != NULL:
        own.start += (64 - <size_t> start % 64) % 64
    scratch.block = _take_rows(memory, d, rows)
    scratch.zeros = <work*> _take(memory, d * sizeof(work))
    scratch.gathered = _take_rows(memory, d, rows)
    scratch.whitened = _take_rows(memory, d, rows)
    scratch.values = <work*> _take(memory, up_to_four(n_components) * STRIDE * sizeof(work))
    scratch.extra = <work*> _take(memory, STRIDE * sizeof(work))
    scratch.maximum = <work*> _take(memory, STRIDE * sizeof(work))
    scratch.threshold = <work*> _take(memory, STRIDE * sizeof(work))
    scratch.bound = <float*> _take(memory, BLOCK * sizeof(float))
    scratch.share = <work*> _take(memory, STRIDE * sizeof(work))
    scratch.norm = <double*> _take(memory, STRIDE * sizeof(double))
    scratch.scale = <double*> _take(memory, STRIDE * sizeof(double))
    scratch.weight = <double*> _take(memory, STRIDE * sizeof(double))
    scratch.words = <uint64_t*> _take(memory, n_components * WORDS * sizeof(uint64_t))
    scratch.index = <uint64_t*> _take(memory, (BLOCK + 16) * sizeof(uint64_t))
    scratch.samples = <uint16_t*> _take(memory, n_components * BLOCK * sizeof(uint16_t))
    scratch.n_listed = <uint64_t*> _take(memory, n_components * sizeof(uint64_t))
    scratch.pause = <uint64_t*> _take(memory, sizeof(uint64_t))
    if start != NULL:
        scratch.pause[0] = 0
        for j in range(d):
            scratch.zeros[j] = 0.0
        for k in range(BLOCK + 16):
            scratch.index[k] = 0
    if with_moments:
        scratch.capacity = waiting_capacity(n_components, d)
        blocks = count_blocks(n_components, scratch.capacity)
        scratch.w = <work*> _take(memory, STRIDE * sizeof(work))
        scratch.z = _take_rows(memory, d, rows)
        scratch.wz = _take_rows(memory, d, rows)
        scratch.waiting_weight = <work*> _take(
            memory, n_components * scratch.capacity * sizeof(work)
        )
        scratch.waiting_block = <work*> _take(memory, blocks * rows * STRIDE * sizeof(work))
        scratch.waiting = <uint64_t*> _take(memory, n_components * sizeof(uint64_t))
        if start != NULL:
            for k in range(n_components):
                scratch.waiting[k] = 0
            for k in range(blocks):
                for j in range(d, rows):
                    fill(scratch.waiting_block + (k * rows + j) * STRIDE, 0.0)
    scratch.rows = <work*> _take(memory, BLOCK * d * sizeof(work))
    return own.taken + 64


def scratch_size(size_t n_components, size_t d, bint with_moments):
    """Return how many numbers of 8 bytes one thread needs for scratch."""
    cdef Scratch scratch
    return lay_out_scratch(NULL, n_components, d, with_moments, &scratch) // 8
