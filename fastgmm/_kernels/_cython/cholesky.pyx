"""Inverse Cholesky factors by LAPACK and BLAS routines, which are called by address."""

cdef extern from *:
    # triangles up to this order are left to dtrtri
    const size_t SMALL "((size_t)64)"

ctypedef void (*potrf_t)(char*, int*, double*, int*, int*) noexcept nogil
ctypedef void (*trtri_t)(char*, char*, int*, double*, int*, int*) noexcept nogil
ctypedef void (*trmm_t)(
    char*, char*, char*, char*, int*, int*, double*, double*, int*, double*, int*
) noexcept nogil


cdef struct Routines:
    potrf_t potrf
    trtri_t trtri
    trmm_t trmm


cdef void _invert_lower(const Routines* routines, size_t d, double* out) noexcept nogil:
    """Invert a lower triangle of columns, in place.

    By blocks, of which two at a time become one: the inverse of [[A, 0], [B, C]] is
    [[1/A, 0], [-1/C B 1/A, 1/C]]. OpenBLAS's dtrtri alone takes three times as long for d = 256,
    and twice for 784.

    routines  IN
    out       IN OUT
    """
    cdef char lower = b"L", plain = b"N", right = b"R"
    cdef double one = 1.0, minus_one = -1.0
    cdef int n, m, info, lda = <int> d
    cdef size_t i, width = SMALL
    cdef double* a
    cdef double* b
    i = 0
    while i < d:
        n = <int> min(SMALL, d - i)
        routines.trtri(&lower, &plain, &n, out + i * (d + 1), &lda, &info)
        i += SMALL
    while width < d:
        n = <int> width
        i = 0
        while i + width < d:
            m = <int> min(width, d - width - i)
            a = out + i * (d + 1)
            b = a + width
            routines.trmm(&right, &lower, &plain, &plain, &m, &n, &minus_one, a, &lda, b, &lda)
            routines.trmm(
                &lower, &lower, &plain, &plain, &m, &n, &one, b + width * d, &lda, b, &lda
            )
            i += 2 * width
        width *= 2


cdef bint _inverse_factor(
    const Routines* routines, const double* matrix, size_t d, double* out
) noexcept nogil:
    """Write U = R^-1 for one matrix R^T R into zeros; return whether there is no such R.

    routines, matrix  IN
    out               OUT
    """
    cdef char lower = b"L"
    cdef int n = <int> d, info
    cdef size_t i, j
    # an upper triangle, which LAPACK, counting by columns, takes for a lower one
    for i in range(d):
        for j in range(i, d):
            out[i * d + j] = matrix[i * d + j]
    routines.potrf(&lower, &n, out, &n, &info)
    if info != 0:
        return True
    _invert_lower(routines, d, out)
    return False


def inverse_factors(matrices, out, failed, addresses, int n_threads):
    """Write U = R^-1 for each matrix R^T R into zeros, and which have no such R."""
    cdef const double* given = <const double*> _address(matrices)
    cdef double* factors = <double*> _address(out)
    cdef uint8_t* flags = <uint8_t*> _address(failed)
    cdef const int64_t* begins = <const int64_t*> _address(addresses)
    cdef size_t d = matrices.shape[1]
    cdef Py_ssize_t k, n_matrices = len(matrices)
    cdef Routines routines
    routines.potrf = <potrf_t> <size_t> begins[0]
    routines.trtri = <trtri_t> <size_t> begins[1]
    routines.trmm = <trmm_t> <size_t> begins[2]
    with nogil:
        if n_threads == 1:
            for k in range(n_matrices):
                flags[k] = _inverse_factor(&routines, given + k * d * d, d, factors + k * d * d)
        else:
            for k in prange(n_matrices, schedule="dynamic", num_threads=n_threads):
                flags[k] = _inverse_factor(&routines, given + k * d * d, d, factors + k * d * d)
