"""Constants and structures of layout.py, for C."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t  # no-cython-lint

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline size_t fastgmm_trailing_zeros(unsigned __int64 word) {
        unsigned long index;
        _BitScanForward64(&index, word);
        return index;
    }
    #define fastgmm_count_ones(word) ((size_t)__popcnt64(word))
    #else
    #define fastgmm_trailing_zeros(word) ((size_t)__builtin_ctzll(word))
    #define fastgmm_count_ones(word) ((size_t)__builtin_popcountll(word))
    #endif
    """
    size_t trailing_zeros "fastgmm_trailing_zeros"(uint64_t word) noexcept nogil
    size_t count_ones "fastgmm_count_ones"(uint64_t word) noexcept nogil

cdef extern from *:
    """
    /* compiled twice: blocks of float64, and of float32 */
    #ifdef FASTGMM_FLOAT32
    typedef float fastgmm_work;
    #else
    typedef double fastgmm_work;
    #endif
    #define FASTGMM_BLOCK (2048 / sizeof(fastgmm_work))
    #define FASTGMM_STRIDE (2560 / sizeof(fastgmm_work))
    """
    ctypedef double work "fastgmm_work"
    const size_t BLOCK "FASTGMM_BLOCK"
    const size_t STRIDE "FASTGMM_STRIDE"
    const size_t S2 "(2 * FASTGMM_STRIDE)"
    const size_t S3 "(3 * FASTGMM_STRIDE)"
    const size_t SMALLEST_BLOCK "((size_t)256)"
    const size_t MERGE_CHUNK "((size_t)4096)"
    const size_t FULL "((size_t)0)"
    const size_t TIED "((size_t)1)"
    const size_t DIAG "((size_t)2)"
    const size_t SPHERICAL "((size_t)3)"


cdef struct Packed:
    # coefficients is NULL if there are only centres, squares if distances are not expanded
    size_t kind
    size_t n_components
    size_t n_features
    const work* origin
    const work* coefficients
    const work* factors
    const work* shifts
    const work* squares
    const work* whitener
    const work* centers
    size_t leading
    double offset
    double lowest
    double smallest_weight
    double largest_weight


cdef struct Kept:
    # KeptDistances; NULL for what is empty there
    uint8_t* codes
    const double* steps
    const float* upper
    const float* lower
    int64_t* counts


cdef inline size_t first_rows(size_t d) noexcept nogil:
    """Return how many rows of a full factor come first, 1 to 4; the others come in fours."""
    return (d - 1) % 4 + 1


cdef inline size_t up_to_four(size_t count) noexcept nogil:
    return (count + 3) // 4 * 4


cdef inline size_t second_start(
    size_t k, size_t kind, size_t n_components, size_t d
) noexcept nogil:
    """Return where the second moments of component k begin in the statistics."""
    cdef size_t start = n_components * (1 + d)
    cdef size_t rows = up_to_four(d) // 4
    if kind == FULL:
        return start + k * 16 * (rows * (rows + 1) // 2)
    return start if kind == TIED else start + k * d
