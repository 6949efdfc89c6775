"""Sums of squares in eight lanes, one for each component of a group; see point.pyx."""

cdef extern from *:
    """
    /* Left to itself, GCC 12 vectorises the loop over columns, which takes six times as long. */
    #if defined(__GNUC__) || defined(__clang__)
    typedef double fastgmm_eight __attribute__((vector_size(64), aligned(8), may_alias));
    #define FASTGMM_EIGHT(address, k) ((const fastgmm_eight*)(address))[k]

    static inline void fastgmm_subtract_point_rows(
        const double* p, const double* s, const double* x, size_t first, size_t stop,
        const double* start, double* out)
    {
        fastgmm_eight total = *(const fastgmm_eight*)start;
        size_t i, j;
        for (i = first; i < stop; ++i) {
            fastgmm_eight y = FASTGMM_EIGHT(s, i);
            for (j = 0; j <= i; ++j, p += 8)
                y += FASTGMM_EIGHT(p, 0) * x[j];
            total -= y * y;
        }
        *(fastgmm_eight*)out = total;
    }

    static inline void fastgmm_subtract_point_diagonal(
        const double* p, const double* s, const double* x, size_t d, const double* start,
        double* out)
    {
        fastgmm_eight even = *(const fastgmm_eight*)start, odd = {0.0}, y;
        size_t j;
        for (j = 0; j + 1 < d; j += 2) {
            y = FASTGMM_EIGHT(p, j) * x[j] + FASTGMM_EIGHT(s, j);
            even -= y * y;
            y = FASTGMM_EIGHT(p, j + 1) * x[j + 1] + FASTGMM_EIGHT(s, j + 1);
            odd -= y * y;
        }
        if (j < d) {
            y = FASTGMM_EIGHT(p, j) * x[j] + FASTGMM_EIGHT(s, j);
            even -= y * y;
        }
        *(fastgmm_eight*)out = even + odd;
    }
    #else
    static __inline void fastgmm_subtract_point_rows(
        const double* p, const double* s, const double* x, size_t first, size_t stop,
        const double* start, double* out)
    {
        size_t i, j, l;
        for (l = 0; l < 8; ++l)
            out[l] = start[l];
        for (i = first; i < stop; ++i) {
            double y[8];
            for (l = 0; l < 8; ++l)
                y[l] = s[i * 8 + l];
            for (j = 0; j <= i; ++j, p += 8)
                for (l = 0; l < 8; ++l)
                    y[l] += p[l] * x[j];
            for (l = 0; l < 8; ++l)
                out[l] -= y[l] * y[l];
        }
    }

    static __inline void fastgmm_subtract_point_diagonal(
        const double* p, const double* s, const double* x, size_t d, const double* start,
        double* out)
    {
        size_t j, l;
        for (l = 0; l < 8; ++l)
            out[l] = start[l];
        for (j = 0; j < d; ++j)
            for (l = 0; l < 8; ++l) {
                double y = p[j * 8 + l] * x[j] + s[j * 8 + l];
                out[l] -= y * y;
            }
    }
    #endif
    """
    const size_t LANES "((size_t)8)"
    # out = start - |rows first to stop of (P x + s)|^2, in the lanes of one group; p begins with
    # row first
    void subtract_point_rows "fastgmm_subtract_point_rows"(
        const double* p, const double* s, const double* x, size_t first, size_t stop,
        const double* start, double* out) noexcept nogil
    # out = start - |p x + s|^2, feature by feature, in the lanes of one group
    void subtract_point_diagonal "fastgmm_subtract_point_diagonal"(
        const double* p, const double* s, const double* x, size_t d, const double* start,
        double* out) noexcept nogil
