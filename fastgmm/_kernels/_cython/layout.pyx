"""Constants and structures of layout.py, for C."""

from libc.stdint cimport int64_t, uint64_t  # no-cython-lint

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline size_t fastgmm_trailing_zeros(unsigned __int64 word) {
        unsigned long index;
        _BitScanForward64(&index, word);
        return index;
    }
    #else
    #define fastgmm_trailing_zeros(word) ((size_t)__builtin_ctzll(word))
    #endif
    """
    size_t trailing_zeros "fastgmm_trailing_zeros"(uint64_t word) noexcept nogil

cdef extern from *:
    const size_t BLOCK "((size_t)256)"
    const size_t STRIDE "((size_t)264)"
    const size_t S2 "((size_t)528)"
    const size_t S3 "((size_t)792)"
    const size_t FULL "((size_t)0)"
    const size_t TIED "((size_t)1)"
    const size_t DIAG "((size_t)2)"
    const size_t SPHERICAL "((size_t)3)"


cdef struct Packed:
    # coefficients is NULL where there are centres alone, squares where nothing is expanded
    size_t kind
    size_t n_components
    size_t n_features
    const double* origin
    const double* coefficients
    const double* factors
    const double* shifts
    const double* squares
    const double* whitener
    const double* centers


cdef struct Scratch:
    # the memory of one thread; see passes.scratch_size
    double* rows
    double* block
    double* whitened
    double* values
    double* norm
    double* scale
    # samples that wait to be added, up to capacity for each component
    size_t capacity
    uint64_t* waiting
    double* waiting_weight
    double* waiting_rows
    uint64_t* index
    double* w
    double* z
    double* wz


cdef inline size_t up_to_four(size_t count) noexcept nogil:
    return (count + 3) // 4 * 4
