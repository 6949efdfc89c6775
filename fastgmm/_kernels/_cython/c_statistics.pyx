"""Sufficient statistics in memory that a caller of fastgmm.h owns.

A header that says of which model they are, then packed statistics as every pass writes them.
"""

from fastgmm.embed cimport (
    FASTGMM_MISALIGNED, FASTGMM_NULL_POINTER, FASTGMM_OK, FASTGMM_WRONG_STATISTICS,
)


cdef struct Header:
    uint32_t version
    uint32_t covariance_type
    uint64_t n_components
    uint64_t n_features
    uint64_t fingerprint
    # sum of the weights of all points
    double weight


cdef double* packed_sums(void* statistics) noexcept nogil:
    """Return the address of nk, first, second, log-likelihood."""
    return <double*> (<char*> statistics + sizeof(Header))


cdef size_t n_sums(const fastgmm_model* model) noexcept nogil:
    """Return how many numbers packed statistics hold; see layout.statistics_size."""
    cdef size_t d = model.n_features
    cdef size_t K = model.n_components
    cdef size_t kind = model.covariance_type
    return second_start(1 if kind == TIED else K, kind, K, d) + 1 + (
        16 * (up_to_four(d) // 4 * (up_to_four(d) // 4 + 1) // 2) if kind == TIED else 0
    )


cdef int check_statistics(const fastgmm_model* model, const void* statistics) noexcept nogil:
    """Return an error unless these are statistics of the model."""
    cdef const Header* header = <const Header*> statistics
    if statistics == NULL:
        return FASTGMM_NULL_POINTER
    if <size_t> statistics % sizeof(double) != 0:
        return FASTGMM_MISALIGNED
    if (
        header.version != model.version
        or header.covariance_type != model.covariance_type
        or header.n_components != model.n_components
        or header.n_features != model.n_features
        or header.fingerprint != model.fingerprint
    ):
        return FASTGMM_WRONG_STATISTICS
    return FASTGMM_OK


cdef int statistics_size(const fastgmm_model* model, size_t* n_bytes) noexcept nogil:
    cdef int code = check_call(model)
    if code != FASTGMM_OK:
        return code
    if n_bytes == NULL:
        return FASTGMM_NULL_POINTER
    n_bytes[0] = sizeof(Header) + n_sums(model) * sizeof(double)
    return FASTGMM_OK


cdef int statistics_clear(const fastgmm_model* model, void* statistics) noexcept nogil:
    cdef Header* header = <Header*> statistics
    cdef int code = check_call(model)
    cdef double* sums
    cdef size_t i
    if code != FASTGMM_OK:
        return code
    if statistics == NULL:
        return FASTGMM_NULL_POINTER
    if <size_t> statistics % sizeof(double) != 0:
        return FASTGMM_MISALIGNED
    header.version = model.version
    header.covariance_type = model.covariance_type
    header.n_components = model.n_components
    header.n_features = model.n_features
    header.fingerprint = model.fingerprint
    header.weight = 0.0
    sums = packed_sums(statistics)
    for i in range(n_sums(model)):
        sums[i] = 0.0
    return FASTGMM_OK


cdef int statistics_add(
    const fastgmm_model* model, const void* source, void* into
) noexcept nogil:
    cdef int code = check_call(model)
    cdef const double* terms
    cdef double* sums
    cdef size_t i
    if code == FASTGMM_OK:
        code = check_statistics(model, source)
    if code == FASTGMM_OK:
        code = check_statistics(model, into)
    if code != FASTGMM_OK:
        return code
    (<Header*> into).weight += (<const Header*> source).weight
    terms = packed_sums(<void*> source)
    sums = packed_sums(into)
    for i in range(n_sums(model)):
        sums[i] += terms[i]
    return FASTGMM_OK


cdef void _read_matrix(const double* tiles, size_t d, double* out) noexcept nogil:
    """Write a symmetric matrix, given by the lower triangle of its 4 x 4 tiles.

    tiles  IN
    out    OUT
    """
    cdef size_t i, j, row
    cdef double value
    for i in range(d):
        row = i // 4
        for j in range(i + 1):
            value = tiles[(row * (row + 1) // 2 + j // 4) * 16 + i % 4 * 4 + j % 4]
            out[i * d + j] = value
            out[j * d + i] = value


cdef void _read_second(
    const fastgmm_model* model, const double* sums, double* out
) noexcept nogil:
    """Write second moments in the shape of the covariances.

    sums  IN
    out   OUT
    """
    cdef size_t d = model.n_features
    cdef size_t K = model.n_components
    cdef size_t kind = model.covariance_type
    cdef const double* second
    cdef size_t k, j
    for k in range(1 if kind == TIED else K):
        second = sums + second_start(k, kind, K, d)
        if kind == FULL or kind == TIED:
            _read_matrix(second, d, out + k * d * d)
        elif kind == DIAG:
            for j in range(d):
                out[k * d + j] = second[j]
        else:
            out[k] = 0.0
            for j in range(d):
                out[k] += second[j]


cdef int statistics_read(
    const fastgmm_model* model, const void* statistics, double* nk, double* first, double* second,
    double* log_likelihood, double* weight
) noexcept nogil:
    cdef int code = check_call(model)
    cdef const double* sums
    cdef size_t K, k
    if code == FASTGMM_OK:
        code = check_statistics(model, statistics)
    if code != FASTGMM_OK:
        return code
    K = model.n_components
    sums = packed_sums(<void*> statistics)
    if nk != NULL:
        for k in range(K):
            nk[k] = sums[k]
    if first != NULL:
        for k in range(K * model.n_features):
            first[k] = sums[K + k]
    if second != NULL:
        _read_second(model, sums, second)
    if log_likelihood != NULL:
        log_likelihood[0] = sums[n_sums(model) - 1]
    if weight != NULL:
        weight[0] = (<const Header*> statistics).weight
    return FASTGMM_OK
