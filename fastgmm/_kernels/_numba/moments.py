"""Weighted moments of one block about each component's centre.

    nk += sum w r,   first += sum w r z,   second += sum w r z z^T,   z = x - centre

For each component the samples with a responsibility that can matter are gathered first; on
separated clusters that is a few in a hundred, and an iteration takes half the time. They wait
until there are enough for long dot products: with 4 samples a block, adding them at once
takes 3 times as long.
"""

from typing import Any, NamedTuple

import numpy as np

from ._jit import (
    BLOCK,
    DIAG,
    FULL,
    I0,
    I1,
    I2,
    I3,
    I4,
    I8,
    I16,
    STRIDE,
    TIED,
    U,
    aligned_empty,
    block_function,
    reduction,
    vector_loop,
)  # fmt: skip

# A responsibility below this changes no sum beyond rounding: its sample's whole weight
# is counted in the other components.
NEGLIGIBLE = 1e-16


# Doubles that may wait in all components together: 4 MB, about a core's second-level cache.
_PENDING = U(1 << 19)


class Pending(NamedTuple):
    """Centred samples that wait to be added, up to ``capacity`` in each place.

    There is a place for every component and a last one, which stays in the first-level cache,
    for blocks that are added whole.
    """

    capacity: Any
    stride: Any
    count: Any  # (K + 1,)
    weight: Any  # (K + 1, stride)
    z: Any  # (K + 1, d up to a multiple of 4, stride); the surplus rows hold zeros
    wz: Any  # (d up to a multiple of 4, stride)
    index: Any  # (BLOCK + 1,)


@block_function
def empty_pending(packed):
    """Return room for the samples of one slot that wait."""
    places = U(packed.n_components) + I1
    rows = (U(packed.n_features) + I3) // I4 * I4
    capacity = min(max(_PENDING // (places * rows) // I8 * I8, I16), BLOCK)
    stride = capacity + I8
    z = aligned_empty(places * rows * stride)
    wz = aligned_empty(rows * stride)
    for place in range(places):
        for j in range(U(packed.n_features), rows):
            _clear(z, (place * rows + j) * stride, I0, stride)
    for j in range(U(packed.n_features), rows):
        _clear(wz, j * stride, I0, stride)
    count = np.zeros(places, np.uint64)
    weight = aligned_empty(places * stride)
    return Pending(capacity, stride, count, weight, z, wz, np.empty(BLOCK + I1, np.uint64))


@block_function
def _select(resp, o, count, index):
    """List the samples whose responsibility for one component can matter; return how many."""
    m = I0
    for b in range(count):
        index[m] = b
        m += U(resp[o + b] > NEGLIGIBLE)
    return m


@reduction
def _sum(values, o, count):
    vector_loop()
    total = 0.0
    for a in range(count):
        total += values[o + a]
    return total


@block_function
def _center(block, o, center, first, count, out, oo):
    """Write x - centre for one feature."""
    vector_loop()
    for a in range(count):
        out[oo + a] = block[o + first + a] - center


@block_function
def _weights(resp, o, scale, weight, first, count, out, oo):
    """Write w r."""
    vector_loop()
    for a in range(count):
        out[oo + a] = resp[o + first + a] * scale[first + a] * weight[first + a]


@block_function
def _clear(values, o, start, stop):
    for a in range(start, stop):
        values[o + a] = 0.0


@reduction
def _weigh(z, zo, weight, o, count, out, oo):
    """Write w r z for one feature and return its sum."""
    vector_loop()
    total = 0.0
    for a in range(count):
        value = z[zo + a] * weight[o + a]
        out[oo + a] = value
        total += value
    return total


@reduction
def _weighted_sums(z, zo, weight, o, count):
    """Return sum w r z and sum w r z^2 for one feature."""
    vector_loop()
    first = 0.0
    second = 0.0
    for a in range(count):
        value = z[zo + a] * weight[o + a]
        first += value
        second += value * z[zo + a]
    return first, second


@reduction
def _dot(u, uo, v, vo, count):
    vector_loop()
    total = 0.0
    for a in range(count):
        total += u[uo + a] * v[vo + a]
    return total


@reduction
def _add_tile(u, uo, v, vo, stride, count, out, o):
    """Add the 4 x 4 products of rows of u with rows of v."""
    vector_loop()
    stride2 = stride * I2
    stride3 = stride * I3
    t00 = t01 = t02 = t03 = t10 = t11 = t12 = t13 = 0.0
    t20 = t21 = t22 = t23 = t30 = t31 = t32 = t33 = 0.0
    for a in range(count):
        u0 = u[uo + a]
        u1 = u[uo + stride + a]
        u2 = u[uo + stride2 + a]
        u3 = u[uo + stride3 + a]
        v0 = v[vo + a]
        v1 = v[vo + stride + a]
        v2 = v[vo + stride2 + a]
        v3 = v[vo + stride3 + a]
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
    out[o] += t00
    out[o + I1] += t01
    out[o + I2] += t02
    out[o + I3] += t03
    out[o + I4] += t10
    out[o + U(5)] += t11
    out[o + U(6)] += t12
    out[o + U(7)] += t13
    out[o + I8] += t20
    out[o + U(9)] += t21
    out[o + U(10)] += t22
    out[o + U(11)] += t23
    out[o + U(12)] += t30
    out[o + U(13)] += t31
    out[o + U(14)] += t32
    out[o + U(15)] += t33


@block_function
def _add_outer_products(wz, z, zo, stride, d, count, out, o):
    """Add sum w r z z^T as the lower triangle of 4 x 4 tiles."""
    if d < I4:  # a whole tile would be mostly padding
        for i in range(d):
            for j in range(i + I1):
                out[o + i * I4 + j] += _dot(wz, i * stride, z, zo + j * stride, count)
        return
    for i in range((d + I3) // I4):
        for j in range(i + I1):
            _add_tile(wz, i * I4 * stride, z, zo + j * I4 * stride, stride, count, out, o)
            o += I16


@block_function
def _flush(k, place, packed, pending, statistics):
    """Add the samples that wait in one place to the sums of component k."""
    K = U(packed.n_components)
    d = U(packed.n_features)
    kind = U(packed.kind)
    m = pending.count[place]
    if m == I0:
        return
    pending.count[place] = I0
    stride = pending.stride
    z, weight, wz = pending.z, pending.weight, pending.wz
    rows = (d + I3) // I4
    zo = place * rows * I4 * stride
    wo = place * stride
    padded = (m + I8 - I1) // I8 * I8
    _clear(weight, wo, m, padded)
    statistics[k] += _sum(weight, wo, padded)
    first = K + k * d
    second = K * (I1 + d)
    for j in range(d):
        o = zo + j * stride
        _clear(z, o, m, padded)
        if kind in (FULL, TIED):
            statistics[first + j] += _weigh(z, o, weight, wo, padded, wz, j * stride)
        else:
            total, square = _weighted_sums(z, o, weight, wo, padded)
            statistics[first + j] += total
            statistics[second + (k * d + j if kind == DIAG else k)] += square
    if kind == FULL:
        second += k * I16 * (rows * (rows + I1) // I2)
    if kind in (FULL, TIED):
        _add_outer_products(wz, z, zo, stride, d, padded, statistics, second)


@block_function
def flush_all(packed, pending, statistics):
    """Add whatever is still pending."""
    for k in range(U(packed.n_components)):
        _flush(k, k, packed, pending, statistics)


@block_function
def _add_whole_block(block, resp, scale, weight, count, k, packed, pending, statistics):
    """Add all samples of a block to component k, by way of the last place."""
    d = U(packed.n_features)
    rows = (d + I3) // I4 * I4
    place = U(packed.n_components)
    for first in range(I0, count, pending.capacity):
        n = min(count - first, pending.capacity)
        wo = place * pending.stride
        _weights(resp, k * STRIDE, scale, weight, first, n, pending.weight, wo)
        for j in range(d):
            zo = (place * rows + j) * pending.stride
            center = packed.centers[k * d + j]
            _center(block, j * STRIDE, center, first, n, pending.z, zo)
        pending.count[place] = n
        _flush(k, place, packed, pending, statistics)


@block_function
def add_block_moments(block, resp, scale, weight, count, packed, pending, statistics):
    """Add the moments of one block, now or when a component has enough samples to be worth it.

    block, resp    IN       (d rows), (K rows)   samples about the origin; resp * scale sums to 1
    scale, weight  IN       (1 row)
    pending        IN OUT   samples that wait, by component
    statistics     adds to  packed nk, first, second
    """
    # Plain arrays and one loop: a call with all fields of both tuples costs as much as
    # gathering four samples (1.2 -> 0.6 ns per sample and component at 1 % selected).
    d = U(packed.n_features)
    centers = packed.centers
    index, stride, capacity = pending.index, pending.stride, pending.capacity
    waiting, z, z_weight = pending.count, pending.z, pending.weight
    rows = (d + I3) // I4 * I4
    for k in range(U(packed.n_components)):
        selected = _select(resp, k * STRIDE, count, index)
        # gathering a sample costs about as much as one needless sample with two features
        if selected > I0 and (count - selected) * d <= count * I2:
            _add_whole_block(block, resp, scale, weight, count, k, packed, pending, statistics)
            continue
        for s in range(selected):
            b = index[s]
            a = waiting[k]
            z_weight[k * stride + a] = resp[k * STRIDE + b] * scale[b] * weight[b]
            for j in range(d):
                z[(k * rows + j) * stride + a] = block[j * STRIDE + b] - centers[k * d + j]
            waiting[k] = a + I1
            if a + I1 == capacity:
                _flush(k, k, packed, pending, statistics)
