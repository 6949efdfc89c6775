"""Sums of squares in eight lanes, one for each component of a group; see embed/point_layout.py."""

cdef extern from *:
    """
    /* Left to itself, GCC 12 vectorises the loop over columns, which takes six times as long. */
    #if defined(__GNUC__) || defined(__clang__)
    typedef double fastgmm_eight __attribute__((vector_size(64), aligned(8), may_alias));
    #define FASTGMM_EIGHT(address, k) ((const fastgmm_eight*)(address))[k]

    static inline void fastgmm_subtract_four_rows(
        const double* p, const double* s, const double* x, size_t count, const double* start,
        double* out)
    {
        fastgmm_eight total = *(const fastgmm_eight*)start;
        fastgmm_eight y0 = FASTGMM_EIGHT(s, 0), y1 = FASTGMM_EIGHT(s, 1);
        fastgmm_eight y2 = FASTGMM_EIGHT(s, 2), y3 = FASTGMM_EIGHT(s, 3);
        size_t j;
        for (j = 0; j < count; ++j, p += 32) {
            y0 += FASTGMM_EIGHT(p, 0) * x[j];
            y1 += FASTGMM_EIGHT(p, 1) * x[j];
            y2 += FASTGMM_EIGHT(p, 2) * x[j];
            y3 += FASTGMM_EIGHT(p, 3) * x[j];
        }
        *(fastgmm_eight*)out = total - ((y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3));
    }

    static inline void fastgmm_subtract_scaled(
        const double* p, const double* s, const double* x, size_t count, const double* start,
        double* out)
    {
        fastgmm_eight even = *(const fastgmm_eight*)start, odd = {0.0}, y;
        size_t j;
        for (j = 0; j + 1 < count; j += 2) {
            y = FASTGMM_EIGHT(p, j) * x[j] + FASTGMM_EIGHT(s, j);
            even -= y * y;
            y = FASTGMM_EIGHT(p, j + 1) * x[j + 1] + FASTGMM_EIGHT(s, j + 1);
            odd -= y * y;
        }
        if (j < count) {
            y = FASTGMM_EIGHT(p, j) * x[j] + FASTGMM_EIGHT(s, j);
            even -= y * y;
        }
        *(fastgmm_eight*)out = even + odd;
    }
    #else
    static __inline void fastgmm_subtract_four_rows(
        const double* p, const double* s, const double* x, size_t count, const double* start,
        double* out)
    {
        size_t i, j, l;
        for (l = 0; l < 8; ++l)
            out[l] = start[l];
        for (i = 0; i < 4; ++i)
            for (l = 0; l < 8; ++l) {
                double y = s[i * 8 + l];
                for (j = 0; j < count; ++j)
                    y += p[(j * 4 + i) * 8 + l] * x[j];
                out[l] -= y * y;
            }
    }

    static __inline void fastgmm_subtract_scaled(
        const double* p, const double* s, const double* x, size_t count, const double* start,
        double* out)
    {
        size_t j, l;
        for (l = 0; l < 8; ++l)
            out[l] = start[l];
        for (j = 0; j < count; ++j)
            for (l = 0; l < 8; ++l) {
                double y = p[j * 8 + l] * x[j] + s[j * 8 + l];
                out[l] -= y * y;
            }
    }
    #endif
    """
    const size_t LANES "((size_t)8)"
    # out = start - sum over 4 rows of (s + sum_j p[j] x[j])^2, with p (count, 4, 8) and s (4, 8)
    void subtract_four_rows "fastgmm_subtract_four_rows"(
        const double* p, const double* s, const double* x, size_t count, const double* start,
        double* out) noexcept nogil
    # out = start - sum over j of (p[j] x[j] + s[j])^2, with p and s (count, 8)
    void subtract_scaled "fastgmm_subtract_scaled"(
        const double* p, const double* s, const double* x, size_t count, const double* start,
        double* out) noexcept nogil
