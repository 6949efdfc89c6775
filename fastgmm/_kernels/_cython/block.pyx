"""Loops over one block that several kernels share."""


cdef void fill(work* out, work value) noexcept nogil:
    """Set one row of a block to a constant.

    out  OUT
    """
    cdef size_t b
    for b in range(BLOCK):
        out[b] = value


cdef extern from *:
    """
    #if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
    #define FASTGMM_MIX(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
    #elif defined(__GNUC__)
    #define FASTGMM_MIX(a, b, i, j, k, l) __builtin_shuffle(a, b, (fastgmm_lanes){i, j, k, l})
    #endif

    #ifdef FASTGMM_MIX
    #ifdef FASTGMM_FLOAT32
    typedef int32_t fastgmm_lane;
    #else
    typedef int64_t fastgmm_lane;
    #endif
    typedef fastgmm_lane fastgmm_lanes __attribute__((vector_size(4 * sizeof(fastgmm_lane))));
    typedef fastgmm_work fastgmm_four __attribute__((
        vector_size(4 * sizeof(fastgmm_work)), aligned(sizeof(fastgmm_work)), may_alias));

    static inline void fastgmm_transpose_four(
        const fastgmm_work* r0, const fastgmm_work* r1, const fastgmm_work* r2,
        const fastgmm_work* r3, const fastgmm_work* center, fastgmm_work* out)
    {
        fastgmm_four about = *(const fastgmm_four*)center;
        fastgmm_four a = *(const fastgmm_four*)r0 - about, b = *(const fastgmm_four*)r1 - about;
        fastgmm_four c = *(const fastgmm_four*)r2 - about, d = *(const fastgmm_four*)r3 - about;
        fastgmm_four even0 = FASTGMM_MIX(a, b, 0, 4, 2, 6), odd0 = FASTGMM_MIX(a, b, 1, 5, 3, 7);
        fastgmm_four even1 = FASTGMM_MIX(c, d, 0, 4, 2, 6), odd1 = FASTGMM_MIX(c, d, 1, 5, 3, 7);
        *(fastgmm_four*)out = FASTGMM_MIX(even0, even1, 0, 1, 4, 5);
        *(fastgmm_four*)(out + FASTGMM_STRIDE) = FASTGMM_MIX(odd0, odd1, 0, 1, 4, 5);
        *(fastgmm_four*)(out + 2 * FASTGMM_STRIDE) = FASTGMM_MIX(even0, even1, 2, 3, 6, 7);
        *(fastgmm_four*)(out + 3 * FASTGMM_STRIDE) = FASTGMM_MIX(odd0, odd1, 2, 3, 6, 7);
    }
    #else
    static __inline void fastgmm_transpose_four(
        const fastgmm_work* r0, const fastgmm_work* r1, const fastgmm_work* r2,
        const fastgmm_work* r3, const fastgmm_work* center, fastgmm_work* out)
    {
        size_t j;
        for (j = 0; j < 4; ++j) {
            out[j * FASTGMM_STRIDE] = r0[j] - center[j];
            out[j * FASTGMM_STRIDE + 1] = r1[j] - center[j];
            out[j * FASTGMM_STRIDE + 2] = r2[j] - center[j];
            out[j * FASTGMM_STRIDE + 3] = r3[j] - center[j];
        }
    }
    #endif
    """
    # Write four numbers from each of four places, less the centre, as the first of four rows.
    void transpose_four "fastgmm_transpose_four"(
        const work* r0, const work* r1, const work* r2, const work* r3, const work* center,
        work* out) noexcept nogil


cdef inline void transpose_tile(
    const work* r0, const work* r1, const work* r2, const work* r3, const work* center, size_t d,
    work* out
) noexcept nogil:
    """Write four samples about a centre, given as rows, into the rows of a block.

    r0, r1, r2, r3, center  IN
    out                     OUT
    """
    cdef size_t fours = d // 4 * 4
    cdef size_t j
    for j in range(0, fours, 4):
        transpose_four(r0 + j, r1 + j, r2 + j, r3 + j, center + j, out + j * STRIDE)
    for j in range(fours, d):
        out[j * STRIDE] = r0[j] - center[j]
        out[j * STRIDE + 1] = r1[j] - center[j]
        out[j * STRIDE + 2] = r2[j] - center[j]
        out[j * STRIDE + 3] = r3[j] - center[j]


cdef void transpose(
    const work* rows, const work* center, size_t d, size_t count, work* out
) noexcept nogil:
    """Write samples about a centre, given as rows, into the rows of a block.

    count is a multiple of 4.

    rows, center  IN
    out           OUT
    """
    cdef size_t a
    cdef const work* row
    for a in range(0, count, 4):
        row = rows + a * d
        transpose_tile(row, row + d, row + 2 * d, row + 3 * d, center, d, out + a)


cdef void gather(
    const work* rows, const work* center, size_t d, const uint64_t* index, size_t count,
    work* block
) noexcept nogil:
    """Write listed samples about a centre, a multiple of 4, into the rows of a block.

    rows, center, index  IN
    block                OUT
    """
    cdef size_t a
    for a in range(0, count, 4):
        transpose_tile(
            rows + index[a] * d, rows + index[a + 1] * d, rows + index[a + 2] * d,
            rows + index[a + 3] * d, center, d, block + a
        )


cdef void advance(
    const work* restrict p, const work* restrict x, size_t count, work* restrict y
) noexcept nogil:
    """Y += P[:, j:j+4] x.

    p, x  IN
    y     ADDS TO
    """
    cdef work a0 = p[0], a1 = p[1], a2 = p[2], a3 = p[3]
    cdef work b0 = p[4], b1 = p[5], b2 = p[6], b3 = p[7]
    cdef work c0 = p[8], c1 = p[9], c2 = p[10], c3 = p[11]
    cdef work d0 = p[12], d1 = p[13], d2 = p[14], d3 = p[15]
    cdef work x0, x1, x2, x3
    cdef size_t b
    for b in range(count):
        x0 = x[b]
        x1 = x[STRIDE + b]
        x2 = x[S2 + b]
        x3 = x[S3 + b]
        y[b] = y[b] + a0 * x0 + b0 * x1 + c0 * x2 + d0 * x3
        y[STRIDE + b] = y[STRIDE + b] + a1 * x0 + b1 * x1 + c1 * x2 + d1 * x3
        y[S2 + b] = y[S2 + b] + a2 * x0 + b2 * x1 + c2 * x2 + d2 * x3
        y[S3 + b] = y[S3 + b] + a3 * x0 + b3 * x1 + c3 * x2 + d3 * x3
