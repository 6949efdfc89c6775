"""Sums over the samples of a block: the only loops whose terms may be added in any order.

They add in the type of the block; sums over blocks are in float64.
"""

from .jit import I0, I4, I16, U, reduction, shared_part
from .primitives import cast, not_inlined, sizes, tail, vector_loop


@reduction
def count_unsafe(maximum, weight, count, lowest, smallest, largest):
    """Return how many samples the type ``work`` cannot represent; see layout.Packed.

    maximum, weight  IN
    """
    vector_loop()
    unsafe = I0
    for b in range(count):
        w = weight[b]
        unsafe += U(not maximum[b] > lowest) | (U(w != 0.0) & (U(w < smallest) | U(w > largest)))
    return unsafe


@reduction
def share_out(weight, log_prob_norm, scale, count, share):
    """Write w scale and return sum w log p(x).

    The sum is over ``count`` samples, which no compiler knows in advance: a loop that it unrolls
    may be added in another order.

    weight, log_prob_norm, scale  IN
    share                         OUT
    """
    vector_loop()
    BLOCK = sizes(share)[0]
    total = 0.0
    for b in range(BLOCK):
        share[b] = weight[b] * scale[b]
    for b in range(count):
        total += weight[b] * log_prob_norm[b]
    return total


@reduction
def weigh(resp, share, count, w):
    """Write w r and return its sum.

    resp, share  IN
    w            OUT
    """
    vector_loop()
    total = cast(0.0, w)
    for a in range(count):
        value = resp[a] * share[a]
        w[a] = value
        total += value
    return total


@reduction
def _multiply(z, w, count, wz):
    """Write w r z for four features; return their sums.

    z, w  IN
    wz    OUT
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(z)[1:]
    t0 = t1 = t2 = t3 = cast(0.0, w)
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
    return t0, t1, t2, t3


@reduction
def weighted_sums(block, mean, w, count):
    """Return sum w r z and sum w r z^2 for one feature.

    block, w  IN
    """
    vector_loop()
    first = second = cast(0.0, w)
    for a in range(count):
        x = block[a] - mean
        value = x * w[a]
        first += value
        second += value * x
    return first, second


@reduction
def plane_sums(resp, share, block, c0, c1, count):
    """Return all sums of at most two features.

    resp, share, block  IN
    """
    vector_loop()
    STRIDE = sizes(block)[1]
    total = first0 = first1 = second00 = second10 = second11 = cast(0.0, block)
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
    return total, first0, first1, second00, second10, second11


@reduction
def _add_tile(u, v, count, out):
    """Add the 4 x 4 products of rows of u with rows of v.

    u, v  IN
    out   ADDS TO
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(u)[1:]
    zero = cast(0.0, u)
    t00 = t01 = t02 = t03 = t10 = t11 = t12 = t13 = zero
    t20 = t21 = t22 = t23 = t30 = t31 = t32 = t33 = zero
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


@reduction
def _add_diagonal_tile(u, v, count, out):
    """Add the 10 products of rows of u with rows of v on and below the diagonal.

    u, v  IN
    out   ADDS TO
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(u)[1:]
    t00 = t10 = t11 = t20 = t21 = t22 = t30 = t31 = t32 = t33 = cast(0.0, u)
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


@reduction
def add_gram(values, stride, count, out):
    """Add the 10 products of 4 rows, which may overlap: 10 multiply-adds on 4 loads.

    values  IN
    out     ADDS TO
    """
    vector_loop()
    o2 = stride + stride
    o3 = o2 + stride
    t00 = t01 = t02 = t03 = t11 = t12 = t13 = t22 = t23 = t33 = 0.0
    for a in range(count):
        u0 = values[a]
        u1 = values[stride + a]
        u2 = values[o2 + a]
        u3 = values[o3 + a]
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


@shared_part
def add_products(z, w, d, count, wz, first, second):
    """Add sum w r z, and sum w r z z^T as the lower triangle of 4 x 4 tiles.

    Four features at a time, so that w r z stays in the first-level cache.

    z, w           IN
    wz             OUT      four rows of workspace
    first, second  ADDS TO
    """
    not_inlined()
    STRIDE = sizes(z)[1]
    o = I0
    for i in range(I0, d, I4):
        u = tail(z, i * STRIDE)
        totals = _multiply(u, w, count, wz)
        for r in range(min(I4, d - i)):
            first[i + r] += totals[r]
        for j in range(I0, i, I4):
            _add_tile(wz, tail(z, j * STRIDE), count, tail(second, o))
            o += I16
        _add_diagonal_tile(wz, u, count, tail(second, o))
        o += I16
