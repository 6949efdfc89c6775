"""The samples of a block, their weights and given responsibilities, as the kernels take them."""

ctypedef fused real:
    const float
    const double


cdef struct Samples:
    # the address of X and its strides in bytes
    const char* data
    Py_ssize_t row
    Py_ssize_t column
    bint is_float32


cdef void _copy_rows(
    real* tag, const Samples* X, size_t start, size_t count, size_t d,
    const work* restrict origin, work* restrict rows
) noexcept nogil:
    """Copy rows of X about the origin.

    X, origin  IN
    rows       OUT
    """
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
    """Copy rows of X about the origin, transposed; the rest of the block is zero.

    X, origin  IN
    block      OUT
    """
    cdef size_t b, j
    cdef const char* column
    for j in range(d):
        column = X.data + <Py_ssize_t> start * X.row + <Py_ssize_t> j * X.column
        for b in range(count):
            block[j * STRIDE + b] = (<real*> (column + <Py_ssize_t> b * X.row))[0] - origin[j]
        for b in range(count, BLOCK):
            block[j * STRIDE + b] = 0.0


cdef void load_rows(
    const Samples* X, size_t start, size_t count, const Packed* packed, const Scratch* scratch
) noexcept nogil:
    """Copy ``count`` rows of X about the origin; the rest is zero.

    packed, X  IN
    rows       OUT  of the scratch
    """
    cdef size_t d = packed.n_features
    cdef size_t o
    if X.is_float32:
        _copy_rows(<const float*> NULL, X, start, count, d, packed.origin, scratch.rows)
    else:
        _copy_rows(<const double*> NULL, X, start, count, d, packed.origin, scratch.rows)
    for o in range(count * d, BLOCK * d):
        scratch.rows[o] = 0.0


cdef void load_block(
    const Samples* X, size_t start, size_t count, const Packed* packed, const Scratch* scratch
) noexcept nogil:
    """Copy ``count`` rows of X about the origin, as rows and transposed; the rest is zero.

    With one or two features only the transposed block is written, because the moments do not use
    rows.
    """
    cdef size_t d = packed.n_features
    if d > 2:
        load_rows(X, start, count, packed, scratch)
        transpose(scratch.rows, scratch.zeros, d, BLOCK, scratch.block)
    elif X.is_float32:
        _load_columns(<const float*> NULL, X, start, count, d, packed.origin, scratch.block)
    else:
        _load_columns(<const double*> NULL, X, start, count, d, packed.origin, scratch.block)


cdef struct Weights:
    const char* data
    Py_ssize_t row
    # given responsibilities
    const char* resp
    Py_ssize_t resp_row
    Py_ssize_t resp_column


cdef void load_weight(
    const Weights* weights, size_t start, size_t count, double* weight
) noexcept nogil:
    """Copy the weights of a block; they are zero beyond the last sample.

    sample_weight  IN
    weight         OUT  of the scratch
    """
    cdef const char* first = weights.data + <Py_ssize_t> start * weights.row
    cdef size_t b
    for b in range(count):
        weight[b] = (<const double*> (first + <Py_ssize_t> b * weights.row))[0]
    for b in range(count, STRIDE):
        weight[b] = 0.0


cdef void load_resp(
    const Weights* weights, size_t start, size_t count, size_t n_components,
    const Scratch* scratch
) noexcept nogil:
    """Copy the block's given responsibilities, which are already normalised.

    resp                             IN
    values, words, scale, threshold  OUT  of the scratch
    """
    cdef size_t k, b
    cdef const char* column
    cdef work* values
    fill(scratch.threshold, NEGLIGIBLE)
    for b in range(BLOCK):
        scratch.scale[b] = 1.0
    for k in range(n_components):
        values = scratch.values + k * STRIDE
        column = weights.resp + <Py_ssize_t> start * weights.resp_row
        column += <Py_ssize_t> k * weights.resp_column
        for b in range(count):
            values[b] = <work> (<const double*> (column + <Py_ssize_t> b * weights.resp_row))[0]
        for b in range(count, BLOCK):
            values[b] = 0.0
        select(values, 0.0, scratch.threshold, scratch.words + k * WORDS, 0)
