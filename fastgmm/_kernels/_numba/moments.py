"""Weighted moments of one block about each component's centre.

    nk += sum w r,   first += sum w r z,   second += sum w r z z^T,   z = x - centre

For each component only the samples with a responsibility that can matter are looked at; on
separated clusters that is a few in a hundred, and an iteration takes half the time. Diagonal
moments are added sample by sample. Matrices need long dot products: their samples wait, as
rows, until there are enough (added at once, 4 samples a block take 3 times as long).
"""

from typing import Any, NamedTuple

import numpy as np

from ._jit import (
    I0,
    I1,
    I2,
    I3,
    I4,
    I16,
    U,
    aligned_empty,
    block_function,
    by_covariance_type,
    sizes,
    spliced,
    trailing_zeros,
    vector_loop,
)  # fmt: skip
from .block import fill, transpose
from .sums import (
    add_outer_products,
    center,
    center_in_place,
    plane_sums,
    weigh,
    weighted_sums,
)

# A responsibility below this changes no sum beyond rounding: its sample's whole weight
# is counted in the other components.
NEGLIGIBLE = 1e-16

# Bytes that may wait in all components together, about a core's second-level cache.
_PENDING = U(1 << 22)
_WORD = U(64)


class Pending(NamedTuple):
    """Samples that wait to be added, up to ``capacity`` for each component, and scratch."""

    capacity: Any
    count: Any  # (K,)
    weight: Any  # (K, capacity)
    rows: Any  # (K, capacity, d)
    index: Any  # (BLOCK + 1,)
    w: Any  # (STRIDE,)
    z: Any  # (d up to a multiple of 4, STRIDE); the surplus rows hold zeros
    wz: Any  # as z


@spliced
def empty_pending(packed):
    """Return room for the samples of one slot that wait."""
    like = packed.centers
    BLOCK, STRIDE = sizes(like)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    # whole vectors of 16 samples are added
    capacity = min(max(_PENDING // (K * d * U(like.itemsize)) // I16 * I16, I16), BLOCK)
    n_rows = (d + I3) // I4 * I4
    z = aligned_empty(n_rows * STRIDE, like)
    wz = aligned_empty(n_rows * STRIDE, like)
    for j in range(d, n_rows):
        fill(z, j * STRIDE, 0.0)
        fill(wz, j * STRIDE, 0.0)
    numbers = np.empty(K + BLOCK + I1, np.uint64)
    for k in range(K):
        numbers[k] = I0
    return Pending(
        capacity,
        numbers[:K],
        aligned_empty(K * capacity, like),
        aligned_empty(K * capacity * d, like),
        numbers[K:],
        aligned_empty(STRIDE, like),
        z,
        wz,
    )


@block_function
def _count_selected(resp, o):
    """Return how many samples have a responsibility that can matter."""
    vector_loop()
    BLOCK = sizes(resp)[0]
    negligible = resp.dtype.type(NEGLIGIBLE)
    count = I0
    for b in range(BLOCK):
        count += U(resp[o + b] > negligible)
    return count


@block_function
def _select_word(resp, o):
    """Return the same for 64 samples, as bits."""
    vector_loop()
    negligible = resp.dtype.type(NEGLIGIBLE)
    word = I0
    for b in range(_WORD):
        word |= U(resp[o + b] > negligible) << b
    return word


@spliced
def _select(resp, o, index):
    """List the samples whose responsibility can matter."""
    BLOCK = sizes(resp)[0]
    m = I0
    for first in range(I0, BLOCK, _WORD):
        word = _select_word(resp, o + first)
        while word != I0:
            index[m] = first + trailing_zeros(word)
            m += I1
            word &= word - I1


def _triangle(packed):
    rows = (U(packed.n_features) + I3) // I4
    return I16 * (rows * (rows + I1) // I2)


def _none(packed):
    return I0


def _row(packed):
    return U(packed.n_features)


#: Return how far apart the second moments of two components are in the statistics.
_second_stride = by_covariance_type(full=_triangle, tied=_none, diag=_row, spherical=_row)


def _four(packed):
    return I4


#: Return how far apart two rows of a tile are in the statistics; 0 where there are no tiles.
_tile_row = by_covariance_type(full=_four, tied=_four, diag=_none, spherical=_none)


@spliced
def _flush(packed, pending, k, first, second, statistics):
    """Add the samples that wait to the sums of component k."""
    STRIDE = sizes(packed.centers)[1]
    d = U(packed.n_features)
    m = pending.count[k]
    pending.count[k] = I0
    o = k * pending.capacity
    padded = (m + I16 - I1) // I16 * I16
    w, z, wz, rows, centers = pending.w, pending.z, pending.wz, pending.rows, packed.centers
    total = 0.0
    for a in range(m):
        w[a] = pending.weight[o + a]
        total += w[a]
    statistics[k] += total
    for a in range(m, padded):
        w[a] = 0.0
    transpose(rows, o * d, d, padded, z)
    for j in range(d):
        start = j * STRIDE
        for a in range(m, padded):
            z[start + a] = 0.0
        mean = centers[k * d + j]
        statistics[first + j] += center_in_place(z, start, mean, w, padded, wz)
    add_outer_products(wz, z, d, padded, statistics, second)


@block_function
def _append(rows, d, resp, o, share, index, s, count, out, out_weight, a):
    """Copy listed samples and their w r."""
    vector_loop()
    for i in range(count):
        b = index[s + i]
        out_weight[a + i] = resp[o + b] * share[b]
        start = b * d
        to = (a + i) * d
        for j in range(d):
            out[to + j] = rows[start + j]


@block_function
def _add_rows(rows, d, resp, o, share, index, count, centers, co, first, fo, second, so):
    """Add listed samples to diagonal moments; return the sum of w r."""
    vector_loop()
    total = 0.0
    for i in range(count):
        b = index[i]
        w = resp[o + b] * share[b]
        total += w
        start = b * d
        for j in range(d):
            z = rows[start + j] - centers[co + j]
            value = w * z
            first[fo + j] += value
            second[so + j] += value * z
    return total


def _plane(packed, rows, block, resp, share, count, last, pending, statistics):
    d, K = U(packed.n_features), U(packed.n_components)
    stride, tile = _second_stride(packed), _tile_row(packed)
    centers = packed.centers
    for k in range(K):
        c0, c1 = centers[k * d], centers[k * d + (d - I1)]
        first, second = K + k * d, K * (I1 + d) + k * stride
        total, first0, first1, second00, second10, second11 = plane_sums(
            resp, k * sizes(block)[1], share, block, c0, c1, count
        )
        statistics[k] += total
        statistics[first] += first0
        statistics[second] += second00
        if d == I1:
            continue
        statistics[first + I1] += first1
        statistics[second + tile + I1] += second11
        if tile > I0:
            statistics[second + tile] += second10


def _matrix(packed, rows, block, resp, share, count, last, pending, statistics):
    # Plain arrays and one loop: a call with all fields of both tuples costs as much as
    # gathering four samples (1.2 -> 0.6 ns per sample and component at 1 % selected).
    STRIDE = sizes(block)[1]
    d = U(packed.n_features)
    K = U(packed.n_components)
    stride = _second_stride(packed)
    centers = packed.centers
    index, capacity = pending.index, pending.capacity
    waiting, p_rows, p_weight = pending.count, pending.rows, pending.weight
    w, z, wz = pending.w, pending.z, pending.wz
    for k in range(K):
        o = k * STRIDE
        first = K + k * d
        second = K * (I1 + d) + k * stride
        selected = I0 if last else _count_selected(resp, o)
        # measured: a listed sample costs as much as 24 + 1.25 d features of a whole block
        if selected * (U(24) + d + d // I4) > count * d:
            statistics[k] += weigh(resp, o, share, I0, count, w)
            for j in range(d):
                to = j * STRIDE
                mean = centers[k * d + j]
                statistics[first + j] += center(block, to, mean, w, count, z, wz, to)
            add_outer_products(wz, z, d, count, statistics, second)
            selected = I0
        elif selected > I0:
            _select(resp, o, index)
        s = I0
        while s < selected or (last and waiting[k] > I0):
            n = min(selected - s, capacity - waiting[k])
            a = k * capacity + waiting[k]
            _append(rows, d, resp, o, share, index, s, n, p_rows, p_weight, a)
            s += n
            waiting[k] += n
            if waiting[k] == capacity or last:
                _flush(packed, pending, k, first, second, statistics)


def _diagonal(packed, rows, block, resp, share, count, last, pending, statistics):
    STRIDE = sizes(block)[1]
    d = U(packed.n_features)
    K = U(packed.n_components)
    centers, w, index = packed.centers, pending.w, pending.index
    for k in range(K):
        o = k * STRIDE
        first = K + k * d
        second = first + K * d
        selected = I0 if last else _count_selected(resp, o)
        if selected == I0:
            continue
        if selected * (U(24) + d + d // I4) > count * d:
            statistics[k] += weigh(resp, o, share, I0, count, w)
            for j in range(d):
                mean = centers[k * d + j]
                total, square = weighted_sums(block, j * STRIDE, mean, w, count)
                statistics[first + j] += total
                statistics[second + j] += square
        else:
            _select(resp, o, index)
            statistics[k] += _add_rows(
                rows, d, resp, o, share, index, selected,
                centers, k * d, statistics, first, statistics, second,
            )  # fmt: skip


#: Add the moments of one block, now or when a component has enough samples to be worth it.
#:
#: rows           IN       (BLOCK, d)           samples about the origin
#: block, resp    IN       (d rows), (K rows)   the same, transposed; resp * share = w r
#: share          IN       (1 row)              zero where there is no sample
#: last           IN                            no more blocks follow: add all that waits
#: pending        IN OUT   samples that wait, by component
#: statistics     adds to  packed nk, first, second
add_block_moments = by_covariance_type(
    full=_matrix, tied=_matrix, diag=_diagonal, spherical=_diagonal, plane=_plane
)
