# cython: language_level=3
"""Sums over the samples of a block: the only loops whose terms may be added in any order.

This file is compiled apart, with reassociation, and linked to the passes of every level. These
functions add in the type of the block; sums over blocks are in float64.
"""

include "layout.pyx"


cdef public size_t fastgmm_count_unsafe(
    const work* restrict maximum, const double* restrict weight, size_t count, double lowest,
    double smallest, double largest
) noexcept nogil:
    """Return how many samples the type ``work`` cannot represent; see layout.Packed.

    maximum, weight  IN
    """
    cdef size_t unsafe = 0
    cdef size_t b
    for b in range(count):
        unsafe += (not maximum[b] > lowest) | (
            (weight[b] != 0.0) & ((weight[b] < smallest) | (weight[b] > largest))
        )
    return unsafe


cdef public double fastgmm_share_out(
    const double* restrict weight, const double* restrict log_prob_norm,
    const double* restrict scale, size_t count, work* restrict share
) noexcept nogil:
    """Write w scale and return sum w log p(x), over ``count`` samples.

    weight, log_prob_norm, scale  IN
    share                         OUT
    """
    cdef double total = 0.0
    cdef size_t b
    for b in range(BLOCK):
        share[b] = <work> (weight[b] * scale[b])
    for b in range(count):
        total += weight[b] * log_prob_norm[b]
    return total


cdef public work fastgmm_weigh(
    const work* restrict resp, const work* restrict share, size_t count, work* restrict w
) noexcept nogil:
    """Write w r and return its sum.

    resp, share  IN
    w            OUT
    """
    cdef work total = 0.0
    cdef work value
    cdef size_t a
    for a in range(count):
        value = resp[a] * share[a]
        w[a] = value
        total += value
    return total


cdef void _multiply(
    const work* restrict z, const work* restrict w, size_t count, work* restrict wz, work* totals
) noexcept nogil:
    """Write w r z for four features, and their sums.

    z, w        IN
    wz, totals  OUT
    """
    cdef work t0 = 0.0, t1 = 0.0, t2 = 0.0, t3 = 0.0
    cdef work weight, v0, v1, v2, v3
    cdef size_t a
    for a in range(count):
        weight = w[a]
        v0 = z[a] * weight
        v1 = z[STRIDE + a] * weight
        v2 = z[S2 + a] * weight
        v3 = z[S3 + a] * weight
        wz[a] = v0
        wz[STRIDE + a] = v1
        wz[S2 + a] = v2
        wz[S3 + a] = v3
        t0 += v0
        t1 += v1
        t2 += v2
        t3 += v3
    totals[0] = t0
    totals[1] = t1
    totals[2] = t2
    totals[3] = t3


cdef public void fastgmm_weighted_sums(
    const work* restrict block, work mean, const work* restrict w, size_t count,
    work* restrict sums
) noexcept nogil:
    """Write sum w r z and sum w r z^2 for one feature.

    block, w  IN
    """
    cdef work first = 0.0
    cdef work second = 0.0
    cdef work x, value
    cdef size_t a
    for a in range(count):
        x = block[a] - mean
        value = x * w[a]
        first += value
        second += value * x
    sums[0] = first
    sums[1] = second


cdef public void fastgmm_plane_sums(
    const work* restrict resp, const work* restrict share, const work* restrict block,
    work c0, work c1, size_t count, work* restrict sums
) noexcept nogil:
    """Write all sums of at most two features.

    resp, share, block  IN
    """
    cdef work total = 0.0, first0 = 0.0, first1 = 0.0
    cdef work second00 = 0.0, second10 = 0.0, second11 = 0.0
    cdef work w, z0, z1, value0, value1
    cdef size_t b
    for b in range(count):
        w = resp[b] * share[b]
        z0 = block[b] - c0
        z1 = block[STRIDE + b] - c1
        value0 = w * z0
        value1 = w * z1
        total += w
        first0 += value0
        first1 += value1
        second00 += value0 * z0
        second10 += value1 * z0
        second11 += value1 * z1
    sums[0] = total
    sums[1] = first0
    sums[2] = first1
    sums[3] = second00
    sums[4] = second10
    sums[5] = second11


cdef extern from *:
    """
    /* 4 x 4 sums and their 8 factors need more than 16 vector registers */
    #if defined(__AVX512F__) || defined(__aarch64__) || defined(_M_ARM64)
    #define FASTGMM_WHOLE_TILES 1
    #else
    #define FASTGMM_WHOLE_TILES 0
    #endif
    """
    const bint WHOLE_TILES "FASTGMM_WHOLE_TILES"


cdef void _add_half_tile(
    const work* restrict u, const work* restrict v, size_t count, double* restrict out
) noexcept nogil:
    """Add the 2 x 4 products of rows of u with rows of v."""
    cdef work t00 = 0.0, t01 = 0.0, t02 = 0.0, t03 = 0.0
    cdef work t10 = 0.0, t11 = 0.0, t12 = 0.0, t13 = 0.0
    cdef work u0, u1, v0, v1, v2, v3
    cdef size_t a
    for a in range(count):
        u0 = u[a]
        u1 = u[STRIDE + a]
        v0 = v[a]
        v1 = v[STRIDE + a]
        v2 = v[S2 + a]
        v3 = v[S3 + a]
        t00 += u0 * v0
        t01 += u0 * v1
        t02 += u0 * v2
        t03 += u0 * v3
        t10 += u1 * v0
        t11 += u1 * v1
        t12 += u1 * v2
        t13 += u1 * v3
    out[0] += t00
    out[1] += t01
    out[2] += t02
    out[3] += t03
    out[4] += t10
    out[5] += t11
    out[6] += t12
    out[7] += t13


cdef void _add_tile(
    const work* restrict u, const work* restrict v, size_t count, double* restrict out
) noexcept nogil:
    """Add the 4 x 4 products of rows of u with rows of v.

    u, v  IN
    out   ADDS TO
    """
    cdef work t00 = 0.0, t01 = 0.0, t02 = 0.0, t03 = 0.0
    cdef work t10 = 0.0, t11 = 0.0, t12 = 0.0, t13 = 0.0
    cdef work t20 = 0.0, t21 = 0.0, t22 = 0.0, t23 = 0.0
    cdef work t30 = 0.0, t31 = 0.0, t32 = 0.0, t33 = 0.0
    cdef work u0, u1, u2, u3, v0, v1, v2, v3
    cdef size_t a
    for a in range(count):
        u0 = u[a]
        u1 = u[STRIDE + a]
        u2 = u[S2 + a]
        u3 = u[S3 + a]
        v0 = v[a]
        v1 = v[STRIDE + a]
        v2 = v[S2 + a]
        v3 = v[S3 + a]
        t00 += u0 * v0
        t01 += u0 * v1
        t02 += u0 * v2
        t03 += u0 * v3
        t10 += u1 * v0
        t11 += u1 * v1
        t12 += u1 * v2
        t13 += u1 * v3
        t20 += u2 * v0
        t21 += u2 * v1
        t22 += u2 * v2
        t23 += u2 * v3
        t30 += u3 * v0
        t31 += u3 * v1
        t32 += u3 * v2
        t33 += u3 * v3
    out[0] += t00
    out[1] += t01
    out[2] += t02
    out[3] += t03
    out[4] += t10
    out[5] += t11
    out[6] += t12
    out[7] += t13
    out[8] += t20
    out[9] += t21
    out[10] += t22
    out[11] += t23
    out[12] += t30
    out[13] += t31
    out[14] += t32
    out[15] += t33


cdef void _add_diagonal_tile(
    const work* restrict u, const work* restrict v, size_t count, double* restrict out
) noexcept nogil:
    """Add the 10 products of rows of u with rows of v on and below the diagonal.

    u, v  IN
    out   ADDS TO
    """
    cdef work t00 = 0.0
    cdef work t10 = 0.0, t11 = 0.0
    cdef work t20 = 0.0, t21 = 0.0, t22 = 0.0
    cdef work t30 = 0.0, t31 = 0.0, t32 = 0.0, t33 = 0.0
    cdef work u0, u1, u2, u3, v0, v1, v2, v3
    cdef size_t a
    for a in range(count):
        u0 = u[a]
        u1 = u[STRIDE + a]
        u2 = u[S2 + a]
        u3 = u[S3 + a]
        v0 = v[a]
        v1 = v[STRIDE + a]
        v2 = v[S2 + a]
        v3 = v[S3 + a]
        t00 += u0 * v0
        t10 += u1 * v0
        t11 += u1 * v1
        t20 += u2 * v0
        t21 += u2 * v1
        t22 += u2 * v2
        t30 += u3 * v0
        t31 += u3 * v1
        t32 += u3 * v2
        t33 += u3 * v3
    out[0] += t00
    out[4] += t10
    out[5] += t11
    out[8] += t20
    out[9] += t21
    out[10] += t22
    out[12] += t30
    out[13] += t31
    out[14] += t32
    out[15] += t33


cdef public void fastgmm_add_products(
    const work* z, const work* w, size_t d, size_t count, work* wz, double* first, double* second
) noexcept nogil:
    """Add sum w r z, and sum w r z z^T as the lower triangle of 4 x 4 tiles.

    Four features at a time, so that w r z stays in the first-level cache.

    z, w           IN
    wz             OUT      four rows of workspace
    first, second  ADDS TO
    """
    cdef size_t i, j, r
    cdef const work* u
    cdef work[4] totals
    for i in range(0, d, 4):
        u = z + i * STRIDE
        _multiply(u, w, count, wz, totals)
        for r in range(min(<size_t> 4, d - i)):
            first[i + r] += totals[r]
        for j in range(0, i, 4):
            if WHOLE_TILES:
                _add_tile(wz, z + j * STRIDE, count, second)
            else:
                _add_half_tile(wz, z + j * STRIDE, count, second)
                _add_half_tile(wz + S2, z + j * STRIDE, count, second + 8)
            second += 16
        _add_diagonal_tile(wz, u, count, second)
        second += 16


cdef public void fastgmm_add_gram(
    const double* restrict values, size_t stride, size_t count, double* restrict out
) noexcept nogil:
    """Add the 10 products of 4 rows, which may overlap: 10 multiply-adds on 4 loads.

    values  IN
    out     ADDS TO
    """
    cdef double t00 = 0.0, t01 = 0.0, t02 = 0.0, t03 = 0.0
    cdef double t11 = 0.0, t12 = 0.0, t13 = 0.0
    cdef double t22 = 0.0, t23 = 0.0
    cdef double t33 = 0.0
    cdef double u0, u1, u2, u3
    cdef size_t a
    for a in range(count):
        u0 = values[a]
        u1 = values[stride + a]
        u2 = values[2 * stride + a]
        u3 = values[3 * stride + a]
        t00 += u0 * u0
        t01 += u0 * u1
        t02 += u0 * u2
        t03 += u0 * u3
        t11 += u1 * u1
        t12 += u1 * u2
        t13 += u1 * u3
        t22 += u2 * u2
        t23 += u2 * u3
        t33 += u3 * u3
    out[0] += t00
    out[1] += t01
    out[2] += t02
    out[3] += t03
    out[4] += t11
    out[5] += t12
    out[6] += t13
    out[7] += t22
    out[8] += t23
    out[9] += t33
